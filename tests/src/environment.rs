//! Chains that somebody else runs, named by the environment, so that the same cases run on a real node.

use std::{collections::BTreeMap, env, io::Write, net::SocketAddr, path::PathBuf};

use alloy::{primitives::U256, rpc::types::BlockNumberOrTag, signers::local::PrivateKeySigner};
use chain::{ChainClient, FinalityRule, KeySource, Manifest, client::ClientOptions};
use cli::{
    local::{self, External, Funds, Holder, Keyring},
    wallet::{Call, Wallet},
};
use eyre::{OptionExt, WrapErr, ensure};
use protocol::ids::Domain;
use url::Url;

/// JSON-RPC URL of the chain where transfers begin.
const RPC_A: &str = "E2E_RPC_A";
/// JSON-RPC URL of the chain where they end.
const RPC_B: &str = "E2E_RPC_B";
/// Key of an account with money on both, in hexadecimal.
const FUNDED: &str = "E2E_FUNDED_KEY";
/// When their blocks are final; `finalized` by default.
const FINALITY: &str = "E2E_FINALITY";

/// What each deployment's own account is given, in hundredths of the native token.
const DEPLOYER_FUNDS: u64 = 5_000;

/// Two chains and somebody with money on them.
#[derive(Debug)]
pub(crate) struct Endpoints {
    rpcs: [Url; 2],
    funded: PrivateKeySigner,
    finality: FinalityRule,
}

impl Endpoints {
    /// What the environment names; `None` when it names nothing.
    pub(crate) fn from_environment() -> eyre::Result<Option<Self>> {
        let (Ok(origin), Ok(destination)) = (env::var(RPC_A), env::var(RPC_B)) else {
            ensure!(
                env::var(RPC_A).is_err() && env::var(RPC_B).is_err(),
                "{RPC_A} and {RPC_B} belong together"
            );
            return Ok(None);
        };
        let funded = KeySource::Env(FUNDED.to_owned()).load()?;
        let finality = env::var(FINALITY).unwrap_or_else(|_| "finalized".to_owned());
        Ok(Some(Self {
            rpcs: [origin.parse().wrap_err(RPC_A)?, destination.parse().wrap_err(RPC_B)?],
            funded,
            finality: finality.parse().wrap_err(FINALITY)?,
        }))
    }

    /// Deploys with an account of its own, so that no case meets the contracts of another.
    pub(crate) async fn deploy(
        self,
        keys: &Keyring,
        holders: &[Holder],
        path: PathBuf,
        relayer: SocketAddr,
    ) -> eyre::Result<(Manifest, [u64; 2])> {
        let deployer = PrivateKeySigner::random();
        let digits = alloy::primitives::hex::encode(deployer.to_bytes());
        let mut chains = BTreeMap::new();
        let mut ids = Vec::new();
        for rpc in &self.rpcs {
            let client = ChainClient::connect(std::slice::from_ref(rpc), ClientOptions::default());
            let client = client.await?;
            ids.push(client.chain_id().0);
            chains.insert(format!("chain-{}", client.chain_id().0), self.chain(&client, rpc)?);
            let value = U256::from(DEPLOYER_FUNDS) * U256::from(10).pow(U256::from(16));
            let held = client.balance(self.funded.address(), BlockNumberOrTag::Latest).await?;
            ensure!(held > value, "{FUNDED}: expected more than {value} wei, given {held}");
            let gift = Call { to: deployer.address(), data: [].into(), value, gas_limit: None };
            Wallet::new(self.funded.clone(), client).send(gift).await?;
        }
        let external = External {
            funded: KeySource::Raw(digits),
            salt: "e2e".to_owned(),
            test_token: true,
            funds: Funds::default(),
            chains,
        };
        external.check(keys, holders).await?;
        external.fund(keys, holders).await?;
        let config = local::external_deployment(&external, keys, path.clone())?;
        let manifest = deploy::apply(local::with_gateway(config, relayer)).await?;
        manifest.save(&path)?;
        let given =
            holders.iter().filter(|holder| matches!(holder, Holder::Solver(_) | Holder::User(_)));
        let given = given.map(|holder| keys.address(*holder)).collect::<eyre::Result<Vec<_>>>()?;
        local::give_test_tokens(&manifest, &deployer, &given).await?;
        let ids = ids.try_into().ok();
        Ok((manifest, ids.ok_or_eyre("two chains")?))
    }

    fn chain(&self, client: &ChainClient, rpc: &Url) -> eyre::Result<deploy::ChainConfig> {
        Ok(deploy::ChainConfig {
            chain_id: client.chain_id(),
            domain: Domain(u32::try_from(client.chain_id().0)?),
            rpc: vec![rpc.clone()],
            ws: Vec::new(),
            stack: "nitro".to_owned(),
            data_availability: "none".to_owned(),
            finality: self.finality,
            native_erc20: alloy::primitives::Address::ZERO,
            router_initial_nonce: 0,
            read_urls: Vec::new(),
            validators: BTreeMap::new(),
            gas: BTreeMap::new(),
            hyperlane: None,
        })
    }
}

/// Says that a case was not run.
pub(crate) fn skipped(why: &str) {
    // Whoever runs the cases reads stderr; a closed one changes nothing.
    let _ = writeln!(std::io::stderr(), "skipped on {RPC_A} and {RPC_B}: {why}");
}
