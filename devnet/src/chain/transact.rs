//! The in-process way to send and call, without keys and without fees.

use alloy::{
    consensus::{SignableTransaction, TxEnvelope, TxLegacy},
    primitives::{Address, Bytes, Log, Signature, TxKind, U256},
    sol_types::SolCall,
};
use revm::context::TxEnv;

use super::{Call, Chain, Error, Simulation};
use crate::{
    arbos::ARB_WASM,
    block::Receipt,
    genesis::DEV_ADDRESSES,
    mempool::{Authority, Pooled},
};

alloy::sol! {
    /// Compiles the program at an address so that it can be called.
    function activateProgram(address program) external payable returns (uint16 version, uint256 dataFee);
}

/// Most that activation of one program may cost in data fee, in wei: 1 ether, as tools send; what
/// is not used comes back.
const ACTIVATION_VALUE: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// A transaction from any account: no signature is asked for, and gas is free unless `gas_price`
/// says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transact {
    /// Who it comes from; contracts may send too.
    pub from: Address,
    /// Who is called; `None` creates a contract.
    pub to: Option<Address>,
    /// Wei sent along, which `from` must have.
    pub value: U256,
    /// Calldata, or init code.
    pub data: Bytes,
    /// Gas limit; `None` for the most that the chain allows.
    pub gas: Option<u64>,
    /// Most wei per gas that `from` pays; charged is the base fee. `None` for free gas.
    pub gas_price: Option<u128>,
}

impl Transact {
    /// A call without value.
    #[must_use]
    pub fn call(from: Address, to: Address, data: impl Into<Bytes>) -> Self {
        Self { from, to: Some(to), data: data.into(), ..Self::default() }
    }

    /// A creation from init code.
    #[must_use]
    pub fn create(from: Address, init_code: impl Into<Bytes>) -> Self {
        Self { from, data: init_code.into(), ..Self::default() }
    }

    /// Sends `value` wei along.
    #[must_use]
    pub const fn value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }

    /// Limits gas.
    #[must_use]
    pub const fn gas(mut self, gas: u64) -> Self {
        self.gas = Some(gas);
        self
    }

    fn kind(&self) -> TxKind {
        self.to.map_or(TxKind::Create, TxKind::Call)
    }
}

/// The outcome of a call that leaves nothing behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallOutcome {
    /// False when it reverted or halted.
    pub success: bool,
    /// Return data, or revert data.
    pub output: Bytes,
    /// Gas used, after refunds.
    pub gas_used: u64,
    /// Logs that a transaction would have emitted.
    pub logs: Vec<Log>,
    /// Why execution stopped when it neither returned nor reverted.
    pub halt: Option<String>,
}

impl Chain {
    /// Executes a transaction in a block of its own, at once.
    ///
    /// # Errors
    /// When it cannot be executed at all, for instance for lack of funds; one that reverts is a
    /// receipt without `success`.
    pub fn transact(&self, tx: Transact) -> Result<Receipt, Error> {
        let mut inner = self.shared.inner.write();
        let nonce = inner.account(tx.from).nonce;
        let unsigned = TxLegacy {
            chain_id: Some(self.chain_id()),
            nonce,
            gas_price: tx.gas_price.unwrap_or_default(),
            gas_limit: tx.gas.unwrap_or(self.shared.config.tx_gas_limit),
            to: tx.kind(),
            value: tx.value,
            input: tx.data,
        };
        let authority =
            if tx.gas_price.is_some() { Authority::Impersonation } else { Authority::Operator };
        let envelope = TxEnvelope::from(unsigned.into_signed(unsigned_signature(tx.from)));
        self.mine_alone(&mut inner, &Pooled { envelope, sender: tx.from, authority })
    }

    /// Calls on top of the head, in the block that would come next: time set by
    /// [`Self::increase_time`] counts already. Nothing is kept.
    ///
    /// # Errors
    /// When it cannot be executed at all.
    pub fn call(&self, tx: Transact) -> Result<CallOutcome, Error> {
        let env = TxEnv {
            caller: tx.from,
            gas_limit: tx.gas.unwrap_or(self.shared.config.tx_gas_limit),
            gas_price: tx.gas_price.unwrap_or_default(),
            kind: tx.kind(),
            value: tx.value,
            data: tx.data,
            chain_id: Some(self.chain_id()),
            ..TxEnv::default()
        };
        self.simulate(&self.read(), Simulation::Pending, &Call::new(env))
    }

    /// Puts a program on chain and activates it, from the first development account.
    ///
    /// `code` is the code as an account holds it: prefix `EFF000`, dictionary byte, compressed
    /// WASM.
    ///
    /// # Errors
    /// [`Error::Program`] when creation or activation fails.
    pub fn deploy_program(&self, code: &[u8]) -> Result<Address, Error> {
        let from = DEV_ADDRESSES[0];
        let created = self.transact(Transact::create(from, init_code(code)))?;
        let address = match created.contract_address {
            Some(address) if created.success => address,
            address => return Err(Error::Program { address, reason: failure(&created) }),
        };
        let activate = activateProgramCall { program: address }.abi_encode();
        let call = Transact::call(from, ARB_WASM, activate).value(ACTIVATION_VALUE);
        let activated = self.transact(call)?;
        // Identical code needs activation once: later deployments are told so, which is fine.
        if !activated.success && !self.is_active(from, address)? {
            let reason = failure(&activated);
            return Err(Error::Program { address: Some(address), reason });
        }
        Ok(address)
    }

    /// Whether the program can be called: an active one has a version.
    fn is_active(&self, from: Address, program: Address) -> Result<bool, Error> {
        alloy::sol! {
            function programVersion(address program) external view returns (uint16 version);
        }
        let data = programVersionCall { program }.abi_encode();
        Ok(self.call(Transact::call(from, ARB_WASM, data))?.success)
    }
}

/// Init code that deploys `code` as it is.
#[must_use]
pub fn init_code(code: &[u8]) -> Bytes {
    // PUSH32 length, DUP1, PUSH1 43, PUSH1 0, CODECOPY, PUSH1 0, RETURN: 43 bytes, then the code.
    let mut init = Vec::with_capacity(43 + code.len());
    init.push(0x7f);
    init.extend(U256::from(code.len()).to_be_bytes::<32>());
    init.extend([0x80, 0x60, 0x2b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3, 0x00]);
    init.extend(code);
    init.into()
}

/// Stands where a signature belongs in a transaction that has none. It differs by sender, so that
/// the same call from two senders has two hashes.
pub(crate) fn unsigned_signature(sender: Address) -> Signature {
    Signature::new(U256::from_be_slice(sender.as_slice()), U256::from(1), false)
}

fn failure(receipt: &Receipt) -> String {
    receipt.halt.clone().unwrap_or_else(|| format!("reverted with {}", receipt.output))
}
