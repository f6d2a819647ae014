//! `[chains.<id>]`.

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::{Address, U256, utils::parse_ether};
use chain::{finality::FinalityRule, keys::KeySource};
use prices::Usd;
use service::config::{FromToml, Section};
use url::Url;

/// One chain the solver serves.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// RPC URLs; the manifest's when empty.
    pub rpc: Vec<Url>,
    /// WebSocket URLs, which tell of new blocks sooner than asking does; the manifest's when empty.
    pub ws: Vec<Url>,
    /// Keys of the wallets that fill, prove and claim here.
    pub wallets: Vec<KeySource>,
    /// Symbol of the native currency's price.
    pub native: String,
    /// Native currency that every wallet keeps for gas, in wei.
    pub gas_reserve: U256,
    /// Most wei per gas that a transaction of ours offers; dearer gas is waited out.
    pub max_gas_price: u128,
    /// When one of our own transactions counts as final.
    pub confirm: FinalityRule,
    /// How often new blocks are asked for.
    pub poll: Duration,
    /// How deep a vault's balance must be before an order of a value is filled.
    pub confirmations: Vec<Confirmation>,
    /// Where OP stack chains tell their L1 data fee; Arbitrum's needs no address.
    pub l1_fee: L1Fee,
    /// The tokens that are known, by symbol.
    pub tokens: BTreeMap<String, TokenConfig>,
}

/// How the chain charges for posting a transaction's data to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L1Fee {
    /// It does not, or it is part of the gas estimate.
    None,
    /// Arbitrum: asked from `NodeInterface.gasEstimateL1Component`; part of the estimate.
    Arbitrum,
    /// OP stack: asked from `GasPriceOracle.getL1Fee` and paid beside the gas.
    OpStack,
}

impl std::str::FromStr for L1Fee {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "none" => Ok(Self::None),
            "arbitrum" => Ok(Self::Arbitrum),
            "op_stack" => Ok(Self::OpStack),
            _ => Err(()),
        }
    }
}

/// From a value on, a vault's balance must have been there this many blocks ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Rewards worth at least this.
    pub above: Usd,
    /// Blocks.
    pub blocks: u64,
}

/// A token the solver takes as reward and pays out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// Its contract.
    pub address: Address,
    /// Its decimals.
    pub decimals: u8,
    /// Symbol of its price.
    pub price: String,
    /// Whole tokens below which an alert is raised.
    pub low: Option<Usd>,
}

impl ChainConfig {
    /// How many blocks deep the reward of an order of this value must lie.
    pub fn confirmations_for(&self, value: Usd) -> u64 {
        let reached = self.confirmations.iter().filter(|c| value >= c.above);
        reached.map(|c| c.blocks).max().unwrap_or(0)
    }
}

impl FromToml for ChainConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let rpc = section.list("rpc", "URLs");
        let ws = section.list("ws", "URLs");
        let wallets = KeySource::all_configured(section, "wallets");
        let native = section.required("native", "the symbol of a price");
        let reserve: String = section.or_default("gas_reserve", "0.05".into(), "whole tokens");
        let gwei: u64 = section.or_default("max_gas_price", 200, "gwei");
        let confirm = section.or_default(
            "confirm",
            FinalityRule::Blocks(1),
            "finalized, safe, latest, instant or blocks(N)",
        );
        let poll = section.duration_or("poll", Duration::from_millis(250));
        let confirmations = section.tables("confirmations");
        let l1_fee = section.or_default("l1_fee", L1Fee::None, "none, arbitrum or op_stack");
        let tokens = section.sections("tokens");
        let gas_reserve = parse_ether(&reserve).ok();
        if gas_reserve.is_none() {
            section.fault("gas_reserve", "whole tokens such as \"0.05\"", &reserve);
        }
        Some(Self {
            rpc,
            ws,
            wallets: wallets?,
            native: native?,
            gas_reserve: gas_reserve?,
            max_gas_price: u128::from(gwei) * 1_000_000_000,
            confirm,
            poll,
            confirmations: confirmations?,
            l1_fee,
            tokens: tokens?,
        })
    }
}

impl FromToml for Confirmation {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let above = section.required("above", "dollars such as \"1000\"");
        let blocks = section.required("blocks", "a number of blocks");
        Some(Self { above: above?, blocks: blocks? })
    }
}

impl FromToml for TokenConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let address = section.required("address", "an address");
        let decimals = section.required("decimals", "a number of decimals");
        let name = section.name().to_owned();
        let price = section.or_default("price", name, "the symbol of a price");
        let low = section.optional("low", "whole tokens");
        Some(Self { address: address?, decimals: decimals?, price, low })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_grow_with_value() {
        let text = r#"
            wallets = ["0x0000000000000000000000000000000000000000000000000000000000000001"]
            native = "ETH"
            confirmations = [{ above = "100", blocks = 1 }, { above = "10000", blocks = 12 }]
        "#;
        let chain: ChainConfig = service::config::parse(text).unwrap();
        for (dollars, blocks) in [(0, 0), (99, 0), (100, 1), (9_999, 1), (10_000, 12)] {
            assert_eq!(chain.confirmations_for(Usd::dollars(dollars)), blocks);
        }
    }
}
