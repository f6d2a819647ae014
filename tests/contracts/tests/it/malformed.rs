//! Call data as no client sends them: cut, overlong, out of range, pointing anywhere, random.
//!
//! What Solidity's decoder refuses, the programs refuse with an empty revert, and nothing that anyone can send makes one
//! of them trap: a trap is an empty revert too, but one that nobody decided on.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
};

use alloy::{
    dyn_abi::{DynSolType, DynSolValue, JsonAbiExt, Specifier},
    json_abi::{Function, JsonAbi, StateMutability},
    primitives::{Address, Bytes, U256},
    sol_types::SolCall,
};
use contract_tests::{Outcome, World};
use protocol::{
    abi::{constructor::MetaProverArguments, prover::handleCall},
    finality::Tier,
};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use stylus_program::Program;

/// Random changes of each function's call data.
const RANDOM_CHANGES: usize = 60;

struct Target {
    address: Address,
    functions: Vec<Function>,
}

struct Attack {
    world: World,
    programs: Vec<Target>,
    rng: StdRng,
}

impl Attack {
    fn new() -> Self {
        let world = World::new();
        let meta = world.meta_prover(&MetaProverArguments {
            router: world.mock("Router"),
            portal: world.inbox,
            provers: vec![],
            minGasLimit: U256::ZERO,
            domains: vec![],
            finality: Tier::Instant.byte(),
        });
        let program = |address, file| Target { address, functions: functions(file) };
        let programs = vec![
            program(world.source, "IntentSource.json"),
            program(world.inbox, "Inbox.json"),
            program(meta, "MetaProver.json"),
            program(world.local_prover(), "LocalProver.json"),
        ];
        Self { world, programs, rng: StdRng::seed_from_u64(7) }
    }

    /// Well-formed call data. Numbers are small, so that they also fit where they are offsets or lengths.
    fn call(&mut self, function: &Function) -> Vec<u8> {
        let values: Vec<_> =
            function.inputs.iter().map(|input| self.value(&input.resolve().unwrap())).collect();
        function.abi_encode_input(&values).unwrap()
    }

    fn value(&mut self, of: &DynSolType) -> DynSolValue {
        let rng = &mut self.rng;
        match of {
            DynSolType::Bool => DynSolValue::Bool(rng.random()),
            DynSolType::Uint(size) => DynSolValue::Uint(U256::from(rng.random::<u8>()), *size),
            DynSolType::Address => {
                let world = &self.world;
                let known = [world.token, world.prover, world.creator, world.inbox, Address::ZERO];
                DynSolValue::Address(*known.choose(rng).unwrap())
            }
            DynSolType::FixedBytes(size) => {
                let mut word = [0; 32];
                rng.fill_bytes(&mut word[..*size]);
                DynSolValue::FixedBytes(word.into(), *size)
            }
            DynSolType::Bytes => {
                let mut bytes = vec![0; rng.random_range(0..70)];
                rng.fill_bytes(&mut bytes);
                DynSolValue::Bytes(bytes)
            }
            DynSolType::Array(inner) => {
                let length = rng.random_range(0..3);
                DynSolValue::Array((0..length).map(|_| self.value(inner)).collect())
            }
            DynSolType::Tuple(members) => {
                DynSolValue::Tuple(members.iter().map(|member| self.value(member)).collect())
            }
            DynSolType::CustomStruct { name, prop_names, tuple } => DynSolValue::CustomStruct {
                name: name.clone(),
                prop_names: prop_names.clone(),
                tuple: tuple.iter().map(|member| self.value(member)).collect(),
            },
            other => panic!("no function takes {other}"),
        }
    }

    /// The data with up to three random changes.
    fn changed(&mut self, mut data: Vec<u8>) -> Vec<u8> {
        let rng = &mut self.rng;
        for _ in 0..rng.random_range(1..4_u8) {
            let words = (data.len() - 4) / 32;
            let at = 4 + 32 * rng.random_range(0..words.max(1));
            match rng.random_range(0..6_u8) {
                _ if words == 0 => data.push(rng.random()),
                0 => data.truncate(rng.random_range(4..data.len())),
                1 => data[at + rng.random_range(0..32)] = rng.random(),
                2 => data = with_word(&data, at, U256::from(32 * rng.random_range(0..words))),
                3 => data = with_word(&data, at, U256::from(rng.random::<u64>())),
                4 => data = with_word(&data, at, U256::MAX >> rng.random_range(0..256_usize)),
                _ => {
                    let from = 4 + 32 * rng.random_range(0..words);
                    data.copy_within(from..from + 32, at);
                }
            }
        }
        data
    }

    fn send(&self, to: Address, data: impl Into<Bytes>) -> Outcome {
        self.world.simulate(self.world.creator, to, U256::ZERO, data)
    }

    /// Runs `attack` on every function that takes arguments, with well-formed call data for it.
    fn each(&mut self, mut attack: impl FnMut(&mut Self, Address, &Function, Vec<u8>)) {
        let programs: Vec<_> =
            self.programs.iter().map(|it| (it.address, it.functions.clone())).collect();
        for (address, functions) in programs {
            for function in functions.iter().filter(|function| !function.inputs.is_empty()) {
                let data = self.call(function);
                attack(self, address, function, data);
            }
        }
    }
}

fn functions(file: &str) -> Vec<Function> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/protocol/abi");
    let abi: JsonAbi = serde_json::from_slice(&fs::read(folder.join(file)).unwrap()).unwrap();
    abi.functions().cloned().collect()
}

/// The word in the head that belongs to each argument. None of our functions takes a static tuple.
fn head(function: &Function) -> impl Iterator<Item = (usize, DynSolType)> {
    function
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| (4 + 32 * index, input.resolve().unwrap()))
}

fn is_dynamic(of: &DynSolType) -> bool {
    is_struct(of) || matches!(of, DynSolType::Bytes | DynSolType::Array(_))
}

fn with_word(data: &[u8], at: usize, word: U256) -> Vec<u8> {
    let mut data = data.to_vec();
    data[at..at + 32].copy_from_slice(&word.to_be_bytes::<32>());
    data
}

const fn is_struct(of: &DynSolType) -> bool {
    matches!(of, DynSolType::Tuple(_) | DynSolType::CustomStruct { .. })
}

/// The reads of a delivered message are the router's, and MetaProver does not look into them.
fn is_read(function: &Function) -> bool {
    function.selector() == handleCall::SELECTOR
}

#[test]
fn cut_call_data_revert_without_data() {
    Attack::new().each(|attack, to, function, data| {
        if is_read(function) {
            return;
        }
        for length in (4..data.len()).step_by(32) {
            attack.send(to, data[..length].to_vec()).reverts_empty();
        }
        for length in 1..4 {
            attack.send(to, data[..length].to_vec()).reverts_empty();
        }
    });
}

#[test]
fn trailing_bytes_change_nothing() {
    Attack::new().each(|attack, to, function, data| {
        let without = attack.send(to, data.clone());
        let with = attack.send(to, [data.as_slice(), &[0xff; 45]].concat());
        let given = (with.success, with.output, with.logs);
        assert_eq!(given, (without.success, without.output, without.logs), "{}", function.name);
    });
}

#[test]
fn numbers_and_addresses_out_of_range_revert_without_data() {
    Attack::new().each(|attack, to, function, data| {
        for (at, kind) in head(function) {
            let beyond = match kind {
                DynSolType::Bool => U256::from(2),
                DynSolType::Address => U256::from(1) << 160,
                DynSolType::Uint(bits) if bits < 256 => U256::from(1) << bits,
                _ => continue,
            };
            attack.send(to, with_word(&data, at, beyond)).reverts_empty();
            attack.send(to, with_word(&data, at, U256::MAX)).reverts_empty();
        }
    });
}

#[test]
fn offsets_and_lengths_that_lead_outside_revert_without_data() {
    Attack::new().each(|attack, to, function, data| {
        let beyond = [
            U256::from(data.len()),
            U256::from(u32::MAX) - U256::from(31),
            U256::from(u32::MAX),
            U256::from(1) << 32,
            U256::from(u64::MAX),
            U256::from(1) << 64,
            U256::MAX,
        ];
        for (at, kind) in head(function).filter(|(_, kind)| is_dynamic(kind)) {
            for offset in beyond {
                attack.send(to, with_word(&data, at, offset)).reverts_empty();
            }
            if is_struct(&kind) {
                continue;
            }
            let offset = U256::from_be_slice(&data[at..at + 32]).to::<usize>();
            for length in beyond {
                attack.send(to, with_word(&data, 4 + offset, length)).reverts_empty();
            }
        }
    });
}

#[test]
fn value_is_refused_where_the_reference_is_not_payable() {
    let mut attack = Attack::new();
    let programs: Vec<_> =
        attack.programs.iter().map(|it| (it.address, it.functions.clone())).collect();
    for (to, functions) in programs {
        for function in functions {
            if function.state_mutability == StateMutability::Payable {
                continue;
            }
            let data = attack.call(&function);
            let (from, value) = (attack.world.creator, U256::from(1));
            attack.world.simulate(from, to, value, data).reverts_empty();
        }
    }
}

/// What the development chain says when a program traps.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn of<T>(&self, run: impl FnOnce() -> T) -> (T, String) {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .with_writer(move || log.clone())
            .finish();
        let value = tracing::subscriber::with_default(subscriber, run);
        let text = String::from_utf8_lossy(&std::mem::take(&mut *self.0.lock().unwrap())).into();
        (value, text)
    }
}

const TRAPPED: &str = "program trapped";

#[test]
fn a_trap_would_be_seen() {
    let world = World::new();
    let wasm = wat::parse_str(
        r#"(module
            (import "vm_hooks" "pay_for_memory_grow" (func (param i32)))
            (memory (export "memory") 1)
            (func (export "user_entrypoint") (param i32) (result i32) unreachable))"#,
    )
    .unwrap();
    let code = Program::from_wasm(&wasm).unwrap().code;
    let at = world.chain.deploy_program(&code).unwrap();
    let (outcome, log) =
        Log::default().of(|| world.simulate(world.creator, at, U256::ZERO, vec![]));
    outcome.reverts_empty();
    assert!(log.contains(TRAPPED), "{log}");
}

#[test]
fn nothing_that_anyone_sends_makes_a_program_trap() {
    Attack::new().each(|attack, to, function, data| {
        for change in 0..RANDOM_CHANGES {
            let data = attack.changed(data.clone());
            let (outcome, log) = Log::default().of(|| attack.send(to, data.clone()));
            let context = format!("change {change} of {}: {}", function.name, Bytes::from(data));
            assert!(!log.contains(TRAPPED), "{context}: {log}");
            assert_eq!(outcome.halt, None, "{context}");
        }
    });
}
