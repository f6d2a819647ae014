//! Money that somebody moves through the aggregator.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rpc::types::{BlockId, TransactionReceipt},
};
use api::aggregator::{
    AmountRequest, Call, FeeKind, Order, OrderState, Preference, Quote, QuoteRequest,
    QuoteResponse, Security, Step,
};
use cli::{local, refund::refund, wallet};
use eyre::{OptionExt, ensure};
use protocol::abi::erc20;

use crate::{Actor, World, patience::until};

/// What somebody wants to move, from the origin to the destination unless told otherwise.
#[derive(Debug, Clone)]
pub struct Transfer<'a> {
    actor: Actor<'a>,
    amount: AmountRequest,
    is_token: bool,
    security: Security,
    recipient: Address,
    refund_address: Option<Address>,
    origin: u64,
    destination: u64,
    gasless: bool,
    calls: Vec<Call>,
    providers: Vec<String>,
}

/// A quote that somebody has and nobody has taken yet.
#[derive(Debug, Clone)]
pub struct Quoted {
    request: QuoteRequest,
    /// The best of the answer.
    pub quote: Quote,
}

/// A transfer that was signed and mined.
#[derive(Debug)]
pub struct Bridged<'a> {
    world: &'a World,
    id: B256,
    request: QuoteRequest,
    /// What was promised.
    pub quote: Quote,
    /// Of the transaction that published it; none of a signed order, which a solver opens.
    published: Option<TransactionReceipt>,
    balance_before: U256,
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(actor: Actor<'a>, amount: U256, is_token: bool) -> Self {
        let world = actor.world();
        Self {
            actor,
            amount: AmountRequest::ExactInput(amount.into()),
            is_token,
            security: Security::Instant,
            // An account that nobody else uses, so that its balance tells what arrived.
            recipient: Address::from_word(B256::random()),
            refund_address: None,
            origin: world.origin(),
            destination: world.destination(),
            gasless: false,
            calls: Vec::new(),
            providers: Vec::new(),
        }
    }

    /// Chooses the security tier; instant by default.
    #[must_use]
    pub fn with_security(self, security: Security) -> Self {
        Self { security, ..self }
    }

    /// Chooses where it begins and where it ends.
    #[must_use]
    pub fn between(self, origin: u64, destination: u64) -> Self {
        Self { origin, destination, ..self }
    }

    /// Signs an order, which a solver opens, instead of sending it.
    #[must_use]
    pub fn signed(self) -> Self {
        Self { gasless: true, ..self }
    }

    /// The amount is what arrives, not what is spent.
    #[must_use]
    pub fn counted_on_arrival(self) -> Self {
        let (AmountRequest::ExactInput(amount) | AmountRequest::ExactOutput(amount)) = self.amount;
        Self { amount: AmountRequest::ExactOutput(amount), ..self }
    }

    /// Names who gets the money back when nobody fills; the sender by default.
    #[must_use]
    pub fn or_back_to(self, address: Address) -> Self {
        Self { refund_address: Some(address), ..self }
    }

    /// Has a contract called at the destination after the payment, with a part of a native output.
    #[must_use]
    pub fn then_calls(mut self, target: Address, data: Bytes, value: U256) -> Self {
        self.calls.push(Call { target, data, value: value.into() });
        self
    }

    /// Asks this provider and no other.
    #[must_use]
    pub fn only_of(mut self, provider: &str) -> Self {
        self.providers.push(provider.to_owned());
        self
    }

    /// Asks once for quotes.
    ///
    /// # Errors
    /// The aggregator refuses the request or cannot be asked.
    pub async fn asks(&self) -> eyre::Result<QuoteResponse> {
        Ok(self.actor.world().api()?.quote(&self.request()?).await?)
    }

    /// Asks for quotes until there is one, and keeps the best.
    ///
    /// # Errors
    /// Nobody quotes in time, or as [`Self::asks`].
    pub async fn quoted(self) -> eyre::Result<Quoted> {
        let request = self.request()?;
        let api = self.actor.world().api()?;
        let quote = until("a quote", async || {
            let answer = api.quote(&request).await?;
            Ok(answer.quotes.into_iter().next())
        })
        .await?;
        Ok(Quoted { request, quote })
    }

    /// Asks for quotes, takes the best, signs and sends its steps.
    ///
    /// # Errors
    /// Nobody quotes, or a step fails.
    pub async fn done(self) -> eyre::Result<Bridged<'a>> {
        let actor = self.actor.clone();
        actor.takes(self.quoted().await?).await
    }

    fn request(&self) -> eyre::Result<QuoteRequest> {
        Ok(QuoteRequest {
            origin_chain_id: self.origin,
            origin_token: self.token(self.origin)?,
            destination_chain_id: self.destination,
            destination_token: self.token(self.destination)?,
            amount: self.amount,
            sender: Some(self.actor.address()),
            recipient: Some(self.recipient),
            refund_address: self.refund_address,
            preference: Preference::Recommended,
            security: Some(self.security),
            slippage_bps: 50,
            gasless: self.gasless,
            calls: self.calls.clone(),
            providers: self.providers.clone(),
        })
    }

    /// What is moved, as a chain has it: the zero address is the native currency.
    fn token(&self, chain: u64) -> eyre::Result<Address> {
        if !self.is_token {
            return Ok(Address::ZERO);
        }
        self.actor.world().contracts(chain)?.contracts.test_token.ok_or_eyre("no test token")
    }
}

impl<'a> Actor<'a> {
    /// Signs and sends the steps of a quote, and tells the aggregator.
    ///
    /// # Errors
    /// A step fails, or the aggregator refuses the order.
    pub async fn takes(&self, Quoted { request, quote }: Quoted) -> eyre::Result<Bridged<'a>> {
        let world = self.world();
        let (token, recipient) = (request.destination_token, request.recipient);
        let recipient = recipient.ok_or_eyre("no recipient")?;
        let balance_before = world.balance(request.destination_chain_id, token, recipient).await?;
        let wallet = self.wallet(request.origin_chain_id)?;
        let (mut published, mut signature) = (None, None);
        for step in &quote.steps {
            match step {
                Step::Transaction(step) => {
                    let (to, data, value) = (step.to, step.data.clone(), step.value.0);
                    let call = wallet::Call { to, data, value, gas_limit: None };
                    published = Some(wallet.send(call).await?);
                }
                Step::Signature(step) => {
                    signature = Some(wallet.sign_typed_data(&step.typed_data)?);
                }
            }
        }
        if signature.is_some() {
            // What was sent before is an approval.
            published = None;
        }
        let api = world.api()?;
        let transaction = published.as_ref().map(|receipt| receipt.transaction_hash);
        let id = until("the order to be taken", async || {
            let submitted = match &signature {
                Some(signature) => api.submit_signed(quote.clone(), signature.clone()).await,
                None => api.submit(quote.clone(), transaction).await,
            };
            match submitted {
                Ok(order) => Ok(Some(order.id)),
                // The aggregator's node may be behind ours, or away.
                Err(error) if error.passes() => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await?;
        Ok(Bridged { world, id, request, quote, published, balance_before })
    }
}

impl Bridged<'_> {
    /// The order's id.
    pub const fn id(&self) -> B256 {
        self.id
    }

    /// Waits until the order is in this state, or beyond it on the way to the end.
    ///
    /// # Errors
    /// As [`World::order_reaches`].
    pub async fn reaches(&self, state: OrderState) -> eyre::Result<Order> {
        self.world.order_reaches(self.id, state).await
    }

    /// Waits until the reward is paid, as the origin itself says.
    ///
    /// # Errors
    /// It is not paid in time.
    pub async fn is_paid(&self) -> eyre::Result<()> {
        self.world.reward_is_paid(self.request.origin_chain_id, self.id).await
    }

    /// Has somebody take the money back that nobody can fill any more, and waits until the order says so.
    ///
    /// # Errors
    /// The contract refuses, or the order does not say so in time.
    pub async fn is_refunded_by(&self, actor: &Actor<'_>) -> eyre::Result<()> {
        let published = self.published.as_ref().ok_or_eyre("a solver has opened it")?;
        let wallet = actor.wallet(self.request.origin_chain_id)?;
        refund(&wallet, self.world.manifest(), published, self.id).await?;
        let api = self.world.api()?;
        until("the refund to be seen", async || {
            let order = api.order(self.id).await?;
            let is_seen = order.is_some_and(|order| order.state == OrderState::Refunded);
            Ok(is_seen.then_some(()))
        })
        .await
    }

    /// Checks that the quote named the solver's costs one by one, and that all of them together are
    /// what lies between its amounts.
    ///
    /// # Errors
    /// A fee is missing, or the sum is another.
    pub fn names_every_fee(&self) -> eyre::Result<()> {
        let fees = &self.quote.fees;
        for kind in [FeeKind::DestinationGas, FeeKind::SettlementGas, FeeKind::Solver] {
            ensure!(fees.iter().any(|fee| fee.kind == kind), "no {kind:?} in {fees:?}");
        }
        let included = fees.iter().filter(|fee| fee.included);
        let sum = included.fold(U256::ZERO, |sum, fee| sum + fee.amount.0);
        let between = self.quote.amount_in.0 - self.quote.amount_out.0;
        ensure!(sum == between, "the fees are {sum} of {between}");
        Ok(())
    }

    /// Checks that the recipient has what was quoted, to the last unit, less what the calls were given.
    ///
    /// # Errors
    /// The recipient has something else.
    pub async fn recipient_has_what_was_quoted(&self) -> eyre::Result<()> {
        let request = &self.request;
        let recipient = request.recipient.ok_or_eyre("no recipient")?;
        let (chain, token) = (request.destination_chain_id, request.destination_token);
        let given = self.world.balance(chain, token, recipient).await? - self.balance_before;
        let called = request.calls.iter().fold(U256::ZERO, |sum, call| sum + call.value.0);
        let expected = self.quote.amount_out.0 - called;
        ensure!(given == expected, "expected {expected} to arrive, given {given}");
        Ok(())
    }
}

impl World {
    /// What an account has of a token, or of the native currency: the zero address.
    ///
    /// # Errors
    /// The chain cannot be asked.
    pub async fn balance(
        &self,
        chain_id: u64,
        token: Address,
        account: Address,
    ) -> eyre::Result<U256> {
        let client = local::client(self.contracts(chain_id)?)?;
        if token.is_zero() {
            return Ok(client.balance(account, BlockId::latest()).await?);
        }
        Ok(client.call(token, &erc20::balanceOfCall { account }, BlockId::latest()).await?)
    }
}

/// How far along the way to payment a state is.
pub(crate) const fn rank(state: OrderState) -> u8 {
    match state {
        OrderState::Failed | OrderState::Pending => 0,
        OrderState::Published => 1,
        OrderState::Funded | OrderState::Refundable => 2,
        OrderState::Filled => 3,
        OrderState::Proving => 4,
        OrderState::Proven => 5,
        OrderState::Settled | OrderState::Refunded => 6,
    }
}
