use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, U256, keccak256},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::{TransactionReceipt, TransactionRequest},
};
use devnet::{
    CallOutcome, Chain, ChainConfig, Config, Handle, Receipt, Transact, genesis::DEV_ADDRESSES,
};
use stylus_program::{HOST_FUNCTIONS, HOST_MODULE, Program, ValueType};
use tokio::runtime::{Builder, Runtime};

/// Who sends every transaction.
pub(super) const USER: Address = DEV_ADDRESSES[0];

/// One chain behind JSON-RPC, and short ways to use it.
///
/// Transactions are sent through JSON-RPC. Calls are made both ways, in-process too because that
/// tells the gas, and the answers must be the same.
pub(super) struct World {
    pub(super) chain: Chain,
    provider: DynProvider,
    _network: Handle,
    runtime: Runtime,
}

impl World {
    pub(super) fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = Config { chains: vec![ChainConfig::new(700_001)], ..Config::default() };
        let network = runtime.block_on(devnet::spawn(config)).unwrap();
        let handle = &network.chains()[0];
        let chain = handle.chain();
        let provider =
            ProviderBuilder::new().connect_http(handle.http_url().parse().unwrap()).erased();
        Self { chain, provider, _network: network, runtime }
    }

    /// Executes a transaction in a block of its own.
    pub(super) fn transact(&self, tx: Transact) -> Receipt {
        let receipt = self.runtime.block_on(async {
            let request = (self.request(&tx),);
            let hash: B256 =
                self.provider.raw_request("eth_sendTransaction".into(), request).await.unwrap();
            self.provider.get_transaction_receipt(hash).await.unwrap().unwrap()
        });
        let kept = self.chain.receipt(receipt.transaction_hash).unwrap();
        assert_same(&receipt, &kept);
        kept
    }

    /// Calls on top of the head; nothing is kept.
    pub(super) fn simulate(&self, tx: Transact) -> CallOutcome {
        let request = (self.request(&tx), "pending");
        let answer: Result<Bytes, _> =
            self.runtime.block_on(self.provider.raw_request("eth_call".into(), request));
        let outcome = self.chain.call(tx).unwrap();
        match answer {
            Ok(output) => assert_eq!((true, output), (outcome.success, outcome.output.clone())),
            Err(error) => {
                assert!(!outcome.success, "{error}: {outcome:?}");
                let data = error.as_error_resp().and_then(|error| error.as_revert_data());
                assert_eq!(data.unwrap_or_default(), outcome.output);
            }
        }
        outcome
    }

    fn request(&self, tx: &Transact) -> TransactionRequest {
        let mut request = TransactionRequest::default()
            .from(tx.from)
            .value(tx.value)
            .with_input(tx.data.clone())
            .with_gas_limit(tx.gas.unwrap_or(self.chain.config().tx_gas_limit));
        request.to = tx.to.map(Into::into);
        request.gas_price = tx.gas_price;
        request
    }

    /// Deploys and activates a program; see [`program`].
    pub(super) fn program(&self, body: &str) -> Address {
        self.chain.deploy_program(&program(body).code).unwrap()
    }

    /// Puts EVM code at an address made from its hash.
    pub(super) fn contract(&self, code: &[u8]) -> Address {
        let address = Address::from_slice(&keccak256(code)[..20]);
        self.chain.set_code(address, code.to_vec()).unwrap();
        address
    }

    /// An EIP-1167 proxy.
    pub(super) fn proxy(&self, implementation: Address) -> Address {
        let code = [
            &alloy::hex!("363d3d373d3d3d363d73")[..],
            implementation.as_slice(),
            &alloy::hex!("5af43d82803e903d91602b57fd5bf3"),
        ];
        self.contract(&code.concat())
    }

    pub(super) fn send(&self, to: Address, data: impl AsRef<[u8]>) -> Receipt {
        let data = Bytes::copy_from_slice(data.as_ref());
        self.transact(Transact::call(USER, to, data))
    }

    pub(super) fn call(&self, to: Address, data: impl AsRef<[u8]>) -> CallOutcome {
        let data = Bytes::copy_from_slice(data.as_ref());
        self.simulate(Transact::call(USER, to, data))
    }

    /// Output of a call that succeeds.
    pub(super) fn output(&self, to: Address, data: impl AsRef<[u8]>) -> Bytes {
        let outcome = self.call(to, data);
        assert!(outcome.success, "{outcome:?}");
        outcome.output
    }

    /// Output of a call that succeeds, as one word.
    pub(super) fn word(&self, to: Address, data: impl AsRef<[u8]>) -> U256 {
        U256::from_be_slice(&self.output(to, data))
    }

    pub(super) fn storage(&self, of: Address, slot: u64) -> U256 {
        self.chain.storage(of, U256::from(slot))
    }
}

fn assert_same(receipt: &TransactionReceipt, kept: &Receipt) {
    assert_eq!(receipt.status(), kept.success);
    assert_eq!(receipt.gas_used, kept.gas_used);
    assert_eq!(receipt.contract_address, kept.contract_address);
    let logs: Vec<_> = receipt.logs().iter().map(|log| log.inner.clone()).collect();
    assert_eq!(logs, kept.logs);
}

/// A program that imports every host function under its own name and has one page of memory.
///
/// The body sees `$len`, the length of the call data, and the locals `$i`, `$j` (i32) and `$x` (i64).
pub(super) fn program(body: &str) -> Program {
    program_with("(memory (export \"memory\") 1)", body)
}

/// As [`program`], with further parts of the module, its memory among them.
pub(super) fn program_with(parts: &str, body: &str) -> Program {
    let imports: String = HOST_FUNCTIONS
        .iter()
        .map(|function| {
            let name = |ty: &ValueType| match ty {
                ValueType::I32 => "i32",
                ValueType::I64 => "i64",
            };
            let params: Vec<_> = function.params.iter().map(name).collect();
            let result = function
                .result
                .as_ref()
                .map(|ty| format!("(result {})", name(ty)))
                .unwrap_or_default();
            format!(
                "(import \"{HOST_MODULE}\" \"{0}\" (func ${0} (param {1}) {result}))\n",
                function.name,
                params.join(" ")
            )
        })
        .collect();
    let module = format!(
        "(module {imports} {parts}
            (func $entry (export \"user_entrypoint\") (param $len i32) (result i32)
                (local $i i32) (local $j i32) (local $x i64)
                {body}))"
    );
    let wasm = wat::parse_str(&module).unwrap_or_else(|error| panic!("{error}"));
    if let Err(faults) = stylus_program::check(&wasm) {
        panic!("{faults:?}");
    }
    Program::from_wasm(&wasm).unwrap()
}

/// Words, one after the other.
pub(super) fn words<const N: usize>(words: [u64; N]) -> Vec<u8> {
    words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect()
}

pub(super) fn word(number: u64) -> B256 {
    U256::from(number).into()
}

/// An address as a word.
pub(super) fn to(address: Address) -> Vec<u8> {
    address.into_word().to_vec()
}

/// Returns the call data.
pub(super) const ECHO: &str = "(call $read_args (i32.const 0))
    (call $write_result (i32.const 0) (local.get $len))
    (i32.const 0)";

/// Calls the address in the first word with the rest of the call data and all value, and hands on
/// what comes back.
pub(super) const FORWARD: &str = "(call $read_args (i32.const 0))
    (call $msg_value (i32.const 40000))
    (local.set $i (call $call_contract (i32.const 12) (i32.const 32)
        (i32.sub (local.get $len) (i32.const 32)) (i32.const 40000) (i64.const -1)
        (i32.const 40040)))
    (call $write_result (i32.const 0)
        (call $read_return_data (i32.const 0) (i32.const 0) (i32.const 30000)))
    (local.get $i)";

/// As [`FORWARD`], in a static call.
pub(super) const FORWARD_STATIC: &str = "(call $read_args (i32.const 0))
    (local.set $i (call $static_call_contract (i32.const 12) (i32.const 32)
        (i32.sub (local.get $len) (i32.const 32)) (i64.const -1) (i32.const 40040)))
    (call $write_result (i32.const 0)
        (call $read_return_data (i32.const 0) (i32.const 0) (i32.const 30000)))
    (local.get $i)";

/// As [`FORWARD`], in a delegate call.
pub(super) const FORWARD_DELEGATE: &str = "(call $read_args (i32.const 0))
    (local.set $i (call $delegate_call_contract (i32.const 12) (i32.const 32)
        (i32.sub (local.get $len) (i32.const 32)) (i64.const -1) (i32.const 40040)))
    (call $write_result (i32.const 0)
        (call $read_return_data (i32.const 0) (i32.const 0) (i32.const 30000)))
    (local.get $i)";

/// Returns address, caller and value, a word each.
pub(super) const CONTEXT: &str = "(call $contract_address (i32.const 12))
    (call $msg_sender (i32.const 44))
    (call $msg_value (i32.const 64))
    (call $write_result (i32.const 0) (i32.const 96))
    (i32.const 0)";

/// Writes the second word of the call data to the slot in the first.
pub(super) const STORE: &str = "(call $read_args (i32.const 0))
    (call $storage_cache_bytes32 (i32.const 0) (i32.const 32))
    (call $storage_flush_cache (i32.const 0))
    (i32.const 0)";

/// Gas that starting this program costs, from what the chain's rules say about its length.
pub(super) fn start_gas(world: &World, program: Address) -> u64 {
    let code = world.chain.code(program);
    let wasm_len = stylus_program::decompress(&code).unwrap().len() as u64;
    9_184 + 210 * wasm_len / 1_000 + 816 + 35 * wasm_len / 1_000
}
