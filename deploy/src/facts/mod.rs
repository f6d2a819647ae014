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

/// Steps of [`Phase::Deploy`](crate::fact::Phase::Deploy): what is made in one calls only what the steps before have made.
mod step {
    /// Contracts that call nothing when they are made.
    pub(super) const FOUNDATIONS: u8 = 0;
    /// Their proxies, and what makes the deployer run.
    pub(super) const PROXIES: u8 = 1;
    /// Contracts that ask the mailbox when they are made, and programs.
    pub(super) const PROGRAMS: u8 = 2;
    /// Provers: one of them tells the router which tiers it takes.
    pub(super) const PROVERS: u8 = 3;
    /// What follows from all of that.
    pub(super) const CONSEQUENCES: u8 = 4;
}

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
