//! Orders, and where they stand by the events of both chains.

mod indexer;
mod lease;
mod outcomes;
mod signature;
mod state;
mod store;
mod transaction;
mod watch;

pub use indexer::{Changes, Indexer, IndexerError};
pub use lease::{Lease, Leases};
pub use outcomes::settle_outcomes;
pub use signature::{SignatureFault, check_signature};
pub use state::{Fact, derive, is_final};
pub(crate) use store::millis;
pub use store::{Announced, Cursor, Orders, Page, Published, Sighting, StoreError};
pub use transaction::{TransactionFault, mined_at};
pub use watch::{Sweep, Watch};
