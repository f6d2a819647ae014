//! Orders, and where they stand by the events of both chains.

mod indexer;
mod state;
mod store;

pub use indexer::{Changes, Indexer, IndexerError};
pub use state::{Fact, derive, is_final};
pub use store::{Announced, Orders, Page, Published, Sighting, StoreError};
