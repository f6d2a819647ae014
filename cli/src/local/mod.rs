//! The local system: every role as a child process, on one machine, on development chains.

mod chains;
mod configs;
mod deployment;
mod export;
mod healthy;
mod keys;
mod layout;
mod network;
mod pointer;
mod ports;
mod screen;
mod supervisor;
mod system;

pub use chains::{account, client, give_test_tokens, mint_test_tokens};
pub use configs::{Announce, Chains, Databases, Place, Setting};
pub use deployment::{deployment, external_deployment, with_gateway};
pub(crate) use export::Export;
pub(crate) use healthy::{Endpoint, wait_until_healthy};
pub use keys::{Holder, Keyring};
pub(crate) use layout::Layout;
pub use layout::{FINALIZED_LAG, MNEMONIC, SOLVERS, VALIDATORS};
pub(crate) use network::Network;
pub use network::{External, Funds};
pub(crate) use pointer::Pointer;
pub(crate) use ports::Ports;
pub(crate) use screen::Screen;
pub(crate) use supervisor::{ChildSpec, Folders, Supervisor};
pub(crate) use system::System;
