//! One chain as several RPCs see it: what enough of them agree on.

use alloy::eips::BlockNumberOrTag;
use chain::{
    ChainClient, FinalityRule,
    client::{BlockHeader, Error},
};
use futures::future::join_all;

/// The endpoints of one chain.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    /// The first answer of any.
    any: ChainClient,
    /// What a majority answers alike.
    majority: ChainClient,
    each: Vec<ChainClient>,
}

impl Endpoints {
    pub(super) fn new(any: &ChainClient) -> Result<Self, Error> {
        let each = any.each_endpoint()?;
        let majority = any.with_quorum(each.len() / 2 + 1);
        Ok(Self { any: any.clone(), majority, each })
    }

    /// For what is checked afterwards: the first answer.
    pub(super) const fn any(&self) -> &ChainClient {
        &self.any
    }

    /// For what is believed: the answer of a majority.
    pub(super) const fn majority(&self) -> &ChainClient {
        &self.majority
    }

    /// Each by itself.
    pub(super) fn each(&self) -> &[ChainClient] {
        &self.each
    }

    /// How many make a majority.
    pub(super) fn required(&self) -> usize {
        self.each.len() / 2 + 1
    }

    /// The newest block that a majority has reached by `rule`: no single endpoint can make a block look
    /// final before it is, and none that lags holds the others up.
    ///
    /// # Errors
    /// What one of them says, when fewer than a majority answer.
    pub(super) async fn head(&self, rule: FinalityRule) -> Result<Option<BlockHeader>, Error> {
        if let [only] = self.each.as_slice() {
            return only.safe_head(rule).await;
        }
        let answers = join_all(self.each.iter().map(|endpoint| endpoint.safe_head(rule))).await;
        let mut numbers: Vec<u64> = Vec::new();
        let (mut answered, mut fault) = (0, None);
        for answer in answers {
            match answer {
                Ok(head) => {
                    answered += 1;
                    numbers.extend(head.map(|head| head.number));
                }
                Err(error) => fault = Some(error),
            }
        }
        if let Some(error) = fault.filter(|_| answered < self.required()) {
            return Err(error);
        }
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        match numbers.get(self.required() - 1) {
            Some(number) => self.majority.block(BlockNumberOrTag::Number(*number)).await,
            None => Ok(None),
        }
    }
}
