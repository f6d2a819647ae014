//! What the pages show and is not run as it stands, with the reason.

/// One process of a system.
const ROLE: &str = "`up` runs every role so";
const SOAK: &str = "`chaos::` runs a minute of it, with kills and a picture";
const NETWORK: &str = "`network::` runs it on two chains of somebody else";
const STYLUS: &str = "`.ci/run --full` runs it, by devnet/tests/it/cargo_stylus.rs";
const THIS: &str = "it runs this test";

/// Commands that are not run here, as they stand on their pages.
pub(super) const NOT_RUN: &[(&str, &str)] = &[
    ("cargo xtask test", THIS),
    (".ci/run", THIS),
    (
        "E2E_RPC_A=http://127.0.0.1:8547 E2E_RPC_B=http://127.0.0.1:8557 E2E_FUNDED_KEY=… cargo nextest run \
         --release -E 'package(e2e)'",
        "it needs two nodes of somebody else",
    ),
    ("metalayer <role> --config <file>", ROLE),
    ("metalayer validator --config validator.toml", ROLE),
    ("metalayer relayer --config relayer.toml", ROLE),
    ("metalayer solver --config solver.toml", ROLE),
    ("metalayer aggregator --config aggregator.toml", ROLE),
    (
        "metalayer solver --config solver.toml --dry-run",
        "it runs until it is stopped; `fills::a_dry_run_…` of the solver's tests shows what it does",
    ),
    ("metalayer up --data-dir DIR", "`local_system::` starts a system twice on a folder"),
    ("metalayer up --network network.toml --data-dir data", NETWORK),
    ("metalayer up --network network.toml --data-dir data --export production", NETWORK),
    ("metalayer refund ORDER", "`local_system::` takes back what nobody filled"),
    ("metalayer soak --minutes 30 --rate 20 --chains 3 --picture memory.svg", SOAK),
    ("metalayer soak --minutes 10 --rate 20 --kill 3s", SOAK),
    ("metalayer soak --minutes 10 --rate 20 --chains 3 --picture soak-memory.svg", SOAK),
    ("metalayer soak --minutes 10 --rate 20 --chains 2 --kill 3s", SOAK),
    ("metalayer bench aggregator --time 5s", "it needs `wrk`, which is no tool of the tests"),
    ("cd contracts/test-token", STYLUS),
    ("cargo stylus check", STYLUS),
    ("cargo stylus export-abi", STYLUS),
    ("cargo stylus deploy --no-verify --private-key $KEY --constructor-args 6", STYLUS),
];

/// Measurements that take minutes, and the arguments with which they take seconds.
pub(super) const SMALL: &[(&str, &str)] = &[
    ("metalayer bench chain", "--blocks 100 --transactions 20"),
    ("metalayer bench messages", "--messages 20 --paced 20 --history 100"),
    (
        "metalayer bench solver",
        "--rates 5 --seconds 1 --decisions 10 --quotes 2 --past 10 --open 10 --settling 1",
    ),
];

/// Every command that has its place in one of the lists.
pub(super) fn commands() -> impl Iterator<Item = &'static str> {
    NOT_RUN.iter().chain(SMALL).map(|(command, _)| *command)
}
