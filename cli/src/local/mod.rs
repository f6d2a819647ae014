//! The local system: every role as a child process, on one machine, on development chains.

mod chains;
mod configs;
mod deployment;
mod healthy;
mod layout;
mod pointer;
mod ports;
mod screen;
mod supervisor;

pub(crate) use chains::wait_for_chains;
pub use chains::{account, client, mint_test_tokens};
pub(crate) use configs::write_all;
pub use configs::{Place, aggregator, relayer, solver, validator};
pub(crate) use deployment::deploy;
pub use deployment::deployment;
pub(crate) use healthy::{Endpoint, wait_until_healthy};
pub use layout::{FINALIZED_LAG, MNEMONIC, SOLVERS, VALIDATORS};
pub(crate) use layout::{Layout, Role};
pub(crate) use pointer::Pointer;
pub(crate) use ports::Ports;
pub(crate) use screen::Screen;
pub(crate) use supervisor::{ChildSpec, Folders, Supervisor};
