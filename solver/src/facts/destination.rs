//! The destination's side: whether a fill works now, what it takes, and what is earned by it.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256, keccak256},
    rpc::types::TransactionRequest,
    sol_types::SolValue as _,
};
use futures::future::try_join;
use prices::Usd;
use protocol::{
    abi::inbox,
    ids::{ChainId, Claimant},
};
use serde_json::json;

use super::{Fault, Gatherer, Plan, Simulation, shortened};
use crate::{
    config::L1Fee,
    data_fee::{GasSource, data_fee},
    fill::{self, FillKind, ProofTarget},
    money::{Asset, Rounding},
    network,
    order::Order,
    policy::Settlement,
    pricing::{Estimate, Terms},
    valuer::Unknown,
};

/// Gas that withdrawing one reward takes at the origin when the vault is created on the way, with
/// room for programs that cost more than the measured reference.
const WITHDRAW_GAS: u64 = 250_000;

/// Gas assumed for a fill that could not be simulated, so that its price is still explained.
const ASSUMED_FILL_GAS: u64 = 400_000;

/// What the destination says.
pub(super) struct DestinationSide {
    pub(super) filled_by: B256,
    pub(super) fill: Simulation,
    pub(super) plan: Option<Plan>,
}

/// What a route that nobody has published yet would take, for a quote.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What the route costs us.
    pub route_value: Usd,
    /// The simulated fill; the number is its gas.
    pub fill: Simulation,
    /// What filling earns.
    pub estimate: Result<Estimate, Unknown>,
    /// The fill that was simulated, when a wallet can pay for it.
    pub plan: Option<Plan>,
    /// Whether no wallet holds what the route takes.
    pub no_wallet: bool,
}

impl Gatherer {
    /// The destination's side of an order that nobody has published: the Inbox does not ask who has.
    ///
    /// A fill like it that was estimated a moment ago answers for it: a quote is not a fill, which
    /// is tried before it is sent, and no more gas is promised than was quoted. Unless the chains
    /// may be asked, there is no answer without one.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn probe(
        &self,
        order: &Order,
        kind: FillKind,
        may_ask: bool,
    ) -> Result<Option<Probe>, Fault> {
        let route_value = self.valuer.worth(&order.spends(), Rounding::Up);
        let wallet = self.wallet(order, false).await?;
        let (fill, plan) = match wallet {
            Some(wallet) => match self.quoted(order, kind, wallet, may_ask).await? {
                Some(simulated) => simulated,
                None => return Ok(None),
            },
            None => (Simulation::Fails(NO_WALLET.to_owned()), None),
        };
        let estimate = match &route_value {
            Ok(_) => self.estimate(order, plan.as_ref(), Duration::ZERO).await?,
            Err(unknown) => Err(unknown.clone()),
        };
        let route_value = route_value.unwrap_or_default();
        Ok(Some(Probe { route_value, fill, estimate, plan, no_wallet: wallet.is_none() }))
    }

    /// The fill of a quote, as estimated lately or now; `None` when that would have to be asked.
    async fn quoted(
        &self,
        order: &Order,
        kind: FillKind,
        wallet: Address,
        may_ask: bool,
    ) -> Result<Option<(Simulation, Option<Plan>)>, Fault> {
        let known = |gas| async move {
            let plan = self.plan(order, kind, wallet, gas).await?;
            Ok(Some((Simulation::Works(gas), Some(plan))))
        };
        let shape = quoted_shape(order, kind);
        if let Some(gas) = self.recents.quoted_gas.get(&shape) {
            return known(gas).await;
        }
        if !may_ask {
            return Ok(None);
        }
        let _turn = self.recents.quoted_gas.turn(&shape).await;
        if let Some(gas) = self.recents.quoted_gas.get(&shape) {
            return known(gas).await;
        }
        let simulated = self.simulate(order, kind, wallet).await?;
        if let Simulation::Works(gas) = simulated.0 {
            self.recents.quoted_gas.put(shape, gas);
        }
        Ok(Some(simulated))
    }

    pub(super) async fn destination_side(
        &self,
        order: &Order,
        kind: FillKind,
        wallet: Option<Address>,
    ) -> Result<DestinationSide, Fault> {
        let (filled_by, (fill, plan)) =
            try_join(self.filled_by(order), self.tried(order, kind, wallet)).await?;
        Ok(DestinationSide { filled_by, fill, plan })
    }

    /// Whom the Inbox names; zero while nobody has filled.
    pub(super) async fn filled_by(&self, order: &Order) -> Result<B256, Fault> {
        let link = self.network.link(order.destination())?;
        let inbox = self.policy.chain(order.destination()).map_or(Address::ZERO, |c| c.inbox);
        let call = inbox::claimantsCall { intentHash: order.hash.0 };
        Ok(link.client.call(inbox, &call, BlockNumberOrTag::Latest).await?)
    }

    /// The fill as this wallet would send it now; without one that can pay there is none.
    pub(super) async fn tried(
        &self,
        order: &Order,
        kind: FillKind,
        wallet: Option<Address>,
    ) -> Result<(Simulation, Option<Plan>), Fault> {
        match wallet {
            Some(wallet) => self.simulate(order, kind, wallet).await,
            None => Ok((Simulation::Fails(NO_WALLET.to_owned()), None)),
        }
    }

    /// The fill as it would be sent, tried on the pending block: another solver's may be in it.
    ///
    /// Where a fill of the same shape has been estimated a moment ago, one call shows that its gas
    /// is enough; else, and when that fails, the node searches for the gas and says what is wrong.
    async fn simulate(
        &self,
        order: &Order,
        kind: FillKind,
        wallet: Address,
    ) -> Result<(Simulation, Option<Plan>), Fault> {
        let client = &self.network.link(order.destination())?.client;
        let shape = shape(order, kind);
        if let Some(gas) = self.recents.fill_gas.get(&shape) {
            let plan = self.plan(order, kind, wallet, gas).await?;
            let request = self.request(order, &plan).gas_limit(plan.gas_limit());
            match client.simulate(&request, BlockNumberOrTag::Pending).await {
                Ok(_) => return Ok((Simulation::Works(gas), Some(plan))),
                Err(error) if error.is_retryable() => return Err(error.into()),
                Err(_) => self.recents.forget_fill(order.destination(), kind, shape),
            }
        }
        let plan = self.plan(order, kind, wallet, 0).await?;
        let parameters = json!([self.request(order, &plan), BlockNumberOrTag::Pending]);
        match client.request::<U256>("eth_estimateGas", &parameters).await {
            Ok(gas) => {
                let gas = gas.saturating_to();
                self.recents.fill_gas.put(shape, gas);
                Ok((Simulation::Works(gas), Some(Plan { gas, ..plan })))
            }
            Err(error) if error.is_retryable() => Err(error.into()),
            Err(error) => Ok((Simulation::Fails(shortened(&error.to_string())), None)),
        }
    }

    async fn plan(
        &self,
        order: &Order,
        kind: FillKind,
        wallet: Address,
        gas: u64,
    ) -> Result<Plan, Fault> {
        let gas_limit = self.policy.batches().gas_limit(1);
        let claimant = Claimant::from(wallet);
        let proof_fee = match kind {
            FillKind::Alone => U256::ZERO,
            FillKind::WithProof(target) => self.proof_fee(target, order, claimant).await?,
        };
        let value = order.route().nativeAmount.saturating_add(proof_fee);
        let data = fill::fulfill(order, claimant, kind, gas_limit);
        Ok(Plan { wallet, kind, value, proof_fee, data, gas })
    }

    fn request(&self, order: &Order, plan: &Plan) -> TransactionRequest {
        let inbox = self.policy.chain(order.destination()).map_or(Address::ZERO, |c| c.inbox);
        TransactionRequest::default()
            .from(plan.wallet)
            .to(inbox)
            .value(plan.value)
            .input(plan.data.clone().into())
    }

    /// What the sending prover asks for a proof of one order.
    async fn proof_fee(
        &self,
        target: ProofTarget,
        order: &Order,
        claimant: Claimant,
    ) -> Result<U256, Fault> {
        let destination = order.destination();
        let gas_limit = self.policy.batches().gas_limit(1);
        let call = target.fetch_fee(destination, &[order.hash], claimant, gas_limit);
        let client = &self.network.link(destination)?.client;
        let ask = client.call(target.sender, &call, BlockNumberOrTag::Latest);
        Ok(self.recents.proof_fees.get_or_ask((destination, target), ask).await?)
    }

    /// Wei beside the gas for posting this call data.
    pub(crate) async fn data_fee(
        &self,
        chain: ChainId,
        source: GasSource,
        to: Address,
        data: &Bytes,
    ) -> Result<U256, Fault> {
        let kind = self.policy.chain(chain).map_or(L1Fee::None, |c| c.l1_fee);
        let ask = data_fee(&self.network.link(chain)?.client, kind, source, to, data);
        Ok(self.recents.data_fees.get_or_ask((chain, source, to, data.len()), ask).await?)
    }

    /// The formula, with gas at today's price and the proof at the fee the prover asks.
    pub(super) async fn estimate(
        &self,
        order: &Order,
        plan: Option<&Plan>,
        waiting: Duration,
    ) -> Result<Result<Estimate, Unknown>, Fault> {
        let destination = self.network.link(order.destination())?;
        let origin = self.network.link(order.origin)?;
        let inbox = self.policy.chain(order.destination()).map_or(Address::ZERO, |c| c.inbox);
        let source = self.policy.chain(order.origin).map_or(Address::ZERO, |c| c.intent_source);
        let (gas, fee, data) = match plan {
            Some(plan) => (plan.gas, plan.proof_fee, plan.data.clone()),
            None => (ASSUMED_FILL_GAS, U256::ZERO, Bytes::new()),
        };
        let withdrawal = fill::withdraw(std::slice::from_ref(order));
        let (fill_data, withdraw_data) = tokio::try_join!(
            self.data_fee(order.destination(), GasSource::Estimated, inbox, &data),
            self.data_fee(order.origin, GasSource::Assumed, source, &withdrawal),
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

/// Why there is no fill to simulate.
const NO_WALLET: &str = "no wallet holds what the route takes";

/// What decides how much gas a quote's fill takes: beyond the payment its calls are the user's own,
/// whose arguments may decide it.
fn quoted_shape(order: &Order, kind: FillKind) -> B256 {
    let shape = shape(order, kind);
    match order.route().calls.get(1..) {
        None | Some([]) => shape,
        Some(calls) => keccak256((shape, calls.to_vec()).abi_encode()),
    }
}

/// What decides how much gas a fill takes, apart from amounts and recipients.
fn shape(order: &Order, kind: FillKind) -> B256 {
    let route = order.route();
    let calls: Vec<(Address, Bytes, U256, bool)> = (route.calls.iter())
        .map(|call| {
            let selector = call.data.get(..4).unwrap_or_default().to_vec();
            (call.target, selector.into(), U256::from(call.data.len()), call.value.is_zero())
        })
        .collect();
    let tokens: Vec<Address> = route.tokens.iter().map(|leg| leg.token).collect();
    let prover = match kind {
        FillKind::Alone => Address::ZERO,
        FillKind::WithProof(target) => target.sender,
    };
    keccak256((order.destination().0, order.origin.0, prover, calls, tokens).abi_encode())
}
