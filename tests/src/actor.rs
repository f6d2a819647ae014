//! People who move money.

use alloy::{
    dyn_abi::TypedData,
    primitives::{Address, B256, Bytes, U256},
    rpc::types::{BlockId, Filter, TransactionReceipt},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{SolCall, SolEvent},
};
use api::aggregator::{
    AmountRequest, Order, OrderState, Preference, Quote, QuoteRequest, Security, Step,
};
use cli::{
    local,
    refund::refund,
    wallet::{Call, Wallet},
};
use eyre::{OptionExt, ensure};
use protocol::abi::{
    erc20,
    intent::{Call as RouteCall, Intent, Reward, Route},
    intent_source,
};

use crate::{World, patience::until};

/// Somebody with a key.
#[derive(Debug, Clone)]
pub struct Actor<'a> {
    world: &'a World,
    signer: PrivateKeySigner,
}

/// What somebody wants to move, from the origin to the destination unless told otherwise.
#[derive(Debug, Clone)]
pub struct Transfer<'a> {
    actor: Actor<'a>,
    amount: U256,
    is_token: bool,
    security: Security,
    recipient: Address,
    origin: u64,
    destination: u64,
    gasless: bool,
}

/// A transfer that was signed and mined.
#[derive(Debug)]
pub struct Bridged<'a> {
    world: &'a World,
    id: B256,
    origin: u64,
    destination: u64,
    quote: Quote,
    recipient: Address,
    token: Option<Address>,
    balance_before: U256,
}

/// An intent that was published without any solver's quote.
#[derive(Debug)]
pub struct Published<'a> {
    actor: Actor<'a>,
    /// The intent.
    pub intent: Intent,
    receipt: TransactionReceipt,
}

impl<'a> Actor<'a> {
    pub(crate) const fn new(world: &'a World, signer: PrivateKeySigner) -> Self {
        Self { world, signer }
    }

    /// The actor's key in hexadecimal, for a wallet elsewhere.
    pub fn key(&self) -> String {
        self.signer.to_bytes().to_string()
    }

    /// The actor's address.
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Wants to send native currency, in wei.
    pub fn sends_native(&self, wei: U256) -> Transfer<'a> {
        self.transfer(wei, false)
    }

    /// Wants to send test tokens, in their smallest unit.
    pub fn sends_tokens(&self, amount: U256) -> Transfer<'a> {
        self.transfer(amount, true)
    }

    fn transfer(&self, amount: U256, is_token: bool) -> Transfer<'a> {
        // An account that nobody else uses, so that its balance tells what arrived.
        let recipient = Address::from_word(B256::random());
        let actor = self.clone();
        let (origin, destination) = (self.world.origin(), self.world.destination());
        let security = Security::Instant;
        let gasless = false;
        Transfer { actor, amount, is_token, security, recipient, origin, destination, gasless }
    }

    /// Publishes an intent that no solver was asked about: `reward` wei for `amount` wei at the
    /// destination, within `lifetime` seconds of chain time.
    ///
    /// # Errors
    /// The publication fails.
    pub async fn publishes(
        &self,
        reward: U256,
        amount: U256,
        lifetime: u64,
    ) -> eyre::Result<Published<'a>> {
        let origin = self.world.contracts(self.world.origin())?;
        let destination = self.world.contracts(self.world.destination())?;
        let deadline = local::client(origin)?.latest().await?.timestamp + lifetime;
        let recipient = Address::from_word(B256::random());
        let intent = Intent {
            destination: self.world.destination(),
            route: Route {
                salt: B256::random(),
                deadline,
                portal: destination.contracts.inbox,
                nativeAmount: amount,
                tokens: Vec::new(),
                calls: vec![RouteCall { target: recipient, data: [].into(), value: amount }],
            },
            reward: Reward {
                deadline,
                creator: self.address(),
                prover: origin.contracts.meta_prover_instant,
                nativeAmount: reward,
                tokens: Vec::new(),
            },
        };
        let call =
            intent_source::publishAndFund_0Call { intent: intent.clone(), allowPartial: false };
        let receipt = self
            .wallet(self.world.origin())?
            .send(Call {
                to: origin.contracts.intent_source,
                data: call.abi_encode().into(),
                value: reward,
                gas_limit: None,
            })
            .await?;
        Ok(Published { actor: self.clone(), intent, receipt })
    }

    pub(crate) const fn world(&self) -> &'a World {
        self.world
    }

    pub(crate) fn wallet(&self, chain_id: u64) -> eyre::Result<Wallet> {
        let client = local::client(self.world.contracts(chain_id)?)?;
        Ok(Wallet::new(self.signer.clone(), client))
    }
}

impl<'a> Transfer<'a> {
    /// Chooses the security tier; instant by default.
    #[must_use]
    pub const fn with_security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// Chooses where it begins and where it ends.
    #[must_use]
    pub const fn between(mut self, origin: u64, destination: u64) -> Self {
        self.origin = origin;
        self.destination = destination;
        self
    }

    /// Signs an order, which a solver opens, instead of sending it.
    #[must_use]
    pub const fn signed(mut self) -> Self {
        self.gasless = true;
        self
    }

    /// Asks for quotes, takes the best, signs and sends its steps.
    ///
    /// # Errors
    /// Nobody quotes, or a step fails.
    pub async fn done(self) -> eyre::Result<Bridged<'a>> {
        let world = self.actor.world;
        let api = world.api()?;
        let token = |chain| -> eyre::Result<Option<Address>> {
            let token = world.contracts(chain)?.contracts.test_token;
            if self.is_token { Ok(Some(token.ok_or_eyre("no test token")?)) } else { Ok(None) }
        };
        let (token_in, token_out) = (token(self.origin)?, token(self.destination)?);
        let request = QuoteRequest {
            origin_chain_id: self.origin,
            origin_token: token_in.unwrap_or_default(),
            destination_chain_id: self.destination,
            destination_token: token_out.unwrap_or_default(),
            amount: AmountRequest::ExactInput(self.amount.into()),
            sender: Some(self.actor.address()),
            recipient: Some(self.recipient),
            refund_address: None,
            preference: Preference::Recommended,
            security: Some(self.security),
            slippage_bps: 50,
            gasless: self.gasless,
            calls: Vec::new(),
            providers: Vec::new(),
        };
        let quote = until("a quote", async || {
            let answer = api.quote(&request).await?;
            Ok(answer.quotes.into_iter().next())
        })
        .await?;
        let balance_before = balance(world, self.destination, token_out, self.recipient).await?;
        let wallet = self.actor.wallet(self.origin)?;
        let (mut transaction, mut signature) = (None, None);
        for step in &quote.steps {
            match step {
                Step::Transaction(step) => {
                    let (to, data, value) = (step.to, step.data.clone(), step.value.0);
                    let call = Call { to, data, value, gas_limit: None };
                    transaction = Some(wallet.send(call).await?.transaction_hash);
                }
                Step::Signature(step) => {
                    let data: TypedData = serde_json::from_value(step.typed_data.clone())?;
                    let signed = self.actor.signer.sign_dynamic_typed_data_sync(&data)?;
                    signature = Some(Bytes::from(signed.as_bytes()));
                }
            }
        }
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
        Ok(Bridged {
            world,
            id,
            origin: self.origin,
            destination: self.destination,
            quote,
            recipient: self.recipient,
            token: token_out,
            balance_before,
        })
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
        self.world.reward_is_paid(self.origin, self.id).await
    }

    /// Checks that the recipient has what was quoted, to the last unit.
    ///
    /// # Errors
    /// The recipient has something else.
    pub async fn recipient_has_what_was_quoted(&self) -> eyre::Result<()> {
        let balance = balance(self.world, self.destination, self.token, self.recipient).await?;
        let (given, expected) = (balance - self.balance_before, self.quote.amount_out.0);
        ensure!(given == expected, "expected {expected} to arrive, given {given}");
        Ok(())
    }
}

impl Published<'_> {
    /// Waits until the reward is paid; to whom.
    ///
    /// # Errors
    /// It is not paid in time.
    pub async fn is_paid(&self) -> eyre::Result<Address> {
        let (world, hash) = (self.actor.world, self.intent.hash());
        world.reward_is_paid(world.origin(), hash.0).await?;
        let origin = world.contracts(world.origin())?;
        let filter = Filter::new()
            .address(origin.contracts.intent_source)
            .event_signature(intent_source::IntentWithdrawn::SIGNATURE_HASH)
            .from_block(origin.start_block);
        let logs = local::client(origin)?.logs(&filter).await?;
        let events = logs
            .iter()
            .filter_map(|log| intent_source::IntentWithdrawn::decode_log_validate(&log.inner).ok());
        let mut events = events.filter(|event| event.intentHash == hash.0);
        Ok(events.next().ok_or_eyre("paid to nobody")?.claimant)
    }

    /// Takes the reward back.
    ///
    /// # Errors
    /// The contract refuses.
    pub async fn is_refunded(&self) -> eyre::Result<()> {
        let wallet = self.actor.wallet(self.actor.world.origin())?;
        refund(&wallet, self.actor.world.manifest(), &self.receipt).await?;
        Ok(())
    }
}

async fn balance(
    world: &World,
    chain_id: u64,
    token: Option<Address>,
    account: Address,
) -> eyre::Result<U256> {
    let client = local::client(world.contracts(chain_id)?)?;
    Ok(match token {
        Some(token) => {
            client.call(token, &erc20::balanceOfCall { account }, BlockId::latest()).await?
        }
        None => client.balance(account, BlockId::latest()).await?,
    })
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
