//! The configuration file.
//!
//! ```toml
//! manifest = "manifest.json"
//! deployer = "env:DEPLOYER_KEY"
//! owner = "0x…"            # a timelock, in production
//! salt = "mainnet-1"
//!
//! [chains.alpha]
//! chain_id = 700001
//! rpc = ["https://rpc.alpha.example"]
//! stack = "nitro"
//! data_availability = "ethereum"
//! finality = "finalized"
//!
//! [chains.alpha.validators.instant]
//! threshold = 2
//! validators = ["0x…", "0x…", "0x…"]
//!
//! [chains.alpha.gas.beta]   # what it costs to deliver from alpha to beta
//! price = 100000000
//! exchange_rate = 10000000000
//! overhead = 125000
//! ```

use std::collections::BTreeMap;

use alloy::primitives::Address;
use chain::{
    FinalityRule, KeySource,
    manifest::{TierName, ValidatorSet},
};
use protocol::ids::{ChainId, Domain};
use service::config::{FromToml, Section};

use super::{ChainConfig, Config, ExistingCore, RemoteGas};

const AN_ADDRESS: &str = "an address (0x and 40 hexadecimal digits)";

impl FromToml for Config {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let chains = section.sections("chains");
        let manifest = section.path("manifest");
        let deployer = KeySource::configured(section, "deployer");
        let owner = section.optional("owner", AN_ADDRESS);
        let guardian = section.optional("guardian", AN_ADDRESS);
        let dev = section.or_default("dev", false, "true or false");
        let salt = section.or_default("salt", "metalayer-1".to_owned(), "a text");
        let test_token = section.or_default("test_token", false, "true or false");
        let multicall = section.or_default("multicall", true, "true or false");
        let hyperlane_dir = section.optional_path("hyperlane_dir");
        Some(Self {
            chains: chains?,
            manifest: manifest?,
            deployer: deployer?,
            owner,
            guardian,
            dev,
            salt,
            test_token,
            multicall,
            hyperlane_dir,
        })
    }
}

impl FromToml for ChainConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let chain_id: Option<u64> = section.required("chain_id", "the EIP-155 chain id");
        let domain: Option<u32> = section.optional("domain", "a messaging id below 2^32");
        let rpc = section.required_list("rpc", "an http or https URL");
        let ws = section.list("ws", "a ws or wss URL");
        let stack = section.or_default("stack", "nitro".to_owned(), "nitro, op, zksync or evm");
        let data_availability =
            section.or_default("data_availability", "ethereum".to_owned(), "a name");
        let finality: Option<FinalityRule> =
            section.required("finality", "finalized, safe, latest, instant or blocks(N)");
        let native_erc20 = section.or_default("native_erc20", Address::ZERO, AN_ADDRESS);
        let router_initial_nonce = section.or_default("router_initial_nonce", 0, "a number");
        let read_urls = section.list("read_urls", "a URL");
        if read_urls.len() == 1 {
            section.fault("read_urls", "none, or those of two gateways at least", "one");
        }
        let validators = section.optional_section::<Sets>("validators");
        let gas = section.sections("gas");
        let hyperlane = section.optional_section("hyperlane");
        let chain_id = chain_id?;
        Some(Self {
            chain_id: ChainId(chain_id),
            // An id that is no domain is reported by the check that they are equal.
            domain: Domain(domain.unwrap_or_else(|| u32::try_from(chain_id).unwrap_or(u32::MAX))),
            rpc: rpc?,
            ws,
            stack,
            data_availability,
            finality: finality?,
            native_erc20,
            router_initial_nonce,
            read_urls,
            validators: validators.map(|sets| sets.0).unwrap_or_default(),
            gas: gas?,
            hyperlane,
        })
    }
}

/// `[chains.X.validators]`: a table for each tier.
struct Sets(BTreeMap<TierName, ValidatorSet>);

/// `[chains.X.validators.<tier>]`.
struct Set(ValidatorSet);

impl FromToml for Sets {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let tiers = [
            (TierName::Instant, section.optional_section::<Set>("instant")),
            (TierName::Finalized, section.optional_section::<Set>("finalized")),
            (TierName::Espresso, section.optional_section::<Set>("espresso")),
        ];
        let sets = tiers.into_iter().filter_map(|(tier, set)| Some((tier, set?.0)));
        Some(Self(sets.collect()))
    }
}

impl FromToml for Set {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let validators = section.required_list("validators", AN_ADDRESS);
        let threshold = section.required("threshold", "how many must sign");
        Some(Self(ValidatorSet { validators: validators?, threshold: threshold? }))
    }
}

impl FromToml for RemoteGas {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let price = section.required("price", "wei of the remote chain per gas");
        let exchange_rate = section.or_default(
            "exchange_rate",
            default.exchange_rate,
            "the remote token's value in the local one, times 10^10",
        );
        let overhead = section.or_default("overhead", default.overhead, "an amount of gas");
        Some(Self { price: price?, exchange_rate, overhead })
    }
}

impl FromToml for ExistingCore {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let mailbox = section.required("mailbox", AN_ADDRESS);
        let merkle_tree_hook = section.required("merkle_tree_hook", AN_ADDRESS);
        let igp = section.required("igp", AN_ADDRESS);
        let gas_oracle = section.required("gas_oracle", AN_ADDRESS);
        let validator_announce = section.required("validator_announce", AN_ADDRESS);
        let message_id_multisig_factory =
            section.required("message_id_multisig_factory", AN_ADDRESS);
        let aggregation_factory = section.required("aggregation_factory", AN_ADDRESS);
        Some(Self {
            mailbox: mailbox?,
            merkle_tree_hook: merkle_tree_hook?,
            igp: igp?,
            gas_oracle: gas_oracle?,
            validator_announce: validator_announce?,
            message_id_multisig_factory: message_id_multisig_factory?,
            aggregation_factory: aggregation_factory?,
        })
    }
}
