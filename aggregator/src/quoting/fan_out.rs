use std::{
    pin::pin,
    time::{Duration, Instant},
};

use api::aggregator::UnavailableReason;
use futures::{StreamExt, future, stream::FuturesUnordered};

use super::Route;
use crate::provider::{Attempt, Decline, Entry, Offer, Providers};

/// How long the aggregator waits for providers.
///
/// It answers as soon as every provider has answered; or, from `enough_by` on, as soon as
/// `enough` of them have offered something, one fewer for each `relax_every` that passes; and at
/// the `deadline` in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The answer leaves by then.
    pub deadline: Duration,
    /// Offers that are enough at `enough_by`.
    pub enough: usize,
    /// Until then every provider is waited for.
    pub enough_by: Duration,
    /// One offer fewer is enough for each such interval after `enough_by`.
    pub relax_every: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            enough: 4,
            enough_by: Duration::from_millis(300),
            relax_every: Duration::from_millis(100),
        }
    }
}

impl Patience {
    /// When this many offers are enough: `None` before the deadline when there are none.
    fn enough_at(&self, offers: usize) -> Option<Duration> {
        if offers == 0 {
            return None;
        }
        let missing = u32::try_from(self.enough.saturating_sub(offers)).unwrap_or(u32::MAX);
        let relaxed = self.relax_every.checked_mul(missing)?;
        Some(self.enough_by.checked_add(relaxed)?.min(self.deadline))
    }
}

/// What one provider said.
#[derive(Debug)]
pub struct Answer {
    /// Who.
    pub provider: String,
    /// Its offers, or why there are none.
    pub outcome: Result<Vec<Offer>, Decline>,
    /// How long it took; zero for a provider that was not asked.
    pub elapsed: Duration,
}

/// Asks every provider at once. `heard` sees each answer as it arrives; the answers are returned
/// in the order of the registry, one for every provider.
pub async fn ask(
    providers: &Providers,
    route: &Route,
    patience: Patience,
    mut heard: impl FnMut(&Answer),
) -> Vec<Answer> {
    let (start, fingerprint) = (Instant::now(), route.fingerprint());
    let entries: Vec<&Entry> = providers.iter().collect();
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(entries.len());
    let mut attempts: Vec<Option<Attempt<'_>>> = Vec::with_capacity(entries.len());
    let asking = FuturesUnordered::new();
    for (index, entry) in entries.iter().enumerate() {
        let known = match entry.unasked(route) {
            Some(decline) => Some(Err(decline)),
            None => entry.kept(&fingerprint, start).map(Ok),
        };
        let (attempt, outcome) = match known {
            Some(outcome) => (None, Some(outcome)),
            None => match entry.attempt() {
                Ok(attempt) => {
                    let offers = entry.provider.offers(route, patience.deadline);
                    asking.push(async move { (index, offers.await) });
                    (Some(attempt), None)
                }
                Err(decline) => (None, Some(Err(decline))),
            },
        };
        let known = outcome.map(|outcome| answer(entry, outcome, Duration::ZERO));
        if let Some(known) = &known {
            heard(known);
        }
        attempts.push(attempt);
        answers.push(known);
    }

    let mut asking = pin!(asking);
    let mut offering = answers.iter().flatten().filter(|answer| answer.outcome.is_ok()).count();
    loop {
        let until = patience.enough_at(offering).unwrap_or(patience.deadline);
        let wait = tokio::time::sleep_until((start + until).into());
        let (index, outcome) = match future::select(asking.next(), pin!(wait)).await {
            future::Either::Left((Some(answered), _)) => answered,
            // Everybody has answered, or the patience is over.
            future::Either::Left((None, _)) | future::Either::Right(_) => break,
        };
        let Some(entry) = entries.get(index) else { break };
        if let Some(attempt) = attempts.get_mut(index).and_then(Option::take)
            && !outcome.as_ref().is_err_and(Decline::is_failure)
        {
            attempt.succeeded();
        }
        if let Ok(offers) = &outcome {
            offering += 1;
            entry.keep(fingerprint, offers, start);
        }
        let answer = answer(entry, outcome, start.elapsed());
        heard(&answer);
        if let Some(slot) = answers.get_mut(index) {
            *slot = Some(answer);
        }
    }

    let elapsed = start.elapsed();
    if elapsed < patience.deadline {
        // Whoever is still thinking was not given its whole time: no failure of its own.
        attempts.into_iter().flatten().for_each(Attempt::withdrawn);
    }
    let late = |entry: &Entry| {
        let message = format!("no answer within {} ms", elapsed.as_millis());
        answer(entry, Err(Decline::new(UnavailableReason::Timeout, message)), elapsed)
    };
    entries
        .iter()
        .zip(answers)
        .map(|(entry, answer)| answer.unwrap_or_else(|| late(entry)))
        .collect()
}

fn answer(entry: &Entry, outcome: Result<Vec<Offer>, Decline>, elapsed: Duration) -> Answer {
    Answer { provider: entry.provider.name().to_owned(), outcome, elapsed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_offers_are_enough_later() {
        let patience = Patience::default();
        let ms = Duration::from_millis;
        assert_eq!(patience.enough_at(0), None);
        assert_eq!(patience.enough_at(5), Some(ms(300)));
        assert_eq!(patience.enough_at(4), Some(ms(300)));
        assert_eq!(patience.enough_at(2), Some(ms(500)));
        assert_eq!(patience.enough_at(1), Some(ms(600)));
        let impatient = Patience { deadline: ms(400), ..patience };
        assert_eq!(impatient.enough_at(1), Some(ms(400)));
    }
}
