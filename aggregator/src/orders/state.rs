use api::aggregator::OrderState;

/// One thing that a chain says about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// `IntentPublished` of the IntentSource.
    Published,
    /// `IntentFunded` of the IntentSource, all of it.
    Funded,
    /// `IntentFulfilled` of the Inbox.
    Filled,
    /// `IntentProven` of the Inbox: the proof was sent.
    ProofSent,
    /// `IntentProven` of the prover: the proof has arrived.
    Proven,
    /// `IntentProofInvalidated` of the prover: it was for another chain.
    ProofRemoved,
    /// `IntentWithdrawn` of the IntentSource.
    Withdrawn,
    /// `IntentRefunded` of the IntentSource.
    Refunded,
}

impl Fact {
    /// Every fact, in the order of an order's life.
    pub const ALL: [Self; 8] = [
        Self::Published,
        Self::Funded,
        Self::Filled,
        Self::ProofSent,
        Self::Proven,
        Self::ProofRemoved,
        Self::Withdrawn,
        Self::Refunded,
    ];

    /// The name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Funded => "funded",
            Self::Filled => "filled",
            Self::ProofSent => "proof_sent",
            Self::Proven => "proven",
            Self::ProofRemoved => "proof_removed",
            Self::Withdrawn => "withdrawn",
            Self::Refunded => "refunded",
        }
    }

    /// The fact of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| fact.name() == name)
    }

    /// Whether it counts when this chain says so. An intent's hash names its destination and not its
    /// origin: anybody may publish, fund, fulfill and refund the same hash wherever the contracts are.
    pub(crate) const fn counts_on(self, chain: u64, origin: u64, destination: u64) -> bool {
        match self {
            Self::Filled | Self::ProofSent => chain == destination,
            Self::Published
            | Self::Funded
            | Self::Proven
            | Self::ProofRemoved
            | Self::Withdrawn
            | Self::Refunded => chain == origin,
        }
    }

    /// The state that the fact leads to when nothing later is known.
    pub const fn state(self) -> OrderState {
        match self {
            Self::Published => OrderState::Published,
            Self::Funded => OrderState::Funded,
            // A removed proof leaves the fill: it can be proven again, rightly.
            Self::Filled | Self::ProofRemoved => OrderState::Filled,
            Self::ProofSent => OrderState::Proving,
            Self::Proven => OrderState::Proven,
            Self::Withdrawn => OrderState::Settled,
            Self::Refunded => OrderState::Refunded,
        }
    }
}

/// Where an order stands, from the facts that the chains hold now.
///
/// `facts` are in the order in which they happened on their chains; `past_deadline` compares the
/// reward's deadline with the origin's own time. A reorg only takes facts away: the state is
/// derived anew and may go back.
pub fn derive(facts: &[Fact], past_deadline: bool) -> OrderState {
    let has = |fact| facts.contains(&fact);
    let last_of = |fact| facts.iter().rposition(|held| *held == fact);
    let proven = match (last_of(Fact::Proven), last_of(Fact::ProofRemoved)) {
        (Some(proven), Some(removed)) => proven > removed,
        (proven, _) => proven.is_some(),
    };
    if has(Fact::Withdrawn) {
        // A refund after the payment only sweeps what was left over.
        OrderState::Settled
    } else if has(Fact::Refunded) {
        OrderState::Refunded
    } else if proven {
        OrderState::Proven
    } else if past_deadline && (has(Fact::Published) || has(Fact::Funded)) && !has(Fact::Filled) {
        OrderState::Refundable
    } else if has(Fact::ProofSent) {
        OrderState::Proving
    } else if has(Fact::Filled) {
        OrderState::Filled
    } else if has(Fact::Funded) {
        OrderState::Funded
    } else if has(Fact::Published) {
        OrderState::Published
    } else {
        OrderState::Pending
    }
}

/// Whether nothing more is expected to happen.
pub const fn is_final(state: OrderState) -> bool {
    match state {
        OrderState::Settled | OrderState::Refunded | OrderState::Failed => true,
        OrderState::Pending
        | OrderState::Published
        | OrderState::Funded
        | OrderState::Filled
        | OrderState::Proving
        | OrderState::Proven
        | OrderState::Refundable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_lives_from_pending_to_settled() {
        use Fact::*;
        let life = [Published, Funded, Filled, ProofSent, Proven, Withdrawn];
        let states: Vec<_> = (0..=life.len()).map(|n| derive(&life[..n], false)).collect();
        use OrderState as S;
        assert_eq!(
            states,
            [S::Pending, S::Published, S::Funded, S::Filled, S::Proving, S::Proven, S::Settled]
        );
    }

    #[test]
    fn the_deadline_makes_unfilled_orders_refundable() {
        use Fact::*;
        assert_eq!(derive(&[], true), OrderState::Pending);
        assert_eq!(derive(&[Published, Funded], true), OrderState::Refundable);
        assert_eq!(derive(&[Published, Funded, Filled], true), OrderState::Filled);
        assert_eq!(derive(&[Published, Funded, Refunded], true), OrderState::Refunded);
        assert_eq!(
            derive(&[Funded, Filled, Proven, Withdrawn, Refunded], true),
            OrderState::Settled
        );
    }

    #[test]
    fn a_proof_for_the_wrong_chain_counts_until_it_is_removed() {
        use Fact::*;
        assert_eq!(derive(&[Funded, Proven], false), OrderState::Proven);
        assert_eq!(derive(&[Funded, Proven, ProofRemoved], false), OrderState::Funded);
        assert_eq!(
            derive(&[Funded, Proven, ProofRemoved, Filled, Proven], false),
            OrderState::Proven
        );
    }

    #[test]
    fn each_fact_counts_on_one_of_the_two_chains() {
        for fact in Fact::ALL {
            let at_destination = matches!(fact, Fact::Filled | Fact::ProofSent);
            assert_eq!(fact.counts_on(1, 1, 2), !at_destination, "{fact:?}");
            assert_eq!(fact.counts_on(2, 1, 2), at_destination, "{fact:?}");
            assert!(!fact.counts_on(3, 1, 2), "{fact:?}");
        }
    }

    #[test]
    fn names_lead_back() {
        for fact in Fact::ALL {
            assert_eq!(Fact::named(fact.name()), Some(fact));
        }
        assert_eq!(Fact::named("lost"), None);
    }
}
