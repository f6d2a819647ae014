//! The checkpoint store: a validator writes a folder, relayers read it, as local files or over HTTP. Hyperlane's
//! own validators write to [`bucket`]s, which are read too.
//!
//! | file | content |
//! |---|---|
//! | `<index>_with_id.json` | one signed checkpoint |
//! | `index.json` | the highest index published, a bare decimal |
//! | `announcement.json` | where the validator says its folder is, signed |
//! | `metadata_latest.json` | the agent's version |
//! | `reorg_flag.json` | only after a reorg below finality: halts official agents |
//! | `reorg_evidence_<index>.json` | ours: what the fast tier had signed before a reorg |

pub mod bucket;
pub mod folder;
pub mod format;
pub mod location;
pub mod reader;
pub mod serve;

pub use bucket::Bucket;
pub use folder::{Folder, FolderError};
pub use format::{SignedAnnouncement, SignedCheckpoint};
pub use location::{FetchPolicy, Location};
pub use reader::{ReadError, Reader};
