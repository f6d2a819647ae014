//! The hostile contracts of `contracts/mocks`, compiled once a process by the pinned solc.

use std::{collections::BTreeMap, sync::OnceLock};

use alloy::{
    hex,
    primitives::{Address, U256},
    sol,
};
use devnet::Transact;

use crate::world::{USER, World};

#[path = "../../../tests/src/tools.rs"]
#[expect(unreachable_pub, dead_code, reason = "the file is a public module of another package")]
mod npm;

sol! {
    #![sol(all_derives = true)]

    /// `contracts/mocks/Token.sol`.
    interface Token {
        function setMode(uint8 mode) external;
    }

    /// `contracts/mocks/Target.sol`.
    interface Target {
        function bomb(uint256 size) external payable returns (bytes memory);
    }
}

/// Modes of the mock token.
pub(crate) mod mode {
    pub(crate) const HONEST: u8 = 0;
    pub(crate) const REVERTS: u8 = 3;
    pub(crate) const TAKES_FEE: u8 = 4;
}

/// Puts a mock on a chain.
pub(crate) fn create(world: &World, chain: u64, name: &str) -> Address {
    static CODES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let codes = CODES.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/mocks");
        let output = npm::node("mocks.mjs").unwrap().arg(folder).output().unwrap();
        assert!(output.status.success(), "solc: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    });
    let create = Transact::create(USER, hex::decode(&codes[name]).unwrap()).gas(20_000_000);
    let receipt = world.chain(chain).transact(create).unwrap();
    receipt.contract_address.unwrap()
}

/// Sets how a mock token behaves.
pub(crate) fn set_mode(world: &World, chain: u64, token: Address, mode: u8) {
    world.send(chain, USER, token, &Token::setModeCall { mode }, U256::ZERO);
}
