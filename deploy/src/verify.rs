//! Reading everything back from the chains.

use std::{collections::BTreeSet, fmt};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
    sol_types::SolCall,
};
use chain::{ChainClient, client, manifest::TierName};
use futures::future::try_join_all;
use protocol::{
    abi::{
        hyperlane::{InterchainGasPaymaster, Mailbox, TimelockController},
        ism, read_ism, router,
    },
    finality::Tier,
};
use serde::Serialize;

use crate::{
    apply::{Deployment, Error, Target},
    crew::look_at,
    fact::Seen,
    facts::Site,
    layout::remotes,
    validators::{Signers, signers_of},
};

/// Shortest delay of a timelock that may own a deployment in production: 48 hours, in seconds.
const LEAST_DELAY: u64 = 48 * 3600;

/// What was found on every chain.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How many facts hold.
    pub held: usize,
    /// What does not.
    pub findings: Vec<Finding>,
    /// What the owner was offered and has not accepted: until then the deployer's key owns it.
    pub pending: Vec<Finding>,
    /// What this deployment uses without a say in it.
    pub notes: Vec<String>,
}

/// Something that is not as it was meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The chain.
    pub chain: String,
    /// What should be true.
    pub what: String,
    /// What is there instead.
    pub seen: String,
}

impl Report {
    /// Whether everything is as it was meant.
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty() && self.pending.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.held += other.held;
        self.findings.extend(other.findings);
        self.pending.extend(other.pending);
        self.notes.extend(other.notes);
    }
}

impl Deployment {
    /// Reads one chain back.
    pub(crate) async fn verify_one(&self, name: &str) -> Result<Report, Error> {
        let mut whole = Report::default();
        for (name, target, site) in self.sites().filter(|(known, ..)| *known == name) {
            whole.add(verify_chain(name, target, site).await?);
        }
        Ok(whole)
    }

    /// Reads everything back, on all chains at once. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Chain`] when a chain cannot be asked; what it answers is never an error but a finding.
    pub async fn verify(&self) -> Result<Report, Error> {
        let reports = self.sites().map(|(name, target, site)| verify_chain(name, target, site));
        let mut whole = Report::default();
        for report in try_join_all(reports).await? {
            whole.add(report);
        }
        Ok(whole)
    }
}

/// Reads one chain back.
async fn verify_chain(name: &str, target: &Target, site: Site<'_>) -> Result<Report, Error> {
    let mut checks = Checks { chain: name, client: &target.client, report: Report::default() };
    let result = checks.all(site).await;
    result.map_err(|cause| Error::Chain { chain: name.to_owned(), cause })?;
    Ok(checks.report)
}

struct Checks<'a> {
    chain: &'a str,
    client: &'a ChainClient,
    report: Report,
}

type Asked = Result<(), client::Error>;

impl Checks<'_> {
    async fn all(&mut self, site: Site<'_>) -> Asked {
        self.client.check_chain_id().await?;
        let facts = site.facts();
        let seen = look_at(self.client, &facts.iter().collect::<Vec<_>>()).await?;
        for (fact, seen) in facts.iter().zip(seen) {
            self.note(&fact.what, seen);
        }
        self.owners(site).await?;
        self.timelock(site).await?;
        self.enrolment(site).await?;
        self.keys(site).await
    }

    fn note(&mut self, what: &str, seen: Seen) {
        match seen {
            Seen::AsWanted => self.report.held += 1,
            Seen::Otherwise(seen) => self.report.findings.push(Finding {
                chain: self.chain.to_owned(),
                what: what.to_owned(),
                seen,
            }),
        }
    }

    fn demand(&mut self, what: &str, holds: bool, seen: impl FnOnce() -> String) {
        self.note(what, if holds { Seen::AsWanted } else { Seen::Otherwise(seen()) });
    }

    /// A view's answer; a revert or another form of answer is a finding.
    async fn view<C: SolCall>(
        &mut self,
        what: &str,
        to: Address,
        call: &C,
    ) -> Result<Option<C::Return>, client::Error> {
        match self.client.call(to, call, BlockNumberOrTag::Latest).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error @ (client::Error::Reverted { .. } | client::Error::Decode { .. })) => {
                self.note(what, Seen::Otherwise(error.to_string()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The deployer's key owns nothing once there is an owner, and nothing is on its way to anybody else.
    async fn owners(&mut self, site: Site<'_>) -> Asked {
        let layout = site.layout;
        let owner = site.owner();
        let (router, ism, read_ism) =
            (layout.program("router"), layout.program("ism"), layout.program("read-ism"));
        for (name, at) in [("router", router), ("ism", ism), ("read-ism", read_ism)] {
            let what = format!("{name} belongs to its owner and is offered to nobody");
            let Some(holder) = self.view(&what, at, &router::ownerCall {}).await? else { continue };
            let Some(next) = self.view(&what, at, &router::pendingOwnerCall {}).await? else {
                continue;
            };
            let settled = next == Address::ZERO || next == holder;
            if holder == site.deployer && next == owner && !settled {
                let seen = format!("still the deployer's: {owner} has to accept it");
                self.report.pending.push(Finding { chain: self.chain.to_owned(), what, seen });
                continue;
            }
            self.demand(&what, holder == owner && settled, || {
                format!("owner {holder}, offered to {next}, expected {owner}")
            });
        }
        // The owners of Hyperlane's contracts change in one step: the facts have them.
        if layout.core.fresh.is_none() {
            return self.foreign_owners(site).await;
        }
        let what = "gas payments go to the owner";
        let beneficiary = InterchainGasPaymaster::beneficiaryCall {};
        if let Some(given) = self.view(what, layout.core.igp, &beneficiary).await? {
            self.demand(what, given == owner, || format!("{given}, expected {owner}"));
        }
        Ok(())
    }

    /// An existing core has owners of its own: whoever uses it should know them.
    async fn foreign_owners(&mut self, site: Site<'_>) -> Asked {
        let core = &site.layout.core;
        for (name, at, power) in [
            ("mailbox", core.mailbox, "its hooks and its default module"),
            ("gas paymaster", core.igp, "who collects the fees and which oracle prices them"),
            ("gas oracle", core.gas_oracle, "the gas prices"),
        ] {
            let what = format!("{name} names its owner");
            if let Some(owner) = self.view(&what, at, &Mailbox::ownerCall {}).await? {
                let note =
                    format!("{}: {name} belongs to {owner}, who decides {power}", self.chain);
                self.report.notes.push(note);
            }
        }
        Ok(())
    }

    /// In production nothing changes without two days' notice.
    async fn timelock(&mut self, site: Site<'_>) -> Asked {
        if site.config.dev {
            return Ok(());
        }
        let what = "the owner is a timelock of at least 48 hours";
        let delay = TimelockController::getMinDelayCall {};
        if let Some(delay) = self.view(what, site.owner(), &delay).await? {
            self.demand(what, delay >= U256::from(LEAST_DELAY), || format!("{delay} seconds"));
        }
        Ok(())
    }

    /// No router and no domain but those of the deployment.
    async fn enrolment(&mut self, site: Site<'_>) -> Asked {
        let at = site.layout.program("router");
        let what = "router knows no domain but those of the deployment";
        if let Some(given) = self.view(what, at, &router::domainsCall {}).await? {
            let known: BTreeSet<u32> =
                remotes(site.config, site.chain.domain).map(|(_, chain)| chain.domain.0).collect();
            let strange: Vec<u32> =
                given.into_iter().filter(|domain| !known.contains(domain)).collect();
            self.demand(what, strange.is_empty(), || format!("enrolled: {strange:?}"));
        }
        for (name, remote) in remotes(site.config, site.chain.domain) {
            let what = format!("router accepts no other router of {name}");
            let accepted = router::acceptedRoutersCall { domain: remote.domain.0 };
            if let Some(given) = self.view(&what, at, &accepted).await? {
                let strange: Vec<B256> =
                    given.into_iter().filter(|router| *router != at.into_word()).collect();
                self.demand(&what, strange.is_empty(), || format!("accepts {strange:?}"));
            }
        }
        Ok(())
    }

    /// The validators behind each module, as the modules themselves name them: those of the configuration, the same for
    /// messages, for reads and for their results, and no key in two tiers.
    async fn keys(&mut self, site: Site<'_>) -> Asked {
        let (ism, read_ism) = (site.layout.program("ism"), site.layout.program("read-ism"));
        for (name, remote) in remotes(site.config, site.chain.domain) {
            let origin = remote.domain.0;
            let mut seen: Vec<(TierName, BTreeSet<Address>)> = Vec::new();
            for (tier_name, set) in &remote.validators {
                let tier = Tier::from(*tier_name).byte();
                let what = format!("{name}'s {tier_name:?} validators are those wanted");
                let plain = self.view(&what, ism, &ism::moduleCall { origin, tier }).await?;
                let reads = self.view(&what, ism, &ism::readModuleCall { origin, tier }).await?;
                let results =
                    self.view(&what, read_ism, &read_ism::signersCall { origin, tier }).await?;
                let wanted =
                    Signers { validators: set.validators.clone(), threshold: set.threshold };
                for module in [plain, reads, results].into_iter().flatten() {
                    let given = signers_of(self.client, module, read_ism).await?;
                    self.demand(&what, given.as_ref() == Ok(&wanted), || {
                        format!("module {module}: {given:?}, expected {wanted:?}")
                    });
                    if let Ok(given) = given {
                        seen.push((*tier_name, given.validators.into_iter().collect()));
                    }
                }
            }
            self.disjoint(name, &seen);
        }
        Ok(())
    }

    fn disjoint(&mut self, origin: &str, seen: &[(TierName, BTreeSet<Address>)]) {
        let what = format!("no validator of {origin} signs for two tiers");
        let shared: BTreeSet<Address> = seen
            .iter()
            .flat_map(|(tier, keys)| seen.iter().map(move |other| (tier, keys, other)))
            .filter(|(tier, _, other)| **tier != other.0)
            .flat_map(|(_, keys, other)| keys.intersection(&other.1).copied())
            .collect();
        self.demand(&what, shared.is_empty(), || format!("{shared:?}"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{}: NOT {}: {}", finding.chain, finding.what, finding.seen)?;
        }
        for pending in &self.pending {
            writeln!(f, "{}: NOT YET {}: {}", pending.chain, pending.what, pending.seen)?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        write!(f, "{} facts hold, {} do not", self.held, self.findings.len() + self.pending.len())
    }
}
