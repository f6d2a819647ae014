//! What a person agrees to by asking for a transfer. Nothing else is signed, whatever the
//! aggregator's quote says.

use std::fmt::Debug;

use alloy::{
    dyn_abi::TypedData,
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolValue},
};
use api::{
    aggregator::{AmountRequest, FeeKind, Quote, Security, SignatureStep, Step, TransactionStep},
    solver::GaslessOrder,
};
use chain::manifest::ChainManifest;
use eyre::{OptionExt, WrapErr, bail, ensure};
use protocol::{
    abi::{
        erc20,
        intent::{Call, GaslessCrossChainOrder, Intent, OrderData, Reward, Route, TokenAmount},
        intent_source,
    },
    erc7683,
    words::Frame,
};
use service::clock::Clock;

use crate::{amounts, transfer::Resolved};

/// The provider of our own solvers. Its quotes are intents, and are checked to the last field.
const OURS: &str = "metalayer";

/// Seconds that a quote may stand: what is signed until then is the solver's to open.
const LONGEST_QUOTE: u64 = 3_600;
/// Seconds until an escrow that nobody earns can be taken back.
const LONGEST_ESCROW: u64 = 7 * 86_400;

/// What a person agrees to.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    pub(super) transfer: &'a Resolved,
    /// Who pays.
    pub(super) sender: Address,
    /// Where the deployment has its contracts, on both chains.
    pub(super) origin: &'a ChainManifest,
    pub(super) destination: &'a ChainManifest,
    /// The least that must arrive, where the person has said so.
    pub(super) min_receive: Option<U256>,
    /// Against which quotes and escrows are bounded.
    pub(super) clock: Clock,
}

impl Terms<'_> {
    /// Whether every step of a quote may be signed.
    ///
    /// # Errors
    /// What the quote has otherwise than was asked for, or than the deployment's manifest says.
    pub(super) fn check(&self, quote: &Quote) -> eyre::Result<()> {
        self.check_amounts(quote)?;
        let (payment, approvals) = quote.steps.split_last().ok_or_eyre("it has no steps")?;
        let spender = quote.order_id.map(|_| self.origin.contracts.intent_source);
        for approval in approvals {
            self.check_approval(approval, spender, quote).wrap_err("its approval")?;
        }
        match quote.order_id {
            Some(id) => self.check_order(payment, id, quote).wrap_err("its order"),
            None => self.check_stranger(payment, quote),
        }
    }

    fn check_amounts(&self, quote: &Quote) -> eyre::Result<()> {
        let Resolved { request, token_in, token_out } = self.transfer;
        let (spent, least) = (quote.amount_in.0, quote.min_amount_out.0);
        let spent_text = amounts::shown(spent, token_in);
        if let AmountRequest::ExactInput(most) = request.amount {
            ensure!(spent <= most.0, "it takes {spent_text}, more than asked for");
        }
        ensure!(least <= quote.amount_out.0, "it promises more than it quotes");
        let least_text = amounts::shown(least, token_out);
        match self.min_receive {
            Some(wanted) => ensure!(
                least >= wanted,
                "it lets as little as {least_text} arrive, --min-receive asks for {}",
                amounts::shown(wanted, token_out)
            ),
            None => {
                let lost = self.lost(quote).ok_or_eyre(
                    "nobody knows what its tokens are worth: say with --min-receive what is enough",
                )?;
                ensure!(
                    lost.saturating_mul(U256::from(10)) <= spent,
                    "more than a tenth is lost on the way, {least_text} arrive of {spent_text}: \
                     --min-receive says that it is enough"
                );
            }
        }
        Ok(())
    }

    /// What is lost on the way, in the token that is sent; `None` where the worth of both tokens
    /// cannot be compared.
    fn lost(&self, quote: &Quote) -> Option<U256> {
        if self.transfer.is_same_money() {
            return Some(quote.amount_in.0.saturating_sub(quote.min_amount_out.0));
        }
        let sent = &self.transfer.token_in;
        let fees = quote.fees.iter().filter(|fee| fee.included);
        fees.filter(|fee| (fee.chain_id, fee.token) == (sent.chain_id, sent.address))
            .map(|fee| fee.amount.0)
            .reduce(U256::saturating_add)
    }

    /// An approval lets `spender`, anybody when there is none, take what the quote takes.
    fn check_approval(
        &self,
        step: &Step,
        spender: Option<Address>,
        quote: &Quote,
    ) -> eyre::Result<()> {
        let Step::Transaction(step) = step else { bail!("it is a signature") };
        let token = self.transfer.token_in.address;
        ensure!(!token.is_zero(), "the native currency needs none");
        self.is_on_the_origin(step)?;
        same("token", &token, &step.to)?;
        same("native value", &U256::ZERO, &step.value.0)?;
        let call: erc20::approveCall = decoded(&step.data)?;
        if let Some(spender) = spender {
            same("spender", &spender, &call.spender)?;
        }
        let most = quote.amount_in.0;
        ensure!(call.value <= most, "it allows {}, the quote takes {most}", call.value);
        Ok(())
    }

    /// The last step opens the order with this id, and that is the transfer.
    fn check_order(&self, step: &Step, id: B256, quote: &Quote) -> eyre::Result<()> {
        let intent = match step {
            Step::Transaction(step) => self.published(step)?,
            Step::Signature(step) => self.signed(step, quote)?,
        };
        same("id", &id, &intent.hash().0)?;
        self.check_intent(&intent, quote)
    }

    /// The intent that a transaction publishes and funds.
    fn published(&self, step: &TransactionStep) -> eyre::Result<Intent> {
        self.is_on_the_origin(step)?;
        same("contract", &self.origin.contracts.intent_source, &step.to)?;
        let call: intent_source::publishAndFund_0Call = decoded(&step.data)?;
        ensure!(!call.allowPartial, "it may be funded in part");
        same("native value", &call.intent.reward.nativeAmount, &step.value.0)?;
        Ok(call.intent)
    }

    /// The intent that anybody may open with a signature.
    fn signed(&self, step: &SignatureStep, quote: &Quote) -> eyre::Result<Intent> {
        let order: GaslessOrder = serde_json::from_value(step.context.clone())?;
        let (settler, chain) = (self.origin.contracts.intent_source, self.origin.chain_id.0);
        same("settler", &settler, &order.origin_settler)?;
        same("chain", &chain, &order.origin_chain_id)?;
        same("user", &self.sender, &order.user)?;
        same("type", &erc7683::ORDER_DATA_TYPEHASH, &order.order_data_type)?;
        ensure!(
            u64::from(order.open_deadline) <= quote.expires_at,
            "it can be opened after the quote has expired"
        );
        let data = OrderData::decode(&order.order_data)?;
        let route = Route::read(Frame(&data.route).tuple(0)?)?;
        // What contracts make of another encoding is not what is checked here.
        let is_usual = data.abi_encode().as_slice() == &order.order_data[..]
            && route.encode().as_slice() == &data.route[..];
        ensure!(is_usual, "its data are not encoded as usual");
        same("portal", &route.portal.into_word(), &data.routePortal)?;
        let order = GaslessCrossChainOrder {
            originSettler: order.origin_settler,
            user: order.user,
            nonce: order.nonce.0,
            originChainId: U256::from(order.origin_chain_id),
            openDeadline: order.open_deadline,
            fillDeadline: order.fill_deadline,
            orderDataType: order.order_data_type,
            orderData: order.order_data,
        };
        let shown: TypedData = serde_json::from_value(step.typed_data.clone())?;
        let digest = erc7683::digest(&order, chain, settler);
        same("hash that is signed", &digest, &shown.eip712_signing_hash()?)?;
        Ok(Intent { destination: data.destination, route, reward: data.reward })
    }

    /// The intent pays what was quoted to the recipient, and to nobody else, for what was quoted.
    fn check_intent(&self, intent: &Intent, quote: &Quote) -> eyre::Result<()> {
        let Resolved { request, token_in, token_out } = self.transfer;
        let Intent { destination, route, reward } = intent;
        let now = self.clock.unix();
        ensure!(
            quote.expires_at <= now.saturating_add(LONGEST_QUOTE),
            "it stands for over an hour"
        );
        ensure!(
            route.deadline < reward.deadline
                && reward.deadline <= now.saturating_add(LONGEST_ESCROW),
            "its escrow could not be taken back within a week"
        );
        same("destination", &self.destination.chain_id.0, destination)?;
        same("portal", &self.destination.contracts.inbox, &route.portal)?;
        let due = quote.amount_out.0;
        let (native, tokens) = amount(token_out.address, due);
        same("native currency of the route", &native, &route.nativeAmount)?;
        same("tokens of the route", &tokens, &route.tokens)?;
        let recipient = request.recipient.unwrap_or(self.sender);
        let payment = payment(token_out.address, recipient, due);
        same("calls of the route", &vec![payment], &route.calls)?;

        let (native, tokens) = amount(token_in.address, quote.amount_in.0);
        same("native currency of the reward", &native, &reward.nativeAmount)?;
        same("tokens of the reward", &tokens, &reward.tokens)?;
        self.check_trust(reward, quote)
    }

    /// The money comes back to the sender, unless the prover of the security tier says that it is
    /// earned.
    fn check_trust(&self, reward: &Reward, quote: &Quote) -> eyre::Result<()> {
        let request = &self.transfer.request;
        let creator = request.refund_address.unwrap_or(self.sender);
        same("creator, who is refunded", &creator, &reward.creator)?;
        let contracts = &self.origin.contracts;
        let tier = request.security.or(quote.security.tier).ok_or_eyre("it names no security")?;
        let prover = match tier {
            _ if self.origin.chain_id == self.destination.chain_id => contracts.local_prover,
            Security::Instant => contracts.meta_prover_instant,
            Security::Finalized => contracts.meta_prover_finalized,
        };
        same("prover", &prover, &reward.prover)
    }

    /// A transaction of a provider that is not ours means what its own contracts make of it. It may
    /// take what the quote takes, and only of a provider that the person has named.
    fn check_stranger(&self, step: &Step, quote: &Quote) -> eyre::Result<()> {
        let name = &quote.provider;
        ensure!(name != OURS, "it names no order");
        ensure!(
            self.transfer.request.providers.contains(name),
            "its transfers are not followed, and its transactions cannot be checked: --provider \
             {name} trusts it"
        );
        let Step::Transaction(step) = step else { bail!("it wants a signature for no order") };
        self.is_on_the_origin(step)?;
        let token = self.transfer.token_in.address;
        let (order, _) = amount(token, quote.amount_in.0);
        // What the provider takes on top of the order, as it was shown.
        let fees = quote.fees.iter().filter(|fee| {
            fee.kind == FeeKind::Provider
                && !fee.included
                && fee.chain_id == self.origin.chain_id.0
                && fee.token.is_zero()
        });
        let most = fees.fold(order, |sum, fee| sum.saturating_add(fee.amount.0));
        ensure!(step.value.0 <= most, "it sends {} wei, the quote takes {most}", step.value);
        ensure!(step.to != token, "it calls the token itself");
        Ok(())
    }

    fn is_on_the_origin(&self, step: &TransactionStep) -> eyre::Result<()> {
        same("chain", &self.origin.chain_id.0, &step.chain_id)
    }
}

/// So much of a token as contracts have it: native currency and tokens.
fn amount(token: Address, amount: U256) -> (U256, Vec<TokenAmount>) {
    if token.is_zero() {
        return (amount, Vec::new());
    }
    (U256::ZERO, vec![TokenAmount { token, amount }])
}

/// The call that pays the recipient on the destination.
fn payment(token: Address, recipient: Address, amount: U256) -> Call {
    if token.is_zero() {
        return Call { target: recipient, data: Default::default(), value: amount };
    }
    let data = erc20::transferCall { to: recipient, value: amount }.abi_encode().into();
    Call { target: token, data, value: U256::ZERO }
}

/// The call in the calldata, which are exactly its encoding.
fn decoded<C: SolCall>(data: &[u8]) -> eyre::Result<C> {
    let call = C::abi_decode_validate(data).wrap_err_with(|| format!("no {}", C::SIGNATURE))?;
    // What contracts make of another encoding is not what is checked here.
    ensure!(call.abi_encode() == data, "{} is not encoded as usual", C::SIGNATURE);
    Ok(call)
}

fn same<T: PartialEq + Debug>(what: &str, expected: &T, given: &T) -> eyre::Result<()> {
    ensure!(given == expected, "{what}: expected {expected:?}, given {given:?}");
    Ok(())
}

#[cfg(test)]
mod tests;
