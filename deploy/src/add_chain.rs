//! One more chain, without a change to the code or to any entry of those that are there.

use chain::Manifest;
use serde::Serialize;

use crate::{
    apply::{Crew, Deployment, Error, open_journal},
    fact::{Phase, Seen, Value},
    record, verify,
};

/// Calls that the owner of an existing chain has to make, as one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallBatch {
    /// The chain.
    pub chain: String,
    /// Its EIP-155 id.
    pub chain_id: u64,
    /// Who has to call.
    pub from: alloy::primitives::Address,
    /// The calls, in order.
    pub calls: Vec<OwnerCall>,
}

/// One call of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnerCall {
    /// What is true afterwards.
    pub what: String,
    /// Who is called.
    pub to: alloy::primitives::Address,
    /// Wei sent along.
    pub value: alloy::primitives::U256,
    /// Call data.
    pub data: alloy::primitives::Bytes,
}

/// Who makes the changes on the chains that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The deployer, which still owns them.
    Change,
    /// Their owner: the calls are only listed.
    ListCalls,
}

/// What adding a chain came to.
#[derive(Clone, Debug)]
pub struct Added {
    /// The deployment with the new chain.
    pub manifest: Manifest,
    /// What is left to be done by owners; empty when the deployer did it.
    pub calls: Vec<CallBatch>,
}

impl Deployment {
    /// Deploys on the chain called `new` (part of the configuration by now), reads it back, and only then lets its messages
    /// in on the others: router enrolment, modules, read modules and signers, gas prices, and no more.
    ///
    /// # Errors
    /// [`Error::Foreign`] when the codes at hand are not those of the deployment, [`Error::Unsound`] when a chain is not
    /// what it should be, and whatever [`Deployment::apply`] returns.
    pub async fn add_chain(&self, new: &str, existing: Existing) -> Result<Added, Error> {
        self.recognise(new)?;
        let journal = open_journal(&self.config.manifest).await?;
        let mut newcomer = None;
        let mut others = Vec::new();
        for (name, target, site) in self.sites() {
            let crew = Crew::start(name, target, &journal, &self.signer, site.facts()).await?;
            if name == new {
                newcomer = Some((crew, target, site));
            } else {
                others.push(crew);
            }
        }
        let Some((crew, target, site)) = newcomer else {
            return Err(Error::NoSuchChain { chain: new.to_owned() });
        };
        for phase in [Phase::Deploy, Phase::Wire, Phase::Receive] {
            crew.finish(phase).await?;
        }
        // Nobody is let in before it has been looked at.
        let early = [Phase::Deploy, Phase::Wire, Phase::Receive];
        crew.demand(&early).await?;
        let mut calls = Vec::new();
        for other in &others {
            // Whatever is not about routes is as it was, or somebody has to look first.
            other.demand(&[Phase::Deploy, Phase::Wire]).await?;
            match existing {
                Existing::Change => other.finish(Phase::Receive).await?,
                Existing::ListCalls => calls.extend(other.batch(self).await?),
            }
        }
        crew.finish(Phase::Send).await?;
        if existing == Existing::Change {
            for other in &others {
                other.finish(Phase::Send).await?;
            }
        }
        crew.finish(Phase::HandOver).await?;
        let report = verify::verify_chain(new, target, site).await?;
        tracing::info!(chain = new, held = report.held, "added");
        let manifest = record::manifest(self).await?;
        manifest.save(&self.config.manifest)?;
        Ok(Added { manifest, calls })
    }

    /// The chains that are there must be those that this program would deploy: other codes would lead to other addresses.
    fn recognise(&self, new: &str) -> Result<(), Error> {
        let manifest = Manifest::load(&self.config.manifest)?;
        for (name, target) in self.chains.iter().filter(|(name, _)| *name != new) {
            let known = manifest.chains.get(name);
            let ours = target.layout.program("router");
            if known.is_none_or(|known| known.contracts.router != ours) {
                return Err(Error::Foreign { chain: name.clone() });
            }
        }
        Ok(())
    }
}

impl Crew<'_> {
    /// Every fact of these phases holds.
    async fn demand(&self, phases: &[Phase]) -> Result<(), Error> {
        for fact in self.facts.iter().filter(|fact| phases.contains(&fact.phase)) {
            if let Seen::Otherwise(seen) = self.look(fact).await? {
                return Err(Error::Unsound {
                    chain: self.name.to_owned(),
                    what: fact.what.clone(),
                    seen,
                });
            }
        }
        Ok(())
    }

    /// What is missing, as calls for the owner.
    async fn batch(&self, deployment: &Deployment) -> Result<Option<CallBatch>, Error> {
        let mut calls: Vec<OwnerCall> = Vec::new();
        let routes = [Phase::Receive, Phase::Send];
        for fact in self.facts.iter().filter(|fact| routes.contains(&fact.phase)) {
            let Some(remedy) = &fact.remedy else { continue };
            if self.look(fact).await? == Seen::AsWanted {
                continue;
            }
            debug_assert!(matches!(remedy.value, Value::None), "routes cost nothing");
            let call = OwnerCall {
                what: fact.what.clone(),
                to: remedy.to,
                value: alloy::primitives::U256::ZERO,
                data: remedy.data.clone(),
            };
            // One enrolment makes two facts true.
            if !calls.iter().any(|known| known.to == call.to && known.data == call.data) {
                calls.push(call);
            }
        }
        let from = deployment.config.owner.unwrap_or_else(|| deployment.deployer());
        let batch = CallBatch {
            chain: self.name.to_owned(),
            chain_id: self.client.chain_id().0,
            from,
            calls,
        };
        Ok((!batch.calls.is_empty()).then_some(batch))
    }
}
