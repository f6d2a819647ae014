use revm::{
    context::{BlockEnv, CfgEnv},
    primitives::hardfork::SpecId,
};

use super::scope::{RecentPrograms, Scope};

/// What one block offers to the transactions in it; make a new one for every block.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Number, timestamp, base fee, gas limit and coinbase as the transactions see them.
    pub block: BlockEnv,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Which checks apply before a transaction runs.
    pub rules: Rules,
    /// Gas that NodeInterface reports; found before the call that asks for it.
    pub(super) estimate: u64,
    recent: RecentPrograms,
}

impl Environment {
    /// An environment in which every rule of a block applies.
    pub fn new(chain_id: u64, block: BlockEnv) -> Self {
        Self {
            block,
            chain_id,
            rules: Rules::BLOCK,
            estimate: 0,
            recent: RecentPrograms::default(),
        }
    }

    /// The same block with other rules, for instance [`Rules::SIMULATION`].
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// What the frames of the next transaction share.
    pub(super) fn open_scope(&mut self) -> Scope {
        Scope {
            recent: std::mem::take(&mut self.recent),
            node_interface: self.rules.node_interface.then_some(self.estimate),
            ..Scope::default()
        }
    }

    /// Takes back what later transactions of the block see.
    pub(super) fn close_scope(&mut self, scope: Scope) {
        self.recent = scope.recent;
    }

    /// Configuration of the EVM for these rules.
    pub(crate) fn config(&self) -> CfgEnv {
        let mut cfg = CfgEnv::new_with_spec(SpecId::PRAGUE);
        cfg.chain_id = self.chain_id;
        cfg.tx_chain_id_check = self.rules.chain_id;
        cfg.disable_nonce_check = !self.rules.nonce;
        cfg.disable_balance_check = !self.rules.balance;
        cfg.disable_fee_charge = !self.rules.balance;
        cfg.disable_base_fee = !self.rules.base_fee;
        cfg.disable_block_gas_limit = !self.rules.block_gas_limit;
        cfg.disable_eip3607 = !self.rules.sender_without_code;
        // The prefix of Stylus programs is 0xEF; any other code that begins so is refused by the
        // frames themselves.
        cfg.disable_eip3541 = true;
        // Arbitrum leaves the floor price of calldata off.
        cfg.disable_eip7623 = true;
        cfg
    }
}

/// Checks made before a transaction runs; `true` means that the check applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The transaction's chain id is the chain's.
    pub chain_id: bool,
    /// The transaction's nonce is the sender's next.
    pub nonce: bool,
    /// The sender can pay value and gas, and is charged.
    pub balance: bool,
    /// The offered gas price covers the base fee.
    pub base_fee: bool,
    /// The gas limit fits into the block.
    pub block_gas_limit: bool,
    /// EIP-3607: contracts send no transactions.
    pub sender_without_code: bool,
    /// Whether NodeInterface (0xC8) answers; it exists only for calls, never in a block.
    pub node_interface: bool,
}

impl Rules {
    /// Transactions of a block: every check applies.
    pub const BLOCK: Self = Self {
        chain_id: true,
        nonce: true,
        balance: true,
        base_fee: true,
        block_gas_limit: true,
        sender_without_code: true,
        node_interface: false,
    };
    /// Transactions without a signature, from any account at all: they pay, and only the check for a
    /// sender without code is off.
    pub const IMPERSONATION: Self = Self { sender_without_code: false, ..Self::BLOCK };
    /// `eth_call` and gas estimation: no check applies and nobody is charged for gas.
    pub const SIMULATION: Self = Self {
        chain_id: false,
        nonce: false,
        balance: false,
        base_fee: false,
        block_gas_limit: false,
        sender_without_code: false,
        node_interface: true,
    };
}
