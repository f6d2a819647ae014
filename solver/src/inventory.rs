//! Keeps the books of what the wallets hold: balances, allowances, alerts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256},
    sol_types::SolCall,
};
use chain::{
    client,
    sender::{self, Request},
};
use futures::future::{join_all, try_join_all};
use protocol::{abi::erc20, ids::IntentHash};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    facts::balance,
    money::{Asset, Rounding},
    network::{self, Link, Network},
    order::{Amount, STATES, State},
    policy::{Policy, Served},
    rebalance::Rebalancer,
    receipt::Receipt,
    store::{self, Entry, EntryKind, Holding, Outgoing, Store},
    valuer::Valuer,
};

/// How often balances are read although nothing of ours has moved: deposits, and alerts.
const EVERY: Duration = Duration::from_secs(5);

/// How often at most they are read because something has moved.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest time for the balances of one chain.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Why balances cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A chain did not answer.
    #[error(transparent)]
    Chain(#[from] client::Error),
    /// A chain is not connected.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// An approval could not be sent.
    #[error(transparent)]
    Sender(#[from] sender::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Reads balances into the store.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) network: Network,
    pub(crate) policy: Arc<Policy>,
    pub(crate) store: Store,
    pub(crate) valuer: Valuer,
    pub(crate) clock: service::clock::Clock,
    pub(crate) moved: Arc<Notify>,
    pub(crate) rebalancer: Arc<dyn Rebalancer>,
}

impl Inventory {
    /// Reads every balance once.
    pub(crate) async fn read_all(&self) -> Result<(), Error> {
        try_join_all(self.policy.chains().map(|served| self.read_chain(served))).await?;
        Ok(())
    }

    async fn read_chain(&self, served: &Served) -> Result<(), Error> {
        let link = self.network.link(served.id)?;
        // Balances are read at a block that exists for certain, so that the block they are
        // booked under is the block they are true at.
        let block = link.client.latest().await?.number;
        let at = BlockNumberOrTag::Number(block);
        let pairs = (link.wallets.iter())
            .flat_map(|wallet| served.tokens.keys().map(|token| (wallet.address(), *token)));
        let holdings = try_join_all(pairs.map(|(wallet, token)| async move {
            let asset = Asset { chain: served.id, token };
            let amount = balance(&link.client, token, wallet, at).await?;
            Ok::<_, Error>(Holding { wallet, asset, amount, block })
        }));
        for holding in holdings.await? {
            self.store.observe(holding).await?;
        }
        Ok(())
    }

    /// Keeps balances fresh until shutdown. A chain that does not answer keeps its last ones.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<(), store::Error> {
        let mut reports = tokio::time::interval(EVERY);
        reports.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            let report = tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.moved.notified() => false,
                _ = reports.tick() => true,
            };
            // A chain that does not answer must not keep the money of the others reserved.
            let reading = self.policy.chains().map(async |served| {
                (served.id, tokio::time::timeout(READ_WITHIN, self.read_chain(served)).await)
            });
            for (chain, outcome) in join_all(reading).await {
                let error = match outcome {
                    Ok(Ok(())) => continue,
                    Ok(Err(Error::Store(error))) => return Err(error),
                    Ok(Err(error)) => error.to_string(),
                    Err(late) => late.to_string(),
                };
                metrics::counter!("solver_balance_faults_total").increment(1);
                tracing::warn!(%chain, error, "balances not read");
            }
            if report {
                self.report().await?;
            }
            // Many fills end at about the same time: one reading serves them.
            let _ = shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
        Ok(())
    }

    async fn report(&self) -> Result<(), store::Error> {
        for (holding, free) in self.store.holdings().await? {
            let Some(token) = self.policy.token(holding.asset) else { continue };
            let labels = [
                ("chain", holding.asset.chain.to_string()),
                ("wallet", holding.wallet.to_string()),
                ("token", token.name.clone()),
            ];
            let unit = 10_f64.powi(i32::from(token.decimals));
            metrics::gauge!("solver_balance", &labels).set(f64::from(holding.amount) / unit);
            metrics::gauge!("solver_free", &labels).set(f64::from(free) / unit);
            let low = holding.amount < token.low;
            metrics::gauge!("solver_balance_low", &labels).set(if low { 1.0 } else { 0.0 });
            if low {
                self.rebalancer.short(holding, token).await;
            }
        }
        let census: BTreeMap<State, u64> = self.store.census().await?.into_iter().collect();
        // A gauge keeps its value: a state that the last order has left has to be set to none.
        for state in STATES {
            let count = census.get(&state).copied().unwrap_or_default();
            metrics::gauge!("solver_orders", "state" => state.name()).set(count as f64);
        }
        Ok(())
    }

    /// Lets the Inbox of each chain take the wallets' tokens. It only ever takes them from its
    /// caller, so an unlimited allowance gives nobody else a way to them.
    pub(crate) async fn approve_all(&self) -> Result<(), Error> {
        // What a process before this one has sent is booked, whether it heard of its end or not.
        for outgoing in self.store.intended().await? {
            unless_refused(self.send_approval(&outgoing).await)?;
        }
        for served in self.policy.chains() {
            let link = self.network.link(served.id)?;
            for token in served.tokens.keys().filter(|token| !token.is_zero()) {
                for wallet in &link.wallets {
                    unless_refused(self.approve(served, link, *token, wallet).await)?;
                }
            }
        }
        Ok(())
    }

    async fn approve(
        &self,
        served: &Served,
        link: &Link,
        token: Address,
        wallet: &chain::Sender,
    ) -> Result<(), Error> {
        let owner = wallet.address();
        let allowance = erc20::allowanceCall { owner, spender: served.inbox };
        let given = link.client.call(token, &allowance, BlockNumberOrTag::Latest).await?;
        if given >= U256::MAX / U256::from(2) {
            return Ok(());
        }
        let data = erc20::approveCall { spender: served.inbox, value: U256::MAX }.abi_encode();
        // A key of its own each time: a token that counts allowances down is approved again, and so is one that refused.
        // What was written down before is sent under its own key, so nothing is sent twice.
        let key = format!("approve:{}:{owner}:{token}:{:016x}", served.id, rand::random::<u64>());
        let request = Request::call(key, token, data);
        let outgoing = Outgoing { chain: served.id, wallet: owner, request };
        self.store.intend(&outgoing).await?;
        self.send_approval(&outgoing).await
    }

    /// Sends an approval that is written down, once however often it is asked to, and books what it cost.
    async fn send_approval(&self, outgoing: &Outgoing) -> Result<(), Error> {
        let Outgoing { chain, wallet: owner, request } = outgoing;
        // A chain or wallet that was taken out of the configuration keeps its entry.
        let Ok(link) = self.network.link(*chain) else { return Ok(()) };
        let Some(wallet) = link.wallet(*owner) else { return Ok(()) };
        let inclusion = match wallet.send(request.clone()).await {
            Err(error @ (sender::Error::Refused { .. } | sender::Error::Canceled { .. })) => {
                self.store.forget_outgoing(&request.key).await?;
                return Err(error.into());
            }
            sent => sent?,
        };
        tracing::info!(%chain, %owner, token = ?request.to, "inbox approved");
        let amount = Receipt::of(&link.client, inclusion.hash).await?.gas_paid(&inclusion);
        let spent = Amount { asset: Asset::native(*chain), amount };
        let entry = Entry {
            tx: inclusion.hash,
            position: 0,
            intent: IntentHash::ZERO,
            wallet: *owner,
            asset: spent.asset,
            kind: EntryKind::ApprovalGas,
            amount,
            usd: -self.valuer.worth(&[spent], Rounding::Up).unwrap_or_default(),
            at: crate::clock::millis(&self.clock),
        };
        self.store.book(&[entry]).await?;
        self.store.forget_outgoing(&request.key).await?;
        Ok(())
    }
}

/// A token that takes no approval now keeps nobody from starting: its fills do not work, all else does, and what is
/// filled already has to be proven and claimed.
fn unless_refused(approved: Result<(), Error>) -> Result<(), Error> {
    match approved {
        Err(Error::Sender(
            error @ (sender::Error::Refused { .. } | sender::Error::Canceled { .. }),
        )) => {
            metrics::counter!("solver_approvals_refused_total").increment(1);
            tracing::error!(%error, "the inbox is not approved: fills with this token will fail");
            Ok(())
        }
        approved => approved,
    }
}
