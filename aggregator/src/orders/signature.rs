use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes},
    sol_types::SolCall,
};
use chain::{ChainClient, client};
use protocol::{abi::erc1271, multisig};

/// What a contract answers when it accepts a signature.
const ACCEPTED: [u8; 4] = erc1271::isValidSignatureCall::SELECTOR;

/// Why a signature does not open an order.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFault {
    /// No key made it.
    #[error("`signature`: expected 65 bytes by {signer} with a low s, given others")]
    Malformed {
        /// Who should have signed.
        signer: Address,
    },
    /// Another key made it.
    #[error("`signature`: expected one by {signer}, given one by {by}, or of something else")]
    Foreign {
        /// Who should have signed.
        signer: Address,
        /// Whose signature it would be.
        by: Address,
    },
    /// The signer is a contract, and does not accept it.
    #[error("`signature`: expected one that contract {signer} accepts (ERC-1271), given another")]
    Refused {
        /// The contract.
        signer: Address,
    },
    /// The chain cannot be asked.
    #[error(transparent)]
    Chain(#[from] client::Error),
}

/// Checks who signed as our IntentSource does: `signer` by its key or, where it is a contract, by its
/// own word. The chain is asked only when it was not the key.
///
/// # Errors
/// [`SignatureFault`].
pub async fn check_signature(
    client: &ChainClient,
    signer: Address,
    digest: B256,
    signature: &Bytes,
) -> Result<(), SignatureFault> {
    let (recovered, latest) = (recover(digest, signature), BlockNumberOrTag::Latest);
    if recovered == Some(signer) {
        return Ok(());
    }
    if client.code(signer, latest).await?.is_empty() {
        let malformed = SignatureFault::Malformed { signer };
        return Err(recovered.map_or(malformed, |by| SignatureFault::Foreign { signer, by }));
    }
    let question = erc1271::isValidSignatureCall { hash: digest, signature: signature.clone() };
    match client.call(signer, &question, latest).await {
        Ok(answer) if answer.0 == ACCEPTED => Ok(()),
        Ok(_) | Err(client::Error::Reverted { .. } | client::Error::Decode { .. }) => {
            Err(SignatureFault::Refused { signer })
        }
        Err(error) => Err(error.into()),
    }
}

/// The account whose key made the signature. The contract takes no other forms than these, which
/// would give one order several signatures.
fn recover(digest: B256, signature: &[u8]) -> Option<Address> {
    let signature = signature.try_into().ok().filter(multisig::is_canonical)?;
    multisig::recover(digest, &signature)
}
