//! CCIP-read (EIP-3668): a module names servers, and one of their answers is the metadata.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, keccak256},
    signers::{Signer as _, local::PrivateKeySigner},
};
use chain::ChainClient;
use protocol::abi::hyperlane::CcipReadIsm;
use serde::{Deserialize, Serialize};
use url::Url;

use super::verdict::NotReady;
use crate::checkpoints::{FetchPolicy, location};

/// Largest answer of a server.
const MAX_ANSWER: usize = 1024 * 1024;
/// Most servers that are asked, of those a module names.
const MAX_SERVERS: usize = 5;

/// What a server is asked, when its URL does not hold `{data}`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lookup {
    /// The contract that asks.
    pub sender: Address,
    /// What it asks.
    pub data: Bytes,
    /// Of the relayer, over sender, data and URL template.
    #[serde(default)]
    pub signature: Option<Bytes>,
    /// The transaction that dispatched the message.
    #[serde(default)]
    pub origin_tx_hash: Option<alloy::primitives::TxHash>,
}

/// What a server answers: the data, or that it is still pending.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LookupAnswer {
    /// The metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes>,
    /// `pending` while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl LookupAnswer {
    fn is_pending(&self) -> bool {
        let says = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| text.to_lowercase().contains("pending"))
        };
        says(&self.status) || says(&self.error)
    }
}

/// Asks servers in the order the module names them.
#[derive(Debug, Clone)]
pub(super) struct Fetcher {
    pub(super) http: reqwest::Client,
    pub(super) policy: FetchPolicy,
    pub(super) signer: PrivateKeySigner,
}

impl Fetcher {
    /// The metadata of a CCIP-read module for an envelope.
    pub(super) async fn fetch(
        &self,
        chain: &ChainClient,
        ism: Address,
        envelope: &Bytes,
    ) -> Result<Vec<u8>, NotReady> {
        let call = CcipReadIsm::getOffchainVerifyInfoCall { _message: envelope.clone() };
        let lookup = match chain.call(ism, &call, BlockNumberOrTag::Latest).await {
            Ok(_) => return Err(NotReady::slow(format!("module {ism} names no server"))),
            Err(error) => {
                let lookup = error
                    .revert()
                    .and_then(|revert| revert.decode_as::<CcipReadIsm::OffchainLookup>());
                lookup.ok_or(error)?
            }
        };
        let mut refusal = NotReady::slow(format!("module {ism} names no server"));
        for template in lookup.urls.iter().take(MAX_SERVERS) {
            match self.ask(template, lookup.sender, &lookup.callData).await {
                Ok(metadata) => return Ok(metadata.into()),
                // What is pending comes by itself; a broken server may not.
                Err(reason) if refusal.pace > reason.pace => refusal = reason,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    async fn ask(&self, template: &str, sender: Address, data: &Bytes) -> Result<Bytes, NotReady> {
        let failed = |what: &dyn std::fmt::Display| NotReady::normal(format!("{template}: {what}"));
        let get = template.contains("{data}");
        let text = template
            .replace("{sender}", &format!("{sender:#x}"))
            .replace("{data}", &data.to_string());
        let url: Url = text.parse().map_err(|error| failed(&error))?;
        location::check_url(&url, self.policy).map_err(|error| failed(&error))?;
        let request = if get {
            self.http.get(url)
        } else {
            let signature =
                self.sign(sender, data, template).await.map_err(|error| failed(&error))?;
            self.http.post(url).json(&Lookup {
                sender,
                data: data.clone(),
                signature: Some(signature),
                origin_tx_hash: None,
            })
        };
        let response = request.send().await.map_err(|error| failed(&error))?;
        let body = location::bounded_body(response, MAX_ANSWER).await;
        let body = body
            .map_err(|error| failed(&error))?
            .ok_or_else(|| failed(&format_args!("more than {MAX_ANSWER} bytes")))?;
        let answer: LookupAnswer = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
        match answer {
            LookupAnswer { data: Some(data), .. } => Ok(data),
            answer if answer.is_pending() => Err(NotReady::soon(format!("{template}: pending"))),
            LookupAnswer { error, .. } => Err(failed(&error.unwrap_or_default())),
        }
    }

    /// EIP-191 over keccak256("HYPERLANE_OFFCHAINLOOKUP" ‖ sender ‖ data ‖ URL template).
    async fn sign(
        &self,
        sender: Address,
        data: &Bytes,
        template: &str,
    ) -> Result<Bytes, alloy::signers::Error> {
        let statement =
            [b"HYPERLANE_OFFCHAINLOOKUP".as_slice(), sender.as_slice(), data, template.as_bytes()]
                .concat();
        let hash = keccak256(statement);
        let signature = self.signer.sign_message(hash.as_slice()).await?;
        Ok(signature.as_bytes().to_vec().into())
    }
}
