//! What is wanted: chains, validators, tiers, gas prices.

mod toml;

use std::{collections::BTreeMap, path::PathBuf};

use alloy::primitives::{Address, B256, keccak256};
use chain::{
    FinalityRule, KeySource,
    manifest::{TierName, ValidatorSet},
};
use protocol::ids::{ChainId, Domain};
use url::Url;

/// A deployment as its operator wants it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The chains, by name.
    pub chains: BTreeMap<String, ChainConfig>,
    /// Where the manifest is written. The journal of sent transactions lies beside it.
    pub manifest: PathBuf,
    /// The account that deploys on every chain: with the programs' code it decides their addresses.
    pub deployer: KeySource,
    /// Who owns everything in the end; the deployer when left out, which only a development deployment may.
    pub owner: Option<Address>,
    /// Who may pause and suspend; the owner when left out.
    pub guardian: Option<Address>,
    /// Whether this is a development deployment: no timelock is asked of the owner.
    pub dev: bool,
    /// Distinguishes deployments by one deployer: part of every salt.
    pub salt: String,
    /// Whether to deploy the token with an open mint (development only).
    pub test_token: bool,
    /// Whether to deploy our Multicall.
    pub multicall: bool,
    /// Folder with Hyperlane's package, for machines without network.
    pub hyperlane_dir: Option<PathBuf>,
}

/// One chain as it is wanted.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// EIP-155 id.
    pub chain_id: ChainId,
    /// Messaging id. Must be the chain id: see [`Config::check`].
    pub domain: Domain,
    /// RPC URLs, in order of preference.
    pub rpc: Vec<Url>,
    /// WebSocket URLs.
    pub ws: Vec<Url>,
    /// Rollup stack.
    pub stack: String,
    /// Where its data goes.
    pub data_availability: String,
    /// When a block counts as final for the finalized tier.
    pub finality: FinalityRule,
    /// The ERC-20 that mirrors the native balance, zero where there is none.
    pub native_erc20: Address,
    /// First nonce of the router: above every nonce that an earlier router of this domain used.
    pub router_initial_nonce: u32,
    /// Gateways of at least two operators that serve attested reads; may be set later.
    pub read_urls: Vec<String>,
    /// Who vouches for this chain's messages, by tier.
    pub validators: BTreeMap<TierName, ValidatorSet>,
    /// What it costs to deliver to each remote chain, by the remote's name.
    pub gas: BTreeMap<String, RemoteGas>,
    /// An existing Hyperlane deployment to use instead of a new one.
    pub hyperlane: Option<ExistingCore>,
}

/// What the paymaster knows of a remote chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteGas {
    /// Wei of the remote chain per gas.
    pub price: u128,
    /// Value of the remote's native token in the local one, scaled by 10^10.
    pub exchange_rate: u128,
    /// Gas added to every limit: what mailbox, module and router use when cold.
    pub overhead: u64,
}

impl Default for RemoteGas {
    fn default() -> Self {
        Self {
            price: 100_000_000,
            exchange_rate: 10_000_000_000,
            // Integrators add 125,000 to their own 100,000: the overhead stays at or below that.
            overhead: 125_000,
        }
    }
}

/// Addresses of a Hyperlane deployment that is already there. Its owner wires it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingCore {
    /// Mailbox.
    pub mailbox: Address,
    /// MerkleTreeHook.
    pub merkle_tree_hook: Address,
    /// InterchainGasPaymaster.
    pub igp: Address,
    /// StorageGasOracle.
    pub gas_oracle: Address,
    /// ValidatorAnnounce.
    pub validator_announce: Address,
    /// StaticMessageIdMultisigIsmFactory.
    pub message_id_multisig_factory: Address,
    /// StaticAggregationIsmFactory.
    pub aggregation_factory: Address,
}

/// A configuration that must not be deployed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A domain that is not the chain id would need an entry in every prover that is already deployed.
    #[error(
        "chain `{name}`: domain {domain} is not its chain id {chain_id}: existing provers map a domain to the chain id of \
         the same number, and their maps cannot be changed"
    )]
    DomainIsNotChainId {
        /// The chain.
        name: String,
        /// Its messaging id.
        domain: Domain,
        /// Its EIP-155 id.
        chain_id: ChainId,
    },
    /// Two chains have one id.
    #[error("chains `{first}` and `{second}` have the same chain id {chain_id}")]
    SameChain {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// Their id.
        chain_id: ChainId,
    },
    /// A key that signs for two tiers makes the slower one as fast as the other.
    #[error("chain `{name}`: validator {validator} stands in two tiers, {tiers}: keys must differ")]
    SharedKey {
        /// The chain.
        name: String,
        /// The validator.
        validator: Address,
        /// The tiers.
        tiers: String,
    },
    /// A set without validators, with a threshold it cannot reach, or with one validator twice.
    #[error("chain `{name}`: the {tier:?} set wants {threshold} of {size} distinct validators")]
    BadSet {
        /// The chain.
        name: String,
        /// The tier.
        tier: TierName,
        /// Signatures wanted.
        threshold: u8,
        /// Distinct validators.
        size: usize,
    },
    /// There is nothing to deploy on.
    #[error("no chain: add a table [chains.<name>]")]
    NoChain,
    /// Nobody would vouch for the chain's messages.
    #[error(
        "chain `{name}` has no validators: nothing could leave it; add [chains.{name}.validators.<tier>]"
    )]
    NoValidators {
        /// The chain.
        name: String,
    },
    /// The paymaster must know every remote.
    #[error("chain `{name}` has no gas entry for `{remote}`: dispatch there would revert")]
    NoGasEntry {
        /// The chain.
        name: String,
        /// The remote.
        remote: String,
    },
    /// A gas entry for a chain that is not part of the deployment.
    #[error("chain `{name}` has a gas entry for `{remote}`, which is no chain of this deployment")]
    UnknownRemote {
        /// The chain.
        name: String,
        /// The remote.
        remote: String,
    },
    /// A gas entry that prices delivery at nothing.
    #[error(
        "chain `{name}`: gas for `{remote}` costs nothing: price and exchange rate must not be zero"
    )]
    FreeGas {
        /// The chain.
        name: String,
        /// The remote.
        remote: String,
    },
    /// In production the owner is somebody else than the key that deploys.
    #[error("a deployment that is not `dev` needs an `owner` (a timelock)")]
    NoOwner,
    /// The open mint is for development.
    #[error("the test token is for `dev` deployments only")]
    TestTokenInProduction,
}

impl Config {
    /// The salt of one contract: the same on every chain.
    pub fn salt_of(&self, name: &str) -> B256 {
        keccak256(format!("metalayer/{}/{name}", self.salt))
    }

    /// Every fault of the configuration that can be seen without a chain.
    ///
    /// # Errors
    /// All of them at once.
    pub fn check(&self) -> Result<(), Vec<ConfigError>> {
        let mut faults = Vec::new();
        if self.chains.is_empty() {
            faults.push(ConfigError::NoChain);
        }
        for (name, chain) in &self.chains {
            self.check_ids(name, chain, &mut faults);
            check_validators(name, chain, &mut faults);
            self.check_gas(name, chain, &mut faults);
        }
        if !self.dev && self.owner.is_none() {
            faults.push(ConfigError::NoOwner);
        }
        if !self.dev && self.test_token {
            faults.push(ConfigError::TestTokenInProduction);
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    fn check_ids(&self, name: &str, chain: &ChainConfig, faults: &mut Vec<ConfigError>) {
        if u64::from(chain.domain.0) != chain.chain_id.0 {
            faults.push(ConfigError::DomainIsNotChainId {
                name: name.to_owned(),
                domain: chain.domain,
                chain_id: chain.chain_id,
            });
        }
        let twin = self
            .chains
            .iter()
            .find(|(other, twin)| other.as_str() > name && twin.chain_id == chain.chain_id);
        if let Some((second, _)) = twin {
            faults.push(ConfigError::SameChain {
                first: name.to_owned(),
                second: second.clone(),
                chain_id: chain.chain_id,
            });
        }
    }

    fn check_gas(&self, name: &str, chain: &ChainConfig, faults: &mut Vec<ConfigError>) {
        for remote in self.chains.keys().filter(|remote| *remote != name) {
            match chain.gas.get(remote) {
                None => faults.push(ConfigError::NoGasEntry {
                    name: name.to_owned(),
                    remote: remote.clone(),
                }),
                Some(gas) if gas.price == 0 || gas.exchange_rate == 0 => {
                    faults.push(ConfigError::FreeGas {
                        name: name.to_owned(),
                        remote: remote.clone(),
                    });
                }
                Some(_) => {}
            }
        }
        for remote in chain.gas.keys().filter(|remote| !self.chains.contains_key(*remote)) {
            faults
                .push(ConfigError::UnknownRemote { name: name.to_owned(), remote: remote.clone() });
        }
    }
}

fn check_validators(name: &str, chain: &ChainConfig, faults: &mut Vec<ConfigError>) {
    if chain.validators.is_empty() {
        faults.push(ConfigError::NoValidators { name: name.to_owned() });
    }
    let mut seen: BTreeMap<Address, TierName> = BTreeMap::new();
    for (tier, set) in &chain.validators {
        let mut distinct = set.validators.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let complete = distinct.len() == set.validators.len();
        if !complete || set.threshold == 0 || usize::from(set.threshold) > distinct.len() {
            faults.push(ConfigError::BadSet {
                name: name.to_owned(),
                tier: *tier,
                threshold: set.threshold,
                size: distinct.len(),
            });
        }
        for validator in distinct {
            if let Some(other) = seen.insert(validator, *tier) {
                faults.push(ConfigError::SharedKey {
                    name: name.to_owned(),
                    validator,
                    tiers: format!("{other:?} and {tier:?}"),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;

    use super::*;

    const ALICE: Address = address!("0x00000000000000000000000000000000000a11ce");
    const BOB: Address = address!("0x0000000000000000000000000000000000000b0b");

    fn chain(id: u32) -> ChainConfig {
        let set = |validator| ValidatorSet { validators: vec![validator], threshold: 1 };
        ChainConfig {
            chain_id: ChainId(id.into()),
            domain: Domain(id),
            rpc: vec!["http://localhost".parse().unwrap()],
            ws: Vec::new(),
            stack: "nitro".to_owned(),
            data_availability: "ethereum".to_owned(),
            finality: FinalityRule::Instant,
            native_erc20: Address::ZERO,
            router_initial_nonce: 0,
            read_urls: Vec::new(),
            validators: [(TierName::Instant, set(ALICE)), (TierName::Finalized, set(BOB))].into(),
            gas: BTreeMap::new(),
            hyperlane: None,
        }
    }

    fn two_chains() -> Config {
        let mut chains: BTreeMap<String, ChainConfig> =
            [("a".to_owned(), chain(1)), ("b".to_owned(), chain(2))].into();
        chains.get_mut("a").unwrap().gas.insert("b".to_owned(), RemoteGas::default());
        chains.get_mut("b").unwrap().gas.insert("a".to_owned(), RemoteGas::default());
        Config {
            chains,
            manifest: "manifest.json".into(),
            deployer: KeySource::Env("DEPLOYER".to_owned()),
            owner: None,
            guardian: None,
            dev: true,
            salt: "test".to_owned(),
            test_token: false,
            multicall: false,
            hyperlane_dir: None,
        }
    }

    #[test]
    fn a_sound_configuration_has_no_fault() {
        assert_eq!(two_chains().check(), Ok(()));
    }

    #[test]
    fn every_fault_is_found() {
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 11] = [
            ("no chain", |c| c.chains.clear()),
            ("has no validators", |c| c.chains.get_mut("a").unwrap().validators.clear()),
            ("is not its chain id", |c| c.chains.get_mut("a").unwrap().domain = Domain(9)),
            ("same chain id", |c| {
                let twin = c.chains.get_mut("b").unwrap();
                twin.chain_id = ChainId(1);
                twin.domain = Domain(1);
            }),
            ("keys must differ", |c| {
                let chain = c.chains.get_mut("a").unwrap();
                chain.validators.get_mut(&TierName::Finalized).unwrap().validators[0] = ALICE;
            }),
            ("distinct validators", |c| {
                let chain = c.chains.get_mut("a").unwrap();
                chain.validators.get_mut(&TierName::Instant).unwrap().threshold = 2;
            }),
            ("no gas entry", |c| c.chains.get_mut("a").unwrap().gas.clear()),
            ("no chain of this deployment", |c| {
                let gas = RemoteGas::default();
                c.chains.get_mut("a").unwrap().gas.insert("z".to_owned(), gas);
            }),
            ("costs nothing", |c| {
                c.chains.get_mut("a").unwrap().gas.get_mut("b").unwrap().price = 0;
            }),
            ("needs an `owner`", |c| c.dev = false),
            ("`dev` deployments only", |c| {
                c.dev = false;
                c.owner = Some(ALICE);
                c.test_token = true;
            }),
        ];
        for (words, spoil) in cases {
            let mut config = two_chains();
            spoil(&mut config);
            let faults = config.check().unwrap_err();
            assert!(
                faults.iter().any(|fault| fault.to_string().contains(words)),
                "{words}: {faults:?}"
            );
        }
    }
}
