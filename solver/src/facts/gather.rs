//! Asking the chains: both sides at once, each with all its questions at once.

use std::{sync::Arc, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use chain::{ChainClient, client};
use futures::future::{try_join, try_join_all};
use protocol::{
    abi::{erc20, inbox, intent_source, prover},
    ids::{ChainId, Claimant},
    puppet,
};
use serde_json::json;

use super::{Facts, Plan, ProofSeen, Simulation, VaultLeg};
use crate::{
    config::L1Fee,
    data_fee::{GasSource, data_fee},
    fill::{self, FillKind, ProofTarget},
    money::{Asset, Rounding, Usd},
    network::{self, Network},
    order::Order,
    policy::{Policy, Settlement},
    pricing::{Estimate, Terms},
    store::{self, Mode, Store},
    valuer::{Unknown, Valuer},
};

/// Gas that withdrawing one reward takes at the origin when the vault is created on the way, with
/// room for programs that cost more than the measured reference.
const WITHDRAW_GAS: u64 = 250_000;

/// Gas assumed for a fill that could not be simulated, so that its price is still explained.
const ASSUMED_FILL_GAS: u64 = 400_000;

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
}

/// What the origin says.
struct OriginSide {
    reward_status: u8,
    proof: ProofSeen,
    vault: Vec<VaultLeg>,
    payouts: Vec<(Address, Simulation)>,
}

/// What the destination says.
struct DestinationSide {
    filled_by: B256,
    fill: Simulation,
    plan: Option<Plan>,
}

impl Gatherer {
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
        let promised = self.promised(order).await?;
        let wallet = self.wallet(order, promised.is_some()).await?;
        let (origin_side, destination_side) = try_join(
            self.origin_side(order, confirmations, wallet),
            self.destination_side(order, kind, wallet),
        )
        .await?;
        let estimate = match &route_value {
            Ok(_) => self.estimate(order, &destination_side, waiting).await?,
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
            promised: promised.is_some(),
            no_wallet: wallet.is_none(),
            plan: destination_side.plan,
        })
    }

    /// The quote of ours that this order takes, if it takes one on its terms and in time.
    pub async fn promised(&self, order: &Order) -> Result<Option<B256>, Fault> {
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
        let honoured = untaken
            && pays
            && takes
            && in_time
            && tier == Some(quote.security)
            && order.reward().deadline >= quote.reward_deadline;
        Ok(honoured.then_some(quote.id))
    }

    /// A wallet that can pay: the one that already holds a reservation, or the richest.
    async fn wallet(&self, order: &Order, promised: bool) -> Result<Option<Address>, Fault> {
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
        let deep = link.head().block.number.saturating_sub(confirmations);
        let claimant = wallet.unwrap_or(vault);
        let legs = order.earns();
        let balances = try_join_all(legs.iter().map(|leg| async move {
            let now = balance(client, leg.asset.token, vault, at).await?;
            let confirmed = match confirmations {
                0 => now,
                _ => {
                    balance(client, leg.asset.token, vault, BlockNumberOrTag::Number(deep)).await?
                }
            };
            Ok::<_, client::Error>(VaultLeg {
                asset: leg.asset,
                needed: leg.amount,
                now,
                confirmed: confirmed.min(now),
            })
        }));
        let tokens = legs.iter().filter(|leg| !leg.asset.is_native());
        let payouts = try_join_all(tokens.map(|leg| async move {
            let outcome = payout(client, leg.asset.token, vault, claimant, leg.amount).await?;
            Ok((leg.asset.token, outcome))
        }));
        let (reward_status, proof, vault, payouts) = tokio::try_join!(
            client.call(source, &status, at),
            client.call(order.reward().prover, &proven, at),
            balances,
            payouts,
        )?;
        let proof = ProofSeen { claimant: proof.claimant, destination: proof.destination };
        // A payment that fails because the vault is not funded yet says nothing about the token.
        let funded = vault.iter().all(|leg| leg.now >= leg.needed);
        let payouts = if funded { payouts } else { Vec::new() };
        Ok(OriginSide { reward_status, proof, vault, payouts })
    }

    async fn destination_side(
        &self,
        order: &Order,
        kind: FillKind,
        wallet: Option<Address>,
    ) -> Result<DestinationSide, Fault> {
        let link = self.network.link(order.destination())?;
        let inbox = self.policy.chain(order.destination()).map_or(Address::ZERO, |c| c.inbox);
        let call = inbox::claimantsCall { intentHash: order.hash.0 };
        let filled = link.client.call(inbox, &call, BlockNumberOrTag::Latest);
        let Some(wallet) = wallet else {
            let reason = "no wallet holds what the route takes".to_owned();
            let filled_by = filled.await?;
            return Ok(DestinationSide { filled_by, fill: Simulation::Fails(reason), plan: None });
        };
        let simulated = self.simulate(order, kind, wallet, inbox, &link.client);
        let (filled_by, (fill, plan)) = try_join(async { Ok(filled.await?) }, simulated).await?;
        Ok(DestinationSide { filled_by, fill, plan })
    }

    async fn simulate(
        &self,
        order: &Order,
        kind: FillKind,
        wallet: Address,
        inbox: Address,
        client: &ChainClient,
    ) -> Result<(Simulation, Option<Plan>), Fault> {
        let claimant = Claimant::from(wallet);
        let gas_limit = self.policy.batches().gas_limit(1);
        let proof_fee = match kind {
            FillKind::Alone => U256::ZERO,
            FillKind::WithProof(target) => {
                proof_fee(client, target, order, claimant, gas_limit).await?
            }
        };
        let value = order.route().nativeAmount.saturating_add(proof_fee);
        let data = fill::fulfill(order, claimant, kind, gas_limit);
        let request = TransactionRequest::default()
            .from(wallet)
            .to(inbox)
            .value(value)
            .input(data.clone().into());
        // On the pending block: another solver's fill may be in it already.
        let parameters = json!([request, BlockNumberOrTag::Pending]);
        match client.request::<U256>("eth_estimateGas", &parameters).await {
            Ok(gas) => {
                let gas = gas.saturating_to();
                let plan = Plan { wallet, kind, value, proof_fee, data, gas };
                Ok((Simulation::Works(gas), Some(plan)))
            }
            Err(error) if error.is_retryable() => Err(error.into()),
            Err(error) => Ok((Simulation::Fails(shortened(&error.to_string())), None)),
        }
    }

    /// The formula, with gas at today's price and the proof at the fee the prover asks.
    async fn estimate(
        &self,
        order: &Order,
        side: &DestinationSide,
        waiting: Duration,
    ) -> Result<Result<Estimate, Unknown>, Fault> {
        let destination = self.network.link(order.destination())?;
        let origin = self.network.link(order.origin)?;
        let fee_kind = |chain| self.policy.chain(chain).map_or(L1Fee::None, |c| c.l1_fee);
        let inbox = self.policy.chain(order.destination()).map_or(Address::ZERO, |c| c.inbox);
        let source = self.policy.chain(order.origin).map_or(Address::ZERO, |c| c.intent_source);
        let (gas, fee, data) = match &side.plan {
            Some(plan) => (plan.gas, plan.proof_fee, plan.data.clone()),
            None => (ASSUMED_FILL_GAS, U256::ZERO, Bytes::new()),
        };
        let withdrawal = fill::withdraw(std::slice::from_ref(order));
        let (fill_data, withdraw_data) = tokio::try_join!(
            data_fee(
                &destination.client,
                fee_kind(order.destination()),
                GasSource::Estimated,
                inbox,
                &data
            ),
            data_fee(
                &origin.client,
                fee_kind(order.origin),
                GasSource::Assumed,
                source,
                &withdrawal
            ),
        )?;
        let price = |gas: u64, head: network::Head| U256::from(gas) * U256::from(head.gas_price());
        let fill_gas = price(gas, destination.head()).saturating_add(fill_data);
        let withdraw_gas = price(WITHDRAW_GAS, origin.head()).saturating_add(withdraw_data);
        Ok(self.terms(order, fill_gas, fee, withdraw_gas, waiting))
    }

    fn terms(
        &self,
        order: &Order,
        fill_gas: U256,
        proof_fee: U256,
        withdraw_gas: U256,
        waiting: Duration,
    ) -> Result<Estimate, Unknown> {
        let delay = match self.policy.settlement(order) {
            Some(Settlement::Message(tier)) => self.policy.tiers().latency(tier),
            Some(Settlement::Local) | None => self.policy.tiers().fill,
        };
        let native = |chain, amount| self.valuer.valued(Asset::native(chain), amount);
        Ok(Estimate::of(&Terms {
            reward: self.valuer.all(&order.earns())?,
            route: self.valuer.all(&order.spends())?,
            fill_gas: native(order.destination(), fill_gas)?,
            proof_fee: native(order.destination(), proof_fee)?,
            withdraw_gas: native(order.origin, withdraw_gas)?,
            delay: delay + waiting + self.policy.batches().withdrawal_wait,
            capital_bps_per_year: self.policy.batches().proofs.capital_bps_per_year,
        })?)
    }
}

/// What the sending prover asks for a proof of one order.
pub(crate) async fn proof_fee(
    client: &ChainClient,
    target: ProofTarget,
    order: &Order,
    claimant: Claimant,
    gas_limit: u64,
) -> Result<U256, client::Error> {
    let call = target.fetch_fee(order.destination(), &[order.hash], claimant, gas_limit);
    client.call(target.sender, &call, BlockNumberOrTag::Latest).await
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
        Err(error) => Ok(Simulation::Fails(shortened(&error.to_string()))),
    }
}

/// Reasons are stored and shown: a hostile contract does not decide how long they are.
fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}
