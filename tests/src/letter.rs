//! Messages from one application to another.

use alloy::{
    primitives::{Address, B256, Bytes, U256, bytes},
    rpc::types::{BlockId, Filter},
    sol_types::{SolCall, SolEvent},
};
use cli::{local, wallet::Call};
use devnet::Transact;
use eyre::{OptionExt, ensure};
use protocol::{
    abi::{messaging::ReadOperation, recipient, router},
    finality::Tier,
};

use crate::{Actor, World, patience::until};

/// Gas that a recipient may use.
const GAS: u64 = 300_000;
/// CALLDATASIZE, PUSH0, PUSH0, CALLDATACOPY, CALLDATASIZE, PUSH0, LOG0: logs what it is called with.
const LOGS_ITS_CALL: Bytes = bytes!("365f5f37365fa0");

/// A message to an application at the destination, not sent yet.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The application.
    pub to: Address,
    /// What it is told.
    pub body: Bytes,
    /// How final the origin must be.
    pub tier: Tier,
    /// What validators look up for it.
    pub reads: Vec<ReadOperation>,
}

/// A message that was dispatched.
#[derive(Debug, Clone, Copy)]
pub struct Posted<'a> {
    world: &'a World,
    to: Address,
    /// Its Metalayer id.
    pub id: B256,
    /// Its mailbox's id.
    pub mailbox_id: B256,
}

impl World {
    /// An application at the destination that takes every message and every call, and logs it.
    ///
    /// # Errors
    /// The chain is not ours.
    pub fn application(&self, address: Address) -> eyre::Result<Address> {
        self.chain(self.destination())?.set_code(address, LOGS_ITS_CALL)?;
        Ok(address)
    }

    /// What an application was called with, the first call first.
    ///
    /// # Errors
    /// The chain cannot be asked.
    pub async fn calls_of(&self, application: Address) -> eyre::Result<Vec<Bytes>> {
        let destination = self.contracts(self.destination())?;
        let filter = Filter::new().address(application).from_block(destination.start_block);
        let logs = local::client(destination)?.logs(&filter).await?;
        Ok(logs.into_iter().map(|log| log.inner.data.data).collect())
    }

    /// An application says which tiers it takes.
    ///
    /// # Errors
    /// The router refuses it.
    pub fn accepts_only(&self, application: Address, tier: Tier) -> eyre::Result<()> {
        let router = self.contracts(self.destination())?.contracts.router;
        let call = router::setFinalityPolicyCall { acceptedTiers: tier.mask().bits() };
        let call = Transact::call(application, router, call.abi_encode());
        ensure!(self.chain(self.destination())?.transact(call)?.success, "refused");
        Ok(())
    }
}

impl<'a> Actor<'a> {
    /// Dispatches a message from the origin.
    ///
    /// # Errors
    /// The router refuses it.
    pub async fn posts(&self, letter: &Letter) -> eyre::Result<Posted<'a>> {
        let world = self.world();
        let origin = world.contracts(world.origin())?;
        let domain = u32::try_from(world.destination())?;
        let (router, gas) = (origin.contracts.router, U256::from(GAS));
        let quote = router::quoteDispatch_0Call {
            destinationDomain: domain,
            recipient: letter.to,
            reads: letter.reads.clone(),
            writeCallData: letter.body.clone(),
            finalityState: letter.tier.byte(),
            gasLimit: gas,
        };
        let fee = local::client(origin)?.call(router, &quote, BlockId::latest()).await?;
        let dispatch = router::dispatch_0Call {
            destinationDomain: domain,
            recipient: letter.to,
            reads: letter.reads.clone(),
            writeCallData: letter.body.clone(),
            finalityState: letter.tier.byte(),
            gasLimit: gas,
        };
        let data = dispatch.abi_encode().into();
        let call = Call { to: router, data, value: fee, gas_limit: None };
        let receipt = self.wallet(world.origin())?.send(call).await?;
        let events = receipt.logs().iter();
        let mut events =
            events.filter_map(|log| router::MetalayerDispatch::decode_log(&log.inner).ok());
        let event = events.next().ok_or_eyre("no message was dispatched")?;
        let (id, mailbox_id) = (event.messageId, event.mailboxMessageId);
        Ok(Posted { world, to: letter.to, id, mailbox_id })
    }
}

impl Actor<'_> {
    /// Has the destination tell the origin that a message was delivered, at this tier.
    ///
    /// # Errors
    /// The router refuses it.
    pub async fn confirms(&self, posted: &Posted<'_>, tier: Tier) -> eyre::Result<()> {
        let world = self.world();
        let destination = world.contracts(world.destination())?;
        let (router, domain) = (destination.contracts.router, u32::try_from(world.origin())?);
        let quote = router::quoteConfirmCall {
            originDomain: domain,
            count: U256::from(1),
            finality: tier.byte(),
        };
        let fee = local::client(destination)?.call(router, &quote, BlockId::latest()).await?;
        let confirm = router::confirmCall {
            originDomain: domain,
            ids: vec![posted.id],
            finality: tier.byte(),
        };
        let data = confirm.abi_encode().into();
        let call = Call { to: router, data, value: fee, gas_limit: None };
        self.wallet(world.destination())?.send(call).await?;
        Ok(())
    }
}

impl Posted<'_> {
    /// Whether the destination's router has delivered it.
    ///
    /// # Errors
    /// The chain cannot be asked.
    pub async fn is_there(&self) -> eyre::Result<bool> {
        let destination = self.world.contracts(self.world.destination())?;
        let call = router::deliveredCall { messageId: self.id };
        let client = local::client(destination)?;
        let delivered = client.call(destination.contracts.router, &call, BlockId::latest()).await?;
        Ok(delivered.isDelivered)
    }

    /// Waits until its application was called; with what.
    ///
    /// # Errors
    /// It is not delivered in time.
    pub async fn arrives(&self) -> eyre::Result<recipient::handleCall> {
        until("delivery", async || Ok(self.is_there().await?.then_some(()))).await?;
        let calls = self.world.calls_of(self.to).await?;
        let last = calls.last().ok_or_eyre("the application was not called")?;
        Ok(recipient::handleCall::abi_decode_validate(last)?)
    }

    /// Waits until the origin knows of its delivery; the byte of the tier that says so.
    ///
    /// # Errors
    /// It is not confirmed in time.
    pub async fn is_confirmed(&self) -> eyre::Result<u8> {
        let origin = self.world.contracts(self.world.origin())?;
        let client = local::client(origin)?;
        let call = router::confirmationTierCall { messageId: self.id };
        until("confirmation", async || {
            let tier = client.call(origin.contracts.router, &call, BlockId::latest()).await?;
            Ok(tier.isConfirmed.then_some(tier.finality))
        })
        .await
    }
}
