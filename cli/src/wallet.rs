//! An account that a person uses: it signs, sends and waits.

use std::time::Duration;

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    dyn_abi::TypedData,
    eips::{Encodable2718, eip1559::Eip1559Estimation},
    network::{TransactionBuilder, TxSignerSync},
    primitives::{Address, Bytes, TxHash, U256},
    rpc::types::{BlockNumberOrTag, TransactionReceipt, TransactionRequest},
    signers::{SignerSync, local::PrivateKeySigner},
};
use chain::{
    ChainClient,
    client::{Error, Rejection},
};
use eyre::WrapErr;
use protocol::{abi::erc20, ids::ChainId};
use tokio::time::{Instant, sleep};

/// Pause between two looks for a receipt.
const LOOK: Duration = Duration::from_millis(50);
/// Pause before a transaction is handed over again whose first answer was lost.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for a receipt, unless told otherwise.
const MINED_WITHIN: Duration = Duration::from_secs(120);

/// One account on one chain, used by a person: it signs, sends and waits.
#[derive(Debug)]
pub struct Wallet {
    signer: PrivateKeySigner,
    client: ChainClient,
}

/// A call to sign and send.
#[derive(Debug, Clone)]
pub struct Call {
    /// The contract or account called.
    pub to: Address,
    /// The calldata.
    pub data: Bytes,
    /// Native currency sent along, in wei.
    pub value: U256,
    /// Estimated when left out.
    pub gas_limit: Option<u64>,
}

/// A transaction that is signed, and may be handed to nodes any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) hash: TxHash,
    raw: Vec<u8>,
}

/// A signed transaction that is not mined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undelivered {
    /// A node refuses it for good. Another may have it, if its answer was lost.
    #[error("the node refuses it: {0}")]
    Refused(#[source] Error),
    /// It was mined and did nothing.
    #[error("transaction {0} reverted")]
    Reverted(TxHash),
    /// It may still be mined.
    #[error("transaction {hash} was not mined within {within:?}")]
    Late {
        hash: TxHash,
        within: Duration,
        /// Why the last look for it showed nothing, when that failed.
        #[source]
        cause: Option<Error>,
    },
}

impl Wallet {
    /// The account of `signer` on the chain of `client`.
    pub const fn new(signer: PrivateKeySigner, client: ChainClient) -> Self {
        Self { signer, client }
    }

    /// Signs EIP-712 typed data.
    ///
    /// # Errors
    /// It is no typed data.
    pub fn sign_typed_data(&self, data: &serde_json::Value) -> eyre::Result<Bytes> {
        let data: TypedData = serde_json::from_value(data.clone())?;
        Ok(self.signer.sign_dynamic_typed_data_sync(&data)?.as_bytes().into())
    }

    /// The chain it is used on.
    pub const fn chain_id(&self) -> ChainId {
        self.client.chain_id()
    }

    /// Its address.
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Sends a call and waits until it is mined.
    ///
    /// # Errors
    /// The node refuses it, it reverts, or it is not mined in time.
    pub async fn send(&self, call: Call) -> eyre::Result<TransactionReceipt> {
        let nonce = self.client.nonce(self.address(), BlockNumberOrTag::Pending).await?;
        let hash = self.submit(call, nonce).await?;
        self.mined(hash).await
    }

    /// Sends calls one after another without waiting in between, and then waits for all.
    ///
    /// # Errors
    /// As [`Self::send`], for the first that fails.
    pub async fn send_all(&self, calls: Vec<Call>) -> eyre::Result<()> {
        let mut nonce = self.client.nonce(self.address(), BlockNumberOrTag::Pending).await?;
        let mut hashes = Vec::new();
        for call in calls {
            hashes.push(self.submit(call, nonce).await?);
            nonce += 1;
        }
        for hash in hashes {
            self.mined(hash).await?;
        }
        Ok(())
    }

    /// What the account has of a token, or of the native currency (the zero address).
    ///
    /// # Errors
    /// The node does not say.
    pub async fn balance_of(&self, token: Address) -> eyre::Result<U256> {
        let account = self.address();
        if token.is_zero() {
            return Ok(self.client.balance(account, BlockNumberOrTag::Latest).await?);
        }
        let call = erc20::balanceOfCall { account };
        Ok(self.client.call(token, &call, BlockNumberOrTag::Latest).await?)
    }

    /// The account's next nonce.
    ///
    /// # Errors
    /// The node does not say.
    pub(crate) async fn nonce(&self, at: BlockNumberOrTag) -> eyre::Result<u64> {
        Ok(self.client.nonce(self.address(), at).await?)
    }

    /// Signs a call and hands it to the node, which may or may not mine it.
    ///
    /// # Errors
    /// The node refuses it.
    pub(crate) async fn submit(&self, call: Call, nonce: u64) -> eyre::Result<TxHash> {
        let signed = self.sign(call, nonce).await?;
        self.client.send_raw(&signed.raw).await.wrap_err("the node refuses it")?;
        Ok(signed.hash)
    }

    /// Signs a call as the account's next transaction. No node has it yet, but its hash is known.
    ///
    /// # Errors
    /// It would revert, or the node cannot be asked.
    pub(crate) async fn prepare(&self, call: Call) -> eyre::Result<Signed> {
        let nonce = self.nonce(BlockNumberOrTag::Pending).await?;
        self.sign(call, nonce).await
    }

    /// Hands a signed transaction to the node and waits until it is mined. Where an answer is lost the
    /// node may have taken it, so it is handed over again: that does no harm.
    ///
    /// # Errors
    /// [`Undelivered`].
    pub(crate) async fn deliver(
        &self,
        signed: &Signed,
        within: Duration,
    ) -> Result<TransactionReceipt, Undelivered> {
        let begun = Instant::now();
        let mut is_lost = false;
        while let Err(error) = self.client.send_raw(&signed.raw).await {
            if is_lost && Rejection::of(&error) == Some(Rejection::NonceTooLow) {
                // So says a node that has mined it meanwhile.
                break;
            }
            if !error.is_retryable() {
                return Err(Undelivered::Refused(error));
            }
            is_lost = true;
            if begun.elapsed() > within {
                return Err(Undelivered::Late { hash: signed.hash, within, cause: Some(error) });
            }
            sleep(AGAIN).await;
        }
        self.mined_within(signed.hash, within).await
    }

    async fn sign(&self, call: Call, nonce: u64) -> eyre::Result<Signed> {
        let fees = self.client.fees().await?;
        let fees = Eip1559Estimation {
            // Twice the base fee stays enough while it rises for five blocks.
            max_fee_per_gas: fees.base * 2 + fees.priority,
            max_priority_fee_per_gas: fees.priority,
        };
        let gas_limit = match call.gas_limit {
            Some(limit) => limit,
            None => self.estimate(&call).await?,
        };
        let mut transaction = TxEip1559 {
            chain_id: self.client.chain_id().0,
            nonce,
            gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to: call.to.into(),
            value: call.value,
            input: call.data,
            ..TxEip1559::default()
        };
        let signature = self.signer.sign_transaction_sync(&mut transaction)?;
        let signed = TxEnvelope::Eip1559(transaction.into_signed(signature));
        Ok(Signed { hash: *signed.tx_hash(), raw: signed.encoded_2718() })
    }

    /// The node's estimate and a fifth: state may have moved by the time it is mined.
    async fn estimate(&self, call: &Call) -> Result<u64, Error> {
        let request = TransactionRequest::default()
            .with_from(self.address())
            .with_to(call.to)
            .with_input(call.data.clone())
            .with_value(call.value);
        let gas = self.client.estimate(&request).await?;
        Ok(gas + gas / 5)
    }

    /// The receipt of a transaction, once it is mined.
    ///
    /// # Errors
    /// It reverts, or is not mined in time.
    pub(crate) async fn mined(&self, hash: TxHash) -> eyre::Result<TransactionReceipt> {
        Ok(self.mined_within(hash, MINED_WITHIN).await?)
    }

    /// The transaction is out there whatever a node says when it is asked: only time ends the wait.
    async fn mined_within(
        &self,
        hash: TxHash,
        within: Duration,
    ) -> Result<TransactionReceipt, Undelivered> {
        let begun = Instant::now();
        loop {
            let cause = match self.client.receipt(hash).await {
                Ok(Some(receipt)) if receipt.status() => return Ok(receipt),
                Ok(Some(_)) => return Err(Undelivered::Reverted(hash)),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            if begun.elapsed() > within {
                return Err(Undelivered::Late { hash, within, cause });
            }
            sleep(LOOK).await;
        }
    }
}
