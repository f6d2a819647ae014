//! The files of a validator's folder, byte for byte as Hyperlane's agents write and read them.
//!
//! Local files are JSON indented by two spaces. A signature is written twice: as quantities `r`, `s`
//! (hex without leading zeros) and `v`, and as 65 bytes `r ‖ s ‖ v`. Readers use the first and ignore
//! the second. `checkpoint` and `announcement` are accepted as other names of `value`.

use alloy::primitives::{Address, B256, Bytes, Signature, U256};
use protocol::{
    announcement::Announcement,
    checkpoint::Checkpoint,
    ids::{Domain, MailboxMessageId},
    signable::Signable as _,
};
use serde::{Deserialize, Serialize};

/// Name of the file with the highest published index, a bare decimal.
pub const LATEST_INDEX: &str = "index.json";
/// Name of the file with the signed announcement.
pub const ANNOUNCEMENT: &str = "announcement.json";
/// Name of the file that describes the agent.
pub const METADATA: &str = "metadata_latest.json";
/// Name of the file whose mere existence halts Hyperlane's agents.
pub const REORG_FLAG: &str = "reorg_flag.json";

/// Name of the file that holds the checkpoint at `index`.
pub fn checkpoint_name(index: u32) -> String {
    format!("{index}_with_id.json")
}

/// Name of the file that keeps what the fast tier had signed at `index` before a reorg.
pub fn evidence_name(index: u32) -> String {
    format!("reorg_evidence_{index}.json")
}

/// Why bytes are not the file they should be.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not the JSON of such a file.
    #[error("not the JSON of the file: {0}")]
    Json(#[from] serde_json::Error),
    /// `v` is none of 0, 1, 27 and 28.
    #[error("signature v is {given}, expected 27 or 28")]
    RecoveryId {
        /// The value found.
        given: u64,
    },
    /// `s` lies in the upper half of the curve order, which the ISM refuses.
    #[error("signature s is not the lower of its two values")]
    HighS,
    /// The index file is not a decimal of 32 bits.
    #[error("index file holds {given:?}, expected a decimal below 2^32")]
    Index {
        /// The text found, cut to 32 characters.
        given: String,
    },
    /// No key signed this digest with that signature.
    #[error("signature recovers to no address")]
    Unrecoverable,
}

/// A checkpoint with its signature, as published for one leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What was signed.
    pub checkpoint: Checkpoint,
    /// The signature over the [`Checkpoint`]'s digest.
    pub signature: Signature,
}

impl SignedCheckpoint {
    /// The bytes of the file.
    ///
    /// # Errors
    /// Never in practice: every field has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, Malformed> {
        let value = CheckpointValue {
            checkpoint: CheckpointFields {
                merkle_tree_hook_address: self.checkpoint.merkle_tree_hook,
                mailbox_domain: self.checkpoint.origin.0,
                root: self.checkpoint.root,
                index: self.checkpoint.index,
            },
            message_id: self.checkpoint.message_id.0,
        };
        Ok(serde_json::to_vec_pretty(&Signed::new(value, &self.signature))?)
    }

    /// Reads the bytes of the file. The signer is not checked here: see [`SignedCheckpoint::signer`].
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not such a file or the signature is one the ISM refuses.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Malformed> {
        let file: Signed<CheckpointValue> = serde_json::from_slice(bytes)?;
        let CheckpointValue { checkpoint, message_id } = file.value;
        Ok(Self {
            checkpoint: Checkpoint {
                merkle_tree_hook: checkpoint.merkle_tree_hook_address,
                origin: Domain(checkpoint.mailbox_domain),
                root: checkpoint.root,
                index: checkpoint.index,
                message_id: MailboxMessageId(message_id),
            },
            signature: file.signature.parse()?,
        })
    }

    /// Who signed.
    ///
    /// # Errors
    /// [`Malformed::Unrecoverable`] when the signature belongs to no key.
    pub fn signer(&self) -> Result<Address, Malformed> {
        self.signature
            .recover_address_from_prehash(&self.checkpoint.digest())
            .map_err(|_| Malformed::Unrecoverable)
    }
}

/// An announcement with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAnnouncement {
    /// Who says it.
    pub validator: Address,
    /// What was signed.
    pub announcement: Announcement,
    /// The signature over the [`Announcement`]'s digest.
    pub signature: Signature,
}

impl SignedAnnouncement {
    /// The bytes of the file.
    ///
    /// # Errors
    /// Never in practice: every field has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, Malformed> {
        let value = AnnouncementValue {
            validator: self.validator,
            mailbox_address: self.announcement.mailbox,
            mailbox_domain: self.announcement.origin.0,
            storage_location: self.announcement.storage_location.clone(),
        };
        Ok(serde_json::to_vec_pretty(&Signed::new(value, &self.signature))?)
    }

    /// Reads the bytes of the file.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not such a file.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Malformed> {
        let file: Signed<AnnouncementValue> = serde_json::from_slice(bytes)?;
        Ok(Self {
            validator: file.value.validator,
            announcement: Announcement {
                mailbox: file.value.mailbox_address,
                origin: Domain(file.value.mailbox_domain),
                storage_location: file.value.storage_location,
            },
            signature: file.signature.parse()?,
        })
    }
}

/// The content of [`REORG_FLAG`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReorgFlag {
    /// Root of the validator's own tree.
    pub local_merkle_root: B256,
    /// Root that the chain shows now.
    pub canonical_merkle_root: B256,
    /// Index both roots stand for.
    pub checkpoint_index: u32,
    /// When it was seen, in seconds since 1970.
    pub unix_timestamp: u64,
    /// How far behind the head the validator signs.
    pub reorg_period: ReorgPeriod,
}

/// How far behind the head an agent stays: a number of blocks or a block tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ReorgPeriod {
    /// Blocks behind the head.
    Blocks(u64),
    /// A block tag such as `finalized`.
    Tag(String),
}

/// Reads the content of [`LATEST_INDEX`].
///
/// # Errors
/// [`Malformed::Index`] when it is not a decimal of 32 bits.
pub fn parse_index(bytes: &[u8]) -> Result<u32, Malformed> {
    let text = String::from_utf8_lossy(bytes);
    text.trim().parse().map_err(|_| Malformed::Index { given: text.chars().take(32).collect() })
}

#[derive(Serialize, Deserialize)]
struct Signed<T> {
    #[serde(alias = "checkpoint", alias = "announcement")]
    value: T,
    signature: SignatureFields,
    #[serde(default)]
    serialized_signature: Bytes,
}

impl<T> Signed<T> {
    fn new(value: T, signature: &Signature) -> Self {
        Self {
            value,
            signature: SignatureFields {
                r: signature.r(),
                s: signature.s(),
                v: 27 + u64::from(signature.v()),
            },
            serialized_signature: signature.as_bytes().to_vec().into(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SignatureFields {
    r: U256,
    s: U256,
    v: u64,
}

impl SignatureFields {
    fn parse(&self) -> Result<Signature, Malformed> {
        let parity = match self.v {
            0 | 27 => false,
            1 | 28 => true,
            given => return Err(Malformed::RecoveryId { given }),
        };
        let signature = Signature::new(self.r, self.s, parity);
        match signature.normalize_s() {
            Some(_) => Err(Malformed::HighS),
            None => Ok(signature),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct CheckpointValue {
    checkpoint: CheckpointFields,
    message_id: B256,
}

#[derive(Serialize, Deserialize)]
struct CheckpointFields {
    merkle_tree_hook_address: B256,
    mailbox_domain: u32,
    root: B256,
    index: u32,
}

#[derive(Serialize, Deserialize)]
struct AnnouncementValue {
    #[serde(serialize_with = "lowercase")]
    validator: Address,
    mailbox_address: B256,
    mailbox_domain: u32,
    storage_location: String,
}

/// Hyperlane writes addresses in lower case, whatever their checksum.
fn lowercase<S: serde::Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{address:#x}"))
}
