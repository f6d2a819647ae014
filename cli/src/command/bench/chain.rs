use std::{process::ExitCode, time::Duration};

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::SolCall,
};
use devnet::{
    ChainHandle, Config, Transact,
    bench::{self, CallTimes, Footprint, Load},
    genesis::DEV_ADDRESSES,
};
use eyre::ensure;
use protocol::{
    abi::{batch::Call3, erc20, multicall},
    create2::{EIP1167_PREFIX, EIP1167_SUFFIX},
};
use serde::Serialize;
use stylus_program::Programs;

use crate::{Output, output::Table};

/// Chains of the start that is timed.
const CHAINS: u64 = 3;
/// Who is paid; an account that nobody else uses.
const RECEIVER: Address = Address::repeat_byte(0xbe);
/// Tokens for every sender, more than any run spends.
const TOKENS: U256 = U256::MAX.wrapping_shr(64);

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Chain {
    /// Blocks of the memory measurement, each with one transfer.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    blocks: u64,

    /// Blocks that this chain keeps behind its head.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    history: u64,

    /// Transactions of each throughput measurement, rounded up to the same number for each sender.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    transactions: u64,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report {
    start: Start,
    calls: Vec<Call>,
    throughput: Vec<Rate>,
    memory: Memory,
}

#[derive(Serialize)]
struct Start {
    chains: u64,
    seconds: f64,
}

/// Calls inside the process.
#[derive(Serialize)]
struct Call {
    call: &'static str,
    /// Of the call that translates the program, when it was this one.
    first_seconds: Option<f64>,
    /// The median of the calls after it.
    warm_seconds: f64,
}

/// Transactions over HTTP.
#[derive(Serialize)]
struct Rate {
    load: &'static str,
    transactions: u64,
    seconds: f64,
    per_second: f64,
}

#[derive(Serialize)]
struct Memory {
    blocks: u64,
    history: u64,
    seconds: f64,
    /// Of the whole process; absent where the system does not tell.
    resident_bytes: Option<u64>,
}

impl Chain {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let programs = tokio::task::spawn_blocking(Programs::load_or_build).await??;
        Output::remark(format_args!("starting {CHAINS} chains"));
        let start = Start { chains: CHAINS, seconds: bench::start(CHAINS).await?.as_secs_f64() };

        // Before the process has grown by other things than the chain that is measured.
        let Self { blocks, history, transactions } = self;
        Output::remark(format_args!("making {blocks} blocks, keeping {history}"));
        let footprint = tokio::task::spawn_blocking(move || bench::footprint(blocks, history));
        let memory = self.memory(footprint.await??);

        let network = devnet::spawn(Config::with_chains(1)).await?;
        let [chain] = network.chains() else { eyre::bail!("expected one chain") };
        Output::remark("calling a program");
        let (contracts, calls) = Contracts::deploy(chain, &programs)?;
        let mut throughput = Vec::new();
        for (name, load) in contracts.loads() {
            Output::remark(format_args!("sending {transactions} times: {name}"));
            let sent = bench::throughput(chain, &load, transactions).await?;
            throughput.push(Rate {
                load: name,
                transactions: sent.transactions,
                seconds: sent.elapsed.as_secs_f64(),
                per_second: sent.per_second(),
            });
        }
        network.stop().await;

        let report = Report { start, calls, throughput, memory };
        output.result(&report, table(&report))?;
        Ok(ExitCode::SUCCESS)
    }

    fn memory(&self, footprint: Footprint) -> Memory {
        Memory {
            blocks: self.blocks,
            history: self.history,
            seconds: footprint.elapsed.as_secs_f64(),
            resident_bytes: footprint.resident,
        }
    }
}

/// What the measured transactions call.
struct Contracts {
    /// The test token, a program.
    token: Address,
    /// An EIP-1167 proxy in front of it, EVM code with balances of its own.
    proxy: Address,
    /// The multicall, a program.
    multicall: Address,
}

impl Contracts {
    /// Deploys the contracts and gives every sender tokens; calls of the token are timed on the way,
    /// the first before anything else has run the program.
    fn deploy(chain: &ChainHandle, programs: &Programs) -> eyre::Result<(Self, Vec<Call>)> {
        let chain = chain.chain();
        let token = chain.deploy_program(&programs.get("test-token")?.code)?;
        let balance = erc20::balanceOfCall { account: RECEIVER }.abi_encode().into();
        let CallTimes { cold, warm } = bench::calls(&chain, token, &balance)?;
        let getter = Call::new("program getter, balanceOf", Some(cold), warm);

        let multicall = chain.deploy_program(&programs.get("multicall")?.code)?;
        let proxy = Address::repeat_byte(0x67);
        chain.set_code(proxy, [&EIP1167_PREFIX[..], token.as_slice(), &EIP1167_SUFFIX].concat())?;
        let holders = DEV_ADDRESSES.iter().map(|account| (token, *account));
        for (token, to) in holders.chain([(token, multicall), (proxy, multicall)]) {
            let mint = erc20::mintCall { to, value: TOKENS }.abi_encode();
            let minted = chain.transact(Transact::call(DEV_ADDRESSES[0], token, mint))?;
            ensure!(minted.success, "{token} mints nothing for {to}");
        }
        let warm = bench::calls(&chain, token, &transfer())?.warm;
        let transfer = Call::new("program, ERC-20 transfer", None, warm);
        Ok((Self { token, proxy, multicall }, vec![getter, transfer]))
    }

    fn loads(&self) -> [(&'static str, Load); 3] {
        let calls = [self.token, self.proxy].map(|target| Call3 {
            target,
            allowFailure: false,
            callData: transfer(),
        });
        let nested = multicall::aggregate3Call { calls: calls.to_vec() }.abi_encode();
        let value = U256::from(1);
        [
            ("transfer", Load { to: RECEIVER, value, gas: 21_000, ..Load::default() }),
            (
                "program, ERC-20 transfer",
                Load { to: self.token, data: transfer(), gas: 500_000, ..Load::default() },
            ),
            (
                "program calls program, and program through EVM proxy",
                Load { to: self.multicall, data: nested.into(), gas: 1_000_000, ..Load::default() },
            ),
        ]
    }
}

fn transfer() -> Bytes {
    erc20::transferCall { to: RECEIVER, value: U256::from(1) }.abi_encode().into()
}

impl Call {
    fn new(call: &'static str, first: Option<Duration>, warm: Duration) -> Self {
        let first_seconds = first.map(|first| first.as_secs_f64());
        Self { call, first_seconds, warm_seconds: warm.as_secs_f64() }
    }
}

fn table(report: &Report) -> Table {
    const MIB: f64 = 1_048_576.0;
    let Report { start, calls, throughput, memory } = report;
    let mut table = Table::new(["measured", "result"]);
    let mut row = |measured: String, result: String| table.row([measured, result]);
    row(format!("start of {} chains", start.chains), format!("{:.1} ms", start.seconds * 1e3));
    for Call { call, first_seconds, warm_seconds } in calls {
        if let Some(first) = first_seconds {
            row(format!("{call}: first call"), format!("{:.0} us", first * 1e6));
        }
        row(format!("{call}: warm call"), format!("{:.0} us", warm_seconds * 1e6));
    }
    for rate in throughput {
        row(
            format!("{} x {}", rate.transactions, rate.load),
            format!("{:.0} transactions/s", rate.per_second),
        );
    }
    let Memory { blocks, history, seconds, resident_bytes } = memory;
    row(format!("{blocks} blocks, {history} kept: time"), format!("{seconds:.1} s"));
    let resident = resident_bytes.map_or("unknown".to_owned(), |bytes| {
        format!("{:.0} MiB", bytes as f64 / MIB) // Exact to 2^53 bytes.
    });
    row(format!("{blocks} blocks, {history} kept: memory"), resident);
    table
}
