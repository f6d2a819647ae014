use api::aggregator::{Preference, Score, Security};

/// What the ranking looks at in one quote.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Value of the output minus every fee that comes on top, in one unit for all candidates.
    pub net_output: f64,
    /// Estimated seconds until the money has arrived.
    pub seconds: u64,
    /// Strength of the settlement, see [`security_strength`].
    pub security: f64,
    /// Available liquidity over the amount that leaves it; `None` when the provider does not say.
    pub coverage: Option<f64>,
    /// The provider's reputation, 0 to 1.
    pub reputation: f64,
}

/// How much each part counts. The four add up to one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    output: f64,
    time: f64,
    security: f64,
    liquidity: f64,
}

/// Slope of the output part: a quote that is worth 1 % less than the best one loses a tenth of it,
/// because quotes for the same route differ by tenths of a percent, not by tens.
const OUTPUT_SLOPE: f64 = 10.0;

/// Seconds that count as no difference: below it nobody notices.
const TIME_FLOOR: f64 = 2.0;

impl Weights {
    /// The published weights of each preference.
    pub const fn of(preference: Preference) -> Self {
        match preference {
            Preference::Recommended => {
                Self { output: 0.5, time: 0.2, security: 0.2, liquidity: 0.1 }
            }
            Preference::Cheapest => {
                Self { output: 0.9, time: 0.04, security: 0.04, liquidity: 0.02 }
            }
            Preference::Fastest => {
                Self { output: 0.1, time: 0.84, security: 0.04, liquidity: 0.02 }
            }
            Preference::Safest => Self { output: 0.1, time: 0.04, security: 0.84, liquidity: 0.02 },
        }
    }
}

/// The strength of a settlement: 1 for final on the parent chain, one half for the sequencer's
/// word under a validator threshold, one quarter for a provider that we cannot judge.
pub const fn security_strength(tier: Option<Security>) -> f64 {
    match tier {
        Some(Security::Finalized) => 1.0,
        Some(Security::Instant) => 0.5,
        None => 0.25,
    }
}

/// Scores every candidate against the best of them, in the order given.
///
/// With `best` the largest net output and `fastest` the shortest time of all candidates:
///
/// * output = max(0, 1 − 10 · (best − net output) / best)
/// * time = (fastest + 2 s) / (seconds + 2 s)
/// * security = strength of the tier
/// * liquidity = min(1, coverage), one half when unknown
/// * total = reputation · Σ weight · part
pub fn score(candidates: &[Candidate], preference: Preference) -> Vec<Score> {
    let weights = Weights::of(preference);
    let best = candidates.iter().map(|c| c.net_output).fold(f64::MIN, f64::max);
    let fastest = candidates.iter().map(|c| c.seconds).min().unwrap_or(0);
    candidates.iter().map(|candidate| score_one(candidate, weights, best, fastest)).collect()
}

fn score_one(candidate: &Candidate, weights: Weights, best: f64, fastest: u64) -> Score {
    let output = if best > 0.0 {
        (1.0 - OUTPUT_SLOPE * (best - candidate.net_output) / best).clamp(0.0, 1.0)
    } else {
        // Nothing is gained on any route: the other parts decide.
        1.0
    };
    let time = (fastest as f64 + TIME_FLOOR) / (candidate.seconds as f64 + TIME_FLOOR);
    let liquidity = candidate.coverage.map_or(0.5, |coverage| coverage.clamp(0.0, 1.0));
    let parts = weights.output * output
        + weights.time * time
        + weights.security * candidate.security
        + weights.liquidity * liquidity;
    Score {
        total: candidate.reputation * parts,
        output,
        time,
        security: candidate.security,
        liquidity,
        reputation: candidate.reputation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Candidate = Candidate {
        net_output: 1_000.0,
        seconds: 10,
        security: 0.5,
        coverage: Some(2.0),
        reputation: 1.0,
    };

    fn first(candidates: &[Candidate], preference: Preference) -> usize {
        let scores = score(candidates, preference);
        (0..scores.len()).max_by(|a, b| scores[*a].total.total_cmp(&scores[*b].total)).unwrap()
    }

    #[test]
    fn each_preference_puts_its_own_quote_first() {
        let cheap = Candidate { net_output: 1_010.0, seconds: 30, ..PLAIN };
        let fast = Candidate { net_output: 1_000.0, seconds: 2, ..PLAIN };
        let safe = Candidate { net_output: 1_000.0, seconds: 900, security: 1.0, ..PLAIN };
        let all = [cheap, fast, safe];
        assert_eq!(first(&all, Preference::Cheapest), 0);
        assert_eq!(first(&all, Preference::Fastest), 1);
        assert_eq!(first(&all, Preference::Safest), 2);
    }

    #[test]
    fn a_bad_reputation_costs_the_first_place() {
        let unreliable = Candidate { net_output: 1_001.0, reputation: 0.5, ..PLAIN };
        assert_eq!(first(&[unreliable, PLAIN], Preference::Cheapest), 1);
    }

    #[test]
    fn every_part_stays_between_zero_and_one() {
        let hopeless = Candidate { net_output: -5.0, coverage: Some(-1.0), ..PLAIN };
        for scores in [
            score(&[hopeless], Preference::Cheapest),
            score(&[hopeless, PLAIN], Preference::Safest),
        ] {
            for score in scores {
                for part in [score.output, score.time, score.security, score.liquidity, score.total]
                {
                    assert!((0.0..=1.0).contains(&part), "{score:?}");
                }
            }
        }
        assert!(score(&[], Preference::Fastest).is_empty());
    }

    #[test]
    fn weights_add_up_to_one() {
        for preference in
            [Preference::Recommended, Preference::Cheapest, Preference::Fastest, Preference::Safest]
        {
            let weights = Weights::of(preference);
            let sum = weights.output + weights.time + weights.security + weights.liquidity;
            assert!((sum - 1.0).abs() < 1e-9, "{preference:?}");
        }
    }
}
