//! Rebalancing by intents of our own: money leaves a chain where there is plenty as a reward, and
//! another solver pays it out where it is short.
//!
//! ```text
//! planned ──published──▶ published ──filled──▶ filled
//!                            └──────refunded─▶ refunded      after its deadline
//! ```
//!
//! A transfer is written together with its reservation and its transaction before anything is sent.

use std::sync::Arc;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};
use async_trait::async_trait;
use chain::sender::{self, Inclusion, Request};
use prices::Usd;
use protocol::{
    abi::{erc20, inbox, intent_source},
    finality::Tier,
    ids::ChainId,
    intent::{Call, Intent, Reward, Route, TokenAmount},
};

use super::{Rebalancer, alert};
use crate::{
    clock::millis,
    config::RebalanceConfig,
    engine::{Engine, Fault},
    money::{Asset, amount_for},
    policy::{Served, Settlement, Token},
    store::{Entry, EntryKind, Holding, Transfer, TransferState},
};

/// `Status.Refunded` of the IntentSource.
const REFUNDED: u8 = 3;

/// Seconds after which a refund is asked for anew that the chain has refused.
const REFUND_AGAIN: u64 = 600;

/// Publishes intents from where there is plenty to where it is short.
#[derive(Debug)]
pub struct ByIntents {
    engine: Arc<Engine>,
    bounds: RebalanceConfig,
}

/// A wallet that can give.
struct Donor<'a> {
    served: &'a Served,
    wallet: Address,
    token: &'a Token,
    address: Address,
    /// What it can spare, in dollars.
    spare: Usd,
}

#[async_trait]
impl Rebalancer for ByIntents {
    async fn short(&self, holding: Holding, token: &Token) {
        alert(holding, token);
        if let Err(fault) = self.plan(holding, token).await {
            metrics::counter!("solver_rebalancing_faults_total").increment(1);
            tracing::warn!(%fault, "no rebalancing planned");
        }
    }

    async fn pursue(&self) {
        let open = match self.engine.store.open_transfers().await {
            Ok(open) => open,
            Err(error) => {
                tracing::error!(%error, "transfers cannot be read");
                return;
            }
        };
        for transfer in open {
            if let Err(fault) = self.advance(&transfer).await {
                metrics::counter!("solver_rebalancing_faults_total").increment(1);
                tracing::warn!(intent_hash = %transfer.hash, %fault, "rebalancing, will try again");
            }
        }
    }
}

impl ByIntents {
    /// A rebalancer within these bounds.
    pub const fn new(engine: Arc<Engine>, bounds: RebalanceConfig) -> Self {
        Self { engine, bounds }
    }

    /// Writes a transfer for a shortage, unless one is under way or nobody can give.
    async fn plan(&self, short: Holding, token: &Token) -> Result<(), Fault> {
        let engine = &self.engine;
        let open = engine.store.open_transfers().await?;
        if open.iter().any(|t| t.to == short.asset && t.receiver == short.wallet) {
            return Ok(());
        }
        let Some(donor) = self.donor(short, token).await? else { return Ok(()) };
        // Up to twice the threshold, so that the next fill does not make it short again.
        let wanted = token.low.saturating_mul(U256::from(2)).saturating_sub(short.amount);
        let wanted = engine.cost_worth(short.asset, wanted);
        let worth = wanted.min(self.bounds.largest).min(donor.spare);
        let out = self.amount(short.asset, worth)?;
        let fee = worth.basis_points_up(self.bounds.fee_bps);
        let given_asset = Asset { chain: donor.served.id, token: donor.address };
        let given = self.amount(given_asset, worth + fee)?;
        if out.is_zero() || given.is_zero() {
            return Ok(());
        }
        let Some(receiver) = engine.policy.chain(short.asset.chain) else { return Ok(()) };
        let intent = self.intent(&donor, receiver, short, given, out)?;
        let transfer = Transfer {
            hash: intent.hash(),
            intent,
            state: TransferState::Planned,
            from: given_asset,
            giver: donor.wallet,
            given,
            to: short.asset,
            receiver: short.wallet,
            received: out,
        };
        let keep = donor.token.low;
        engine.store.plan_transfer(&transfer, keep, millis(&engine.clock)).await?;
        metrics::counter!("solver_rebalancings_total").increment(1);
        tracing::info!(
            intent_hash = %transfer.hash, from = %transfer.from, to = %transfer.to, %given, %out,
            "rebalancing"
        );
        Ok(())
    }

    /// The wallet that can spare most of the same token on another chain.
    async fn donor(&self, short: Holding, token: &Token) -> Result<Option<Donor<'_>>, Fault> {
        let policy = &self.engine.policy;
        let mut best: Option<Donor<'_>> = None;
        for (holding, free) in self.engine.store.holdings().await? {
            let chain = holding.asset.chain;
            let (Some(served), Some(same)) = (policy.chain(chain), policy.token(holding.asset))
            else {
                continue;
            };
            if chain == short.asset.chain || same.name != token.name {
                continue;
            }
            // What it needs itself stays, with as much again.
            let spare = free.saturating_sub(same.low.saturating_mul(U256::from(2)));
            let spare = self.engine.income_worth(holding.asset, spare);
            if spare > best.as_ref().map_or(Usd::ZERO, |best| best.spare) {
                let (wallet, address) = (holding.wallet, holding.asset.token);
                best = Some(Donor { served, wallet, token: same, address, spare });
            }
        }
        Ok(best)
    }

    /// How much of an asset is worth this.
    fn amount(&self, asset: Asset, worth: Usd) -> Result<U256, Fault> {
        let valued = self.engine.valuer.valued(asset, U256::ZERO);
        let valued = valued.map_err(|unknown| Fault::Inconsistent(unknown.to_string()))?;
        Ok(amount_for(worth, valued.decimals, valued.price.high))
    }

    fn intent(
        &self,
        donor: &Donor<'_>,
        receiver: &Served,
        short: Holding,
        given: U256,
        out: U256,
    ) -> Result<Intent, Fault> {
        let tiers = self.engine.policy.tiers();
        let no_prover =
            || Fault::Inconsistent("the origin has no prover of the instant tier".into());
        let prover =
            donor.served.prover(Settlement::Message(Tier::Instant)).ok_or_else(no_prover)?;
        let time = |chain| Ok::<_, Fault>(self.engine.network.link(chain)?.head().block.timestamp);
        let proof = tiers.latency(Tier::Instant) + tiers.pause + tiers.margin;
        let token = short.asset.token;
        let pay = if token.is_zero() {
            Call { target: short.wallet, data: Bytes::new(), value: out }
        } else {
            let data = erc20::transferCall { to: short.wallet, value: out }.abi_encode().into();
            Call { target: token, data, value: U256::ZERO }
        };
        let (native_out, tokens_out) = legs(token, out);
        let (native_given, tokens_given) = legs(donor.address, given);
        Ok(Intent {
            destination: receiver.id.0,
            route: Route {
                salt: B256::from(rand::random::<[u8; 32]>()),
                deadline: time(receiver.id)? + self.bounds.open_for.as_secs(),
                portal: receiver.inbox,
                nativeAmount: native_out,
                tokens: tokens_out,
                calls: vec![pay],
            },
            reward: Reward {
                deadline: time(donor.served.id)? + (self.bounds.open_for + proof).as_secs(),
                creator: donor.wallet,
                prover,
                nativeAmount: native_given,
                tokens: tokens_given,
            },
        })
    }

    async fn advance(&self, transfer: &Transfer) -> Result<(), Fault> {
        match transfer.state {
            TransferState::Planned => self.publish(transfer).await,
            TransferState::Published => self.watch(transfer).await,
            TransferState::Filled | TransferState::Refunded => Ok(()),
        }
    }

    async fn publish(&self, transfer: &Transfer) -> Result<(), Fault> {
        let source = self.source(transfer.from.chain)?;
        if !transfer.from.is_native() {
            self.approve(transfer, source).await?;
        }
        let call = intent_source::publishAndFund_0Call {
            intent: transfer.intent.clone(),
            allowPartial: false,
        };
        let value = if transfer.from.is_native() { transfer.given } else { U256::ZERO };
        let request =
            Request::call(format!("rebalance:{}", transfer.hash), source, call.abi_encode())
                .with_value(value);
        let inclusion = match self.send(transfer, request).await? {
            Ok(inclusion) => inclusion,
            Err(reason) => {
                tracing::warn!(intent_hash = %transfer.hash, reason, "rebalancing given up");
                let end = TransferState::Refunded;
                return Ok(self.engine.store.end_transfer(transfer, end, None, Vec::new()).await?);
            }
        };
        let mut entries = vec![self.gas(transfer, &inclusion).await?];
        let next = if inclusion.success {
            let usd = -self.engine.cost_worth(transfer.from, transfer.given);
            entries.push(self.entry(
                transfer,
                &inclusion,
                EntryKind::RebalanceOut,
                transfer.given,
                usd,
            ));
            TransferState::Published
        } else {
            TransferState::Refunded
        };
        let block = Some(inclusion.block_number);
        self.engine.store.end_transfer(transfer, next, block, entries).await?;
        self.engine.moved.notify_one();
        Ok(())
    }

    /// Filled by somebody, or to be taken back after its deadline.
    async fn watch(&self, transfer: &Transfer) -> Result<(), Fault> {
        let engine = &self.engine;
        let (origin, destination) =
            (engine.network.link(transfer.from.chain)?, engine.network.link(transfer.to.chain)?);
        let inbox = engine.policy.chain(transfer.to.chain).map(|c| c.inbox).unwrap_or_default();
        let filled = inbox::claimantsCall { intentHash: transfer.hash.0 };
        let at = BlockNumberOrTag::Latest;
        let usd = engine.income_worth(transfer.to, transfer.received);
        if !destination.client.call(inbox, &filled, at).await?.is_zero() {
            // A fill that a reorganisation takes back must still find somebody who takes the reward back.
            let depth =
                engine.policy.chain(transfer.to.chain).map_or(0, |c| c.confirmations_for(usd));
            let deep = destination.head().block.number.saturating_sub(depth);
            let deep = BlockNumberOrTag::Number(deep);
            if destination.client.call(inbox, &filled, deep).await?.is_zero() {
                return Ok(());
            }
            let entry = Entry {
                tx: transfer.hash.0,
                position: 0,
                intent: transfer.hash,
                wallet: transfer.receiver,
                asset: transfer.to,
                kind: EntryKind::RebalanceIn,
                amount: transfer.received,
                usd,
                at: millis(&engine.clock),
            };
            engine.moved.notify_one();
            let end = TransferState::Filled;
            return Ok(engine.store.end_transfer(transfer, end, None, vec![entry]).await?);
        }
        let source = self.source(transfer.from.chain)?;
        let expired = origin.head().block.timestamp >= transfer.intent.reward.deadline;
        if !expired {
            return Ok(());
        }
        let call = intent_source::refundCall {
            destination: transfer.intent.destination,
            routeHash: transfer.intent.route.hash().0,
            reward: transfer.intent.reward.clone(),
        };
        // What was refused once is refused for good under its key, and the reason may pass; refunding twice does nothing.
        let period = origin.head().block.timestamp / REFUND_AGAIN;
        let key = format!("rebalance-refund:{}:{period}", transfer.hash);
        let request = Request::call(key, source, call.abi_encode());
        let inclusion = match self.send(transfer, request).await? {
            Ok(inclusion) => inclusion,
            Err(reason) => return Err(Fault::Inconsistent(format!("refund: {reason}"))),
        };
        let mut entries = vec![self.gas(transfer, &inclusion).await?];
        let status = intent_source::getRewardStatusCall { intentHash: transfer.hash.0 };
        if origin.client.call(source, &status, at).await? != REFUNDED {
            engine.store.book(&entries).await?;
            return Err(Fault::Inconsistent(
                "the refund was mined, and the reward is not back".into(),
            ));
        }
        let usd = engine.income_worth(transfer.from, transfer.given);
        entries.push(self.entry(transfer, &inclusion, EntryKind::RebalanceIn, transfer.given, usd));
        engine.moved.notify_one();
        Ok(engine.store.end_transfer(transfer, TransferState::Refunded, None, entries).await?)
    }

    /// Sends and waits; the words of the refusal when it cannot be sent.
    async fn send(
        &self,
        transfer: &Transfer,
        request: Request,
    ) -> Result<Result<Inclusion, String>, Fault> {
        match self.giver(transfer)?.send(request).await {
            Ok(inclusion) => Ok(Ok(inclusion)),
            Err(sender::Error::Refused { reason, .. }) => Ok(Err(reason.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// The wallet that gives.
    fn giver(&self, transfer: &Transfer) -> Result<&sender::Sender, Fault> {
        let link = self.engine.network.link(transfer.from.chain)?;
        let missing =
            || Fault::Inconsistent(format!("wallet {} is not configured", transfer.giver));
        link.wallet(transfer.giver).ok_or_else(missing)
    }

    /// Lets the IntentSource take the reward, if it may not yet. An approval that was sent before is booked,
    /// however much may be taken by now.
    async fn approve(&self, transfer: &Transfer, source: Address) -> Result<(), Fault> {
        let link = self.engine.network.link(transfer.from.chain)?;
        let allowance = erc20::allowanceCall { owner: transfer.giver, spender: source };
        let token = transfer.from.token;
        let key = format!("rebalance-approve:{}", transfer.hash);
        let is_sent = self.giver(transfer)?.find(key.as_str()).await?.is_some();
        let given = link.client.call(token, &allowance, BlockNumberOrTag::Latest).await?;
        if !is_sent && given >= transfer.given {
            return Ok(());
        }
        let data = erc20::approveCall { spender: source, value: transfer.given }.abi_encode();
        if let Ok(inclusion) = self.send(transfer, Request::call(key, token, data)).await? {
            self.engine.store.book(&[self.gas(transfer, &inclusion).await?]).await?;
        }
        Ok(())
    }

    fn source(&self, chain: ChainId) -> Result<Address, Fault> {
        let served = self.engine.policy.chain(chain);
        let missing = || Fault::Inconsistent(format!("chain {chain} is not served"));
        Ok(served.ok_or_else(missing)?.intent_source)
    }

    async fn gas(&self, transfer: &Transfer, inclusion: &Inclusion) -> Result<Entry, Fault> {
        let native = Asset::native(transfer.from.chain);
        let amount = self.engine.gas_of(native.chain, inclusion).await?;
        let usd = -self.engine.cost_worth(native, amount);
        let gas = self.entry(transfer, inclusion, EntryKind::RebalanceGas, amount, usd);
        Ok(Entry { position: 1, asset: native, ..gas })
    }

    fn entry(
        &self,
        transfer: &Transfer,
        inclusion: &Inclusion,
        kind: EntryKind,
        amount: U256,
        usd: Usd,
    ) -> Entry {
        Entry {
            tx: inclusion.hash,
            position: 0,
            intent: transfer.hash,
            wallet: transfer.giver,
            asset: transfer.from,
            kind,
            amount,
            usd,
            at: millis(&self.engine.clock),
        }
    }
}

fn legs(token: Address, amount: U256) -> (U256, Vec<TokenAmount>) {
    if token.is_zero() {
        (amount, Vec::new())
    } else {
        (U256::ZERO, vec![TokenAmount { token, amount }])
    }
}
