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
use chain::{ChainClient, client::Error};
use eyre::{WrapErr, bail, ensure};
use protocol::abi::erc20;
use tokio::time::{Instant, sleep};

/// Pause between two looks for a receipt.
const LOOK: Duration = Duration::from_millis(50);
/// Longest wait for a receipt.
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
        self.client.send_raw(&signed.encoded_2718()).await.wrap_err("the node refuses it")?;
        Ok(*signed.tx_hash())
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
        let deadline = Instant::now() + MINED_WITHIN;
        loop {
            if let Some(receipt) = self.client.receipt(hash).await? {
                ensure!(receipt.status(), "transaction {hash} reverted");
                return Ok(receipt);
            }
            if Instant::now() > deadline {
                bail!("transaction {hash} was not mined within {MINED_WITHIN:?}");
            }
            sleep(LOOK).await;
        }
    }
}
