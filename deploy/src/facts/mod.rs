//! The facts of a deployment, chain by chain.

mod core;
mod ownership;
mod programs;
mod routes;
mod wiring;

use alloy::primitives::Address;

use crate::{
    config::{ChainConfig, Config},
    fact::Fact,
    layout::{Codes, Layout},
};

/// What the facts of one chain are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// The whole deployment.
    pub(crate) config: &'a Config,
    /// This chain.
    pub(crate) chain: &'a ChainConfig,
    /// The codes.
    pub(crate) codes: &'a Codes,
    /// The addresses on this chain.
    pub(crate) layout: &'a Layout,
    /// The account that deploys.
    pub(crate) deployer: Address,
}

impl Site<'_> {
    /// Who owns everything in the end.
    pub(crate) fn owner(&self) -> Address {
        self.config.owner.unwrap_or(self.deployer)
    }

    /// Who may pause and suspend.
    pub(crate) fn guardian(&self) -> Address {
        self.config.guardian.unwrap_or_else(|| self.owner())
    }

    /// Every fact of this chain, in the order in which they can be made true.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let mut facts = core::deployed(self);
        facts.extend(programs::deployed(self));
        facts.extend(wiring::wired(self));
        facts.extend(routes::receiving(self));
        facts.extend(routes::sending(self));
        facts.extend(ownership::handed_over(self));
        facts
    }
}
