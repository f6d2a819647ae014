//! One more chain, without a change to the code or to any entry of those that are there.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, U256},
    sol_types::SolCall,
};
use chain::Manifest;
use futures::future::try_join_all;
use protocol::abi::router;
use serde::Serialize;

use crate::{
    apply::{Deployment, Error, Target},
    crew::Crew,
    fact::{Phase, Seen, Value},
    record,
    verify::Report,
};

/// Calls that the owner of an existing chain has to make, as one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallBatch {
    /// The chain.
    pub chain: String,
    /// Its EIP-155 id.
    pub chain_id: u64,
    /// Who has to call.
    pub from: Address,
    /// The calls, in order.
    pub calls: Vec<OwnerCall>,
}

/// One call of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnerCall {
    /// What is true afterwards.
    pub what: String,
    /// Who is called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Call data.
    pub data: Bytes,
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
    /// What is left to be done by owners, of the new chain too; empty when the deployer did it and keeps it.
    pub calls: Vec<CallBatch>,
    /// What the chains looked like in the end: all of them, or only the new one while the owners of the others have calls to
    /// make.
    pub report: Report,
}

impl Deployment {
    /// Deploys on the chain called `new` (part of the configuration by now), reads it back, and only then lets its messages
    /// in on the others: router enrolment, modules, read modules and signers, gas prices, and no more. In the end it is all
    /// read back once more: see [`Added::report`].
    ///
    /// # Errors
    /// [`Error::Foreign`] when the codes at hand are not those of the deployment, [`Error::Unsound`] when a chain is not
    /// what it should be, and whatever [`Deployment::apply`] returns.
    pub async fn add_chain(&self, new: &str, existing: Existing) -> Result<Added, Error> {
        self.recognise(new)?;
        if existing == Existing::Change {
            self.demand_ownership(new).await?;
        }
        let (mut newcomer, others): (Vec<_>, Vec<_>) =
            self.crews().await?.into_iter().partition(|crew| crew.name == new);
        let Some(crew) = newcomer.pop() else {
            return Err(Error::NoSuchChain { chain: new.to_owned() });
        };
        for phase in [Phase::Deploy, Phase::Wire, Phase::Receive] {
            crew.finish(phase).await?;
        }
        // Nobody is let in before it has been looked at.
        let early = [Phase::Deploy, Phase::Wire, Phase::Receive];
        crew.demand(&early).await?;
        // Whatever is not about routes is as it was, or somebody has to look first.
        try_join_all(others.iter().map(|other| other.demand(&[Phase::Deploy, Phase::Wire])))
            .await?;
        let mut calls = Vec::new();
        match existing {
            Existing::Change => {
                try_join_all(others.iter().map(|other| other.finish(Phase::Receive))).await?;
            }
            Existing::ListCalls => {
                for other in &others {
                    calls.extend(other.batch(self).await?);
                }
            }
        }
        crew.finish(Phase::Send).await?;
        if existing == Existing::Change {
            try_join_all(others.iter().map(|other| other.finish(Phase::Send))).await?;
        }
        crew.finish(Phase::HandOver).await?;
        let manifest = record::manifest(self).await?;
        manifest.save(&self.config.manifest)?;
        let report = match existing {
            Existing::Change => self.verify().await?,
            Existing::ListCalls => self.verify_one(new).await?,
        };
        calls.extend(self.acceptances(new).await?);
        Ok(Added { manifest, calls, report })
    }

    /// The chains that are there still belong to the deployer.
    async fn demand_ownership(&self, new: &str) -> Result<(), Error> {
        for (name, target, site) in self.sites().filter(|(name, ..)| *name != new) {
            let owner = owner_of(name, target, site.layout.program("router")).await?;
            if owner != self.deployer() {
                return Err(Error::NotOurs { chain: name.to_owned(), owner });
            }
        }
        Ok(())
    }

    /// What the owner of a chain has to accept.
    async fn acceptances(&self, chain: &str) -> Result<Option<CallBatch>, Error> {
        let owner = self.config.owner.unwrap_or_else(|| self.deployer());
        let mut calls = Vec::new();
        for (_, target, site) in self.sites().filter(|(name, ..)| *name == chain) {
            for name in ["router", "ism", "read-ism"] {
                let at = site.layout.program(name);
                if owner_of(chain, target, at).await? != owner {
                    calls.push(OwnerCall {
                        what: format!("{name} belongs to its owner"),
                        to: at,
                        value: U256::ZERO,
                        data: router::acceptOwnershipCall {}.abi_encode().into(),
                    });
                }
            }
        }
        let chain_id = self.config.chains.get(chain).map_or(0, |chain| chain.chain_id.0);
        let batch = CallBatch { chain: chain.to_owned(), chain_id, from: owner, calls };
        Ok((!batch.calls.is_empty()).then_some(batch))
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

/// Our contracts share the view.
async fn owner_of(chain: &str, target: &Target, contract: Address) -> Result<Address, Error> {
    let owner = target.client.call(contract, &router::ownerCall {}, BlockNumberOrTag::Latest);
    owner.await.map_err(|cause| Error::Chain { chain: chain.to_owned(), cause })
}

impl Crew<'_> {
    /// Every fact of these phases holds.
    async fn demand(&self, phases: &[Phase]) -> Result<(), Error> {
        let facts: Vec<_> = self.facts.iter().filter(|fact| phases.contains(&fact.phase)).collect();
        let seen = self.look_at(&facts).await?;
        for (fact, seen) in facts.into_iter().zip(seen) {
            if let Seen::Otherwise(seen) = seen {
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
        let facts: Vec<_> = self.facts.iter().filter(|fact| routes.contains(&fact.phase)).collect();
        let seen = self.look_at(&facts).await?;
        for (fact, seen) in facts.into_iter().zip(seen) {
            let Some(remedy) = fact.remedy.as_ref().filter(|_| seen != Seen::AsWanted) else {
                continue;
            };
            debug_assert!(matches!(remedy.value, Value::None), "routes cost nothing");
            let call = OwnerCall {
                what: fact.what.clone(),
                to: remedy.to,
                value: U256::ZERO,
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
