//! Asking the chains: both sides at once, each with all its questions at once.

use std::{sync::Arc, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use chain::{ChainClient, client};
use futures::future::{try_join, try_join_all};
use prices::Usd;
use protocol::{
    abi::{erc20, intent_source, prover},
    ids::ChainId,
    puppet,
};

use super::{
    Facts, Promise, ProofSeen, Simulation, VaultLeg, destination::DestinationSide, recent::Recents,
    shortened,
};
use crate::{
    engine::open_key,
    fill::{self, FillKind},
    money::{Asset, Rounding},
    network::{self, Network},
    order::{Order, State},
    policy::{Policy, Settlement},
    store::{self, Mode, Store},
    valuer::Valuer,
};

/// Why facts could not be had. Each may pass.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A chain did not answer.
    #[error(transparent)]
    Chain(#[from] client::Error),
    /// A chain is not served.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The books cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Gathers facts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gatherer {
    /// The chains.
    pub network: Network,
    /// What is served.
    pub policy: Arc<Policy>,
    /// The books.
    pub store: Store,
    /// Prices.
    pub valuer: Valuer,
    /// What was asked a moment ago and holds for a while.
    pub(crate) recents: Arc<Recents>,
}

/// What the origin says.
struct OriginSide {
    reward_status: u8,
    proof: ProofSeen,
    vault: Vec<VaultLeg>,
    payouts: Vec<(Address, Simulation)>,
}

impl Gatherer {
    /// Whether the vault holds the reward in the newest block.
    ///
    /// # Errors
    /// [`Fault`].
    pub(crate) async fn is_funded(&self, order: &Order) -> Result<bool, Fault> {
        Ok(is_full(&self.vault(order, 0).await?))
    }

    /// Everything the rules look at, with a fill of the given kind simulated from a wallet that
    /// can pay for it. `waiting` is how long a proof would wait for its batch.
    pub async fn gather(
        &self,
        order: &Order,
        kind: FillKind,
        waiting: Duration,
        mode: Mode,
        exposure: Usd,
    ) -> Result<Facts, Fault> {
        let earns = order.earns();
        let route_value = self.valuer.worth(&order.spends(), Rounding::Up);
        let reward_value = self.valuer.worth(&earns, Rounding::Down).unwrap_or_default();
        let origin = self.network.link(order.origin)?;
        let destination = self.network.link(order.destination())?;
        let served = self.policy.chain(order.origin);
        let confirmations = served.map_or(0, |chain| chain.confirmations_for(reward_value));
        let promise = self.promise(order).await?;
        let wallet = self.wallet(order, promise.is_some()).await?;
        let (origin_side, destination_side) =
            self.both_sides(order, kind, confirmations, wallet).await?;
        let estimate = match &route_value {
            Ok(_) => self.estimate(order, destination_side.plan.as_ref(), waiting).await?,
            Err(unknown) => Err(unknown.clone()),
        };
        Ok(Facts {
            mode,
            origin_time: origin.head().block.timestamp,
            destination_time: destination.head().block.timestamp,
            reward_status: origin_side.reward_status,
            proof: origin_side.proof,
            filled_by: destination_side.filled_by,
            vault: origin_side.vault,
            confirmations,
            payouts: origin_side.payouts,
            route_value: route_value.unwrap_or_default(),
            exposure,
            in_flight_of_creator: self.store.in_flight_of(order.reward().creator).await?,
            fill: destination_side.fill,
            estimate,
            promise,
            no_wallet: wallet.is_none(),
            plan: destination_side.plan,
        })
    }

    /// What both chains say. An order that has waited before has its fill tried only once its reward is there:
    /// what nobody funds must not cost an estimate at every look.
    async fn both_sides(
        &self,
        order: &Order,
        kind: FillKind,
        confirmations: u64,
        wallet: Option<Address>,
    ) -> Result<(OriginSide, DestinationSide), Fault> {
        let origin_side = self.origin_side(order, confirmations, wallet);
        if order.state != State::Waiting {
            return try_join(origin_side, self.destination_side(order, kind, wallet)).await;
        }
        let (origin_side, filled_by) = try_join(origin_side, self.filled_by(order)).await?;
        let (fill, plan) = if is_full(&origin_side.vault) || self.is_openable(order).await? {
            self.tried(order, kind, wallet).await?
        } else {
            (Simulation::Unclear(UNFUNDED.to_owned()), None)
        };
        Ok((origin_side, DestinationSide { filled_by, fill, plan }))
    }

    /// Whether the reward is to come by opening the order, which has to pay first and may still be done.
    async fn is_openable(&self, order: &Order) -> Result<bool, Fault> {
        let opening = self.store.outgoing(&open_key(order)).await?;
        let time = self.network.link(order.origin)?.head().block.timestamp;
        Ok(opening.is_some_and(|opening| opening.request.deadline.is_none_or(|end| time <= end)))
    }

    /// What the quote promised that this order takes, if it takes one on its terms and in time.
    pub async fn promise(&self, order: &Order) -> Result<Option<Promise>, Fault> {
        let Some(stored) = self.store.quote(order.route().salt).await? else { return Ok(None) };
        let untaken = stored.taken_by.is_none_or(|taker| taker == order.hash);
        let settlement = self.policy.settlement(order);
        let tier = match settlement {
            Some(Settlement::Message(tier)) => fill::security(tier),
            Some(Settlement::Local) | None => None,
        };
        let quote = stored.quote;
        let asset = |chain, token| Asset { chain: ChainId(chain), token };
        let pays = order.earns().iter().any(|a| {
            a.asset == asset(quote.origin_chain_id, quote.origin_token)
                && a.amount >= quote.amount_in.0
        });
        let takes = order.spends().iter().all(|a| {
            a.asset == asset(quote.destination_chain_id, quote.destination_token)
                && a.amount <= quote.amount_out.0
        });
        let in_time = order.created_at / 1_000 <= quote.expires_at;
        // It binds for one try, and as long as it said: whoever keeps a fill from working must not keep the price.
        let binds = order.attempt == 0 && order.route().deadline <= quote.route_deadline;
        let honoured = untaken
            && binds
            && pays
            && takes
            && in_time
            && tier == Some(quote.security)
            && order.reward().deadline >= quote.reward_deadline;
        Ok(honoured.then_some(Promise { gas: stored.gas, opening: quote.gasless }))
    }

    /// A wallet that can pay: the one that already holds a reservation, or the richest.
    pub(super) async fn wallet(
        &self,
        order: &Order,
        promised: bool,
    ) -> Result<Option<Address>, Fault> {
        if order.wallet.is_some() {
            return Ok(order.wallet);
        }
        if promised {
            let held = self.store.reserved_for(order.route().salt).await?;
            if let Some(reservation) = held.first() {
                return Ok(Some(reservation.wallet));
            }
        }
        let native = Asset::native(order.destination());
        let reserve = self.policy.chain(order.destination()).map_or(U256::ZERO, |c| c.gas_reserve);
        let mut candidates: Option<Vec<Address>> = None;
        let spends = order.spends();
        let gas_only = spends.iter().all(|a| a.asset != native);
        let needs = spends
            .iter()
            .map(|a| (a.asset, a.amount))
            .chain(gas_only.then_some((native, U256::ZERO)));
        for (asset, amount) in needs {
            let keep = if asset.is_native() { reserve } else { U256::ZERO };
            let rich: Vec<Address> = (self.store.free(asset).await?.into_iter())
                .filter(|(_, free)| *free >= amount.saturating_add(keep))
                .map(|(wallet, _)| wallet)
                .collect();
            candidates = Some(match candidates {
                None => rich,
                Some(before) => before.into_iter().filter(|w| rich.contains(w)).collect(),
            });
        }
        Ok(candidates.and_then(|wallets| wallets.first().copied()))
    }

    async fn origin_side(
        &self,
        order: &Order,
        confirmations: u64,
        wallet: Option<Address>,
    ) -> Result<OriginSide, Fault> {
        let link = self.network.link(order.origin)?;
        let (client, at) = (&link.client, BlockNumberOrTag::Latest);
        let source = self.policy.chain(order.origin).map_or(Address::ZERO, |c| c.intent_source);
        let vault = puppet::vault(source, order.hash);
        let status = intent_source::getRewardStatusCall { intentHash: order.hash.0 };
        let proven = prover::provenIntentsCall { intentHash: order.hash.0 };
        let claimant = wallet.unwrap_or(vault);
        let legs = order.earns();
        let tokens = legs.iter().filter(|leg| !leg.asset.is_native());
        let payouts = try_join_all(tokens.map(|leg| async move {
            let outcome = payout(client, leg.asset.token, vault, claimant, leg.amount).await?;
            Ok((leg.asset.token, outcome))
        }));
        let (vault, (reward_status, proof, payouts)) =
            try_join(self.vault(order, confirmations), async {
                Ok(tokio::try_join!(
                    client.call(source, &status, at),
                    client.call(order.reward().prover, &proven, at),
                    payouts,
                )?)
            })
            .await?;
        let proof = ProofSeen { claimant: proof.claimant, destination: proof.destination };
        // A payment that fails because the vault is not funded yet says nothing about the token.
        let payouts = if is_full(&vault) { payouts } else { Vec::new() };
        Ok(OriginSide { reward_status, proof, vault, payouts })
    }

    /// What the vault holds of each asset of the reward, now and so many blocks ago.
    async fn vault(&self, order: &Order, confirmations: u64) -> Result<Vec<VaultLeg>, Fault> {
        let link = self.network.link(order.origin)?;
        let source = self.policy.chain(order.origin).map_or(Address::ZERO, |c| c.intent_source);
        let vault = puppet::vault(source, order.hash);
        let deep = link.head().block.number.saturating_sub(confirmations);
        let legs = order.earns();
        let balances = legs.iter().map(|leg| async move {
            let held = |at| balance(&link.client, leg.asset.token, vault, at);
            let now = held(BlockNumberOrTag::Latest).await?;
            let confirmed = match confirmations {
                0 => now,
                _ => held(BlockNumberOrTag::Number(deep)).await?,
            };
            let confirmed = confirmed.min(now);
            Ok(VaultLeg { asset: leg.asset, needed: leg.amount, now, confirmed })
        });
        try_join_all(balances).await
    }
}

/// Why the fill of an order that waits for its reward was not tried.
const UNFUNDED: &str = "not tried before the reward is in the vault";

/// Whether a vault holds the whole reward in the newest block.
fn is_full(vault: &[VaultLeg]) -> bool {
    vault.iter().all(|leg| leg.now >= leg.needed)
}

/// The balance of a token or, for the zero address, of the native currency.
pub(crate) async fn balance(
    client: &ChainClient,
    token: Address,
    account: Address,
    at: BlockNumberOrTag,
) -> Result<U256, client::Error> {
    if token.is_zero() {
        client.balance(account, at).await
    } else {
        client.call(token, &erc20::balanceOfCall { account }, at).await
    }
}

/// Whether the vault could pay the claimant: a transfer from it, called and not sent.
async fn payout(
    client: &ChainClient,
    token: Address,
    vault: Address,
    claimant: Address,
    amount: U256,
) -> Result<Simulation, client::Error> {
    let call = erc20::transferCall { to: claimant, value: amount };
    let request =
        TransactionRequest::default().from(vault).to(token).input(call.abi_encode().into());
    match client.simulate(&request, BlockNumberOrTag::Latest).await {
        // Tokens that answer nothing have worked; those that answer must answer true.
        Ok(answer) if answer.is_empty() || U256::try_from_be_slice(&answer) == Some(U256::ONE) => {
            Ok(Simulation::Works(0))
        }
        Ok(answer) => Ok(Simulation::Fails(format!("answered {}", shortened(&answer.to_string())))),
        Err(error) if error.is_retryable() => Err(error),
        Err(error @ client::Error::Reverted { .. }) => {
            Ok(Simulation::Fails(shortened(&error.to_string())))
        }
        // A node's trouble is no property of the token.
        Err(error) => Ok(Simulation::Unclear(shortened(&error.to_string()))),
    }
}
