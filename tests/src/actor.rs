//! People who move money.

use alloy::{
    primitives::{Address, B256, U256},
    rpc::types::{Filter, TransactionReceipt},
    signers::local::PrivateKeySigner,
    sol_types::{SolCall, SolEvent},
};
use cli::{
    local,
    refund::refund,
    wallet::{Call, Wallet},
};
use eyre::OptionExt;
use protocol::abi::{
    intent::{Call as RouteCall, Intent, Reward, Route},
    intent_source,
};

use crate::{Transfer, World};

/// Somebody with a key.
#[derive(Debug, Clone)]
pub struct Actor<'a> {
    world: &'a World,
    signer: PrivateKeySigner,
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
        Transfer::new(self.clone(), wei, false)
    }

    /// Wants to send test tokens, in their smallest unit.
    pub fn sends_tokens(&self, amount: U256) -> Transfer<'a> {
        Transfer::new(self.clone(), amount, true)
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
        let id = self.intent.hash().0;
        refund(&wallet, self.actor.world.manifest(), &self.receipt, id).await?;
        Ok(())
    }
}
