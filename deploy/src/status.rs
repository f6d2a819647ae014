//! How a deployment is doing, on one screen.

use std::{collections::BTreeMap, fmt, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256, utils::format_ether},
};
use chain::{
    ChainClient, Manifest, client,
    client::ClientOptions,
    manifest::{ChainManifest, TierName},
};
use futures::future::join_all;
use protocol::{
    abi::{
        arbos::{ARB_WASM, ArbWasm},
        hyperlane::{Mailbox, MerkleTreeHook},
        ism, router,
    },
    finality::Tier,
};
use serde::Serialize;

/// Programs closer to their end than this are extended by every relayer.
const KEEP_ALIVE: Duration = Duration::from_secs(90 * DAY);
/// Programs closer to their end than this are an alarm: nobody keeps them alive.
const ALARM: Duration = Duration::from_secs(60 * DAY);
const DAY: u64 = 24 * 3600;

/// A deployment as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The chains, by name.
    pub chains: BTreeMap<String, ChainState>,
}

/// A chain, if it answers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainState {
    /// It does.
    Reached(ChainStatus),
    /// It does not, for this reason.
    NotReached(String),
}

/// One chain as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct ChainStatus {
    /// Newest block.
    pub block: u64,
    /// Next nonce of the router.
    pub router_nonce: u32,
    /// Next nonce of the mailbox.
    pub mailbox_nonce: u32,
    /// Leaves of the tree.
    pub leaves: u32,
    /// Whether sending is paused.
    pub paused: bool,
    /// Origins and tiers whose messages are not let in for now.
    pub suspended: Vec<(u32, TierName)>,
    /// Wei that the owner has.
    pub owner_balance: U256,
    /// Wei that the paymaster has collected.
    pub paymaster_balance: U256,
    /// How long each program still runs; `None` for one that does not run at all.
    pub programs: Vec<(String, Option<Duration>)>,
}

impl ChainStatus {
    /// Names of programs that do not run, or that nobody keeps alive.
    pub fn alarms(&self) -> impl Iterator<Item = &str> {
        self.programs
            .iter()
            .filter(|(_, left)| left.is_none_or(|left| left < ALARM))
            .map(|(name, _)| name.as_str())
    }
}

/// Asks every chain of a manifest.
///
/// # Errors
/// Only when no client can be made; a chain that does not answer is part of the status.
pub async fn status(manifest: &Manifest) -> Result<Status, client::Error> {
    let chains = manifest.iter().map(|(name, chain)| async move {
        let client = ChainClient::new(chain.chain_id, &chain.rpc, ClientOptions::default())?;
        let state = match chain_status(&client, chain).await {
            Ok(status) => ChainState::Reached(status),
            Err(error) => ChainState::NotReached(error.to_string()),
        };
        Ok((name.to_owned(), state))
    });
    let chains = join_all(chains).await.into_iter().collect::<Result<_, client::Error>>()?;
    Ok(Status { chains })
}

async fn chain_status(
    client: &ChainClient,
    chain: &ChainManifest,
) -> Result<ChainStatus, client::Error> {
    let latest = BlockNumberOrTag::Latest;
    let contracts = &chain.contracts;
    let mut programs = Vec::new();
    for (name, record) in &chain.programs {
        for program in &record.addresses {
            programs.push((name.clone(), time_left(client, *program).await?));
        }
    }
    let mut suspended = Vec::new();
    for (origin, tiers) in &chain.modules {
        for tier in tiers.keys() {
            let call = ism::suspendedCall { origin: origin.0, tier: Tier::from(*tier).byte() };
            if client.call(contracts.ism, &call, latest).await? {
                suspended.push((origin.0, *tier));
            }
        }
    }
    Ok(ChainStatus {
        block: client.latest().await?.number,
        router_nonce: client.call(contracts.router, &router::nonceCall {}, latest).await?,
        mailbox_nonce: client.call(contracts.mailbox, &Mailbox::nonceCall {}, latest).await?,
        leaves: client
            .call(contracts.merkle_tree_hook, &MerkleTreeHook::countCall {}, latest)
            .await?,
        paused: client.call(contracts.router, &router::pausedCall {}, latest).await?,
        suspended,
        owner_balance: client.balance(contracts.owner, latest).await?,
        paymaster_balance: client.balance(contracts.igp, latest).await?,
        programs,
    })
}

async fn time_left(
    client: &ChainClient,
    program: Address,
) -> Result<Option<Duration>, client::Error> {
    let call = ArbWasm::programTimeLeftCall { program };
    match client.call(ARB_WASM, &call, BlockNumberOrTag::Latest).await {
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Err(client::Error::Reverted { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, chain) in &self.chains {
            match chain {
                ChainState::Reached(chain) => write_chain(f, name, chain)?,
                ChainState::NotReached(error) => {
                    writeln!(f, "{name:<12} NOT REACHED: {error}")?;
                }
            }
        }
        Ok(())
    }
}

fn write_chain(f: &mut fmt::Formatter<'_>, name: &str, chain: &ChainStatus) -> fmt::Result {
    writeln!(
        f,
        "{name:<12} block {}  messages {}  leaves {}  owner {} ether  paymaster {} ether{}",
        chain.block,
        chain.router_nonce,
        chain.leaves,
        format_ether(chain.owner_balance),
        format_ether(chain.paymaster_balance),
        if chain.paused { "  PAUSED" } else { "" },
    )?;
    for (origin, tier) in &chain.suspended {
        writeln!(f, "{:<12} SUSPENDED: {tier:?} messages of domain {origin}", "")?;
    }
    let shortest = chain.programs.iter().min_by_key(|(_, left)| *left);
    let Some((program, left)) = shortest else { return Ok(()) };
    match left {
        None => writeln!(f, "{:<12} NOT RUNNING: {program}", ""),
        Some(left) => writeln!(
            f,
            "{:<12} {} programs, the first to expire is {program} in {} days{}",
            "",
            chain.programs.len(),
            left.as_secs() / DAY,
            match *left {
                left if left < ALARM => ": NOBODY KEEPS IT ALIVE",
                left if left < KEEP_ALIVE => ": due for keep-alive",
                _ => "",
            },
        ),
    }
}
