use std::{
    collections::BTreeMap,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use api::aggregator::UnavailableReason;
use futures::{
    StreamExt,
    future::{self, BoxFuture},
    stream::FuturesUnordered,
};
use tokio::time::timeout_at;

use super::Route;
use crate::provider::{Decline, Entry, Offer, Providers};

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
    /// The same with all its times multiplied by this.
    pub(crate) fn scaled(self, by: f64) -> Self {
        Self {
            deadline: self.deadline.mul_f64(by),
            enough: self.enough,
            enough_by: self.enough_by.mul_f64(by),
            relax_every: self.relax_every.mul_f64(by),
        }
    }

    /// When this many offers are enough: `None` before the deadline when there are none.
    pub(crate) fn enough_at(&self, offers: usize) -> Option<Duration> {
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
    pub entry: Arc<Entry>,
    /// Its offers, or why there are none.
    pub outcome: Result<Vec<Offer>, Decline>,
    /// Whether it was asked, or would have been but for what was kept: the answer depends on it.
    pub concerned: bool,
    /// How long it took; zero for a provider that was not asked.
    pub elapsed: Duration,
}

impl Answer {
    /// The provider's name.
    pub fn provider(&self) -> &str {
        self.entry.provider.name()
    }
}

/// A question under way: whose it is, and what came of it.
type Question = BoxFuture<'static, (usize, Result<Vec<Offer>, Decline>)>;

/// Asks every provider at once. `heard` sees each answer that arrives in time, as it arrives; the
/// answers are returned in the order of the registry, one for every provider. What each provider
/// says is counted once, also when it says it after the answer has left, or not by the deadline.
pub async fn ask(
    providers: &Providers,
    route: &Arc<Route>,
    patience: Patience,
    mut heard: impl FnMut(&Answer),
) -> Vec<Answer> {
    let mut heard = |answer: &Answer| {
        answer.entry.observe(&answer.outcome, answer.elapsed);
        heard(answer);
    };
    let (start, fingerprint) = (Instant::now(), route.fingerprint());
    let deadline = start + patience.deadline;
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(providers.iter().len());
    let mut asking = FuturesUnordered::<Question>::new();
    for (index, entry) in providers.iter().enumerate() {
        let unasked = entry.unasked(route);
        let concerned = unasked.is_none();
        let known = unasked.map(Err).or_else(|| entry.kept(&fingerprint, start).map(Ok));
        let known = known.or_else(|| match entry.attempt(start, deadline) {
            Ok(attempt) => {
                let (entry, route) = (Arc::clone(entry), Arc::clone(route));
                asking.push(Box::pin(async move {
                    (index, entry.ask(&route, attempt, deadline).await)
                }));
                None
            }
            Err(decline) => Some(Err(decline)),
        });
        answers.push(known.map(|outcome| {
            let entry = Arc::clone(entry);
            let answer = Answer { entry, outcome, concerned, elapsed: Duration::ZERO };
            heard(&answer);
            answer
        }));
    }

    let mut offering = answers.iter().flatten().filter(|answer| answer.outcome.is_ok()).count();
    let mut patient = start + patience.enough_at(offering).unwrap_or(patience.deadline);
    let mut wait = pin!(tokio::time::sleep_until(patient.into()));
    loop {
        let (index, outcome) = match future::select(asking.next(), wait.as_mut()).await {
            future::Either::Left((Some(answered), _)) => answered,
            // Everybody has answered, or the patience is over.
            future::Either::Left((None, _)) | future::Either::Right(_) => break,
        };
        let Some(entry) = providers.get(index).cloned() else { break };
        if let Ok(offers) = &outcome {
            offering += 1;
            entry.keep(fingerprint, offers, start);
            let until = start + patience.enough_at(offering).unwrap_or(patience.deadline);
            if until != patient {
                patient = until;
                wait.as_mut().reset(until.into());
            }
        }
        let answer = Answer { entry, outcome, concerned: true, elapsed: start.elapsed() };
        heard(&answer);
        if let Some(slot) = answers.get_mut(index) {
            *slot = Some(answer);
        }
    }

    let elapsed = start.elapsed();
    if !asking.is_empty() {
        let entries = providers.iter().cloned().enumerate().zip(&answers);
        let unheard = entries.filter(|(_, answer)| answer.is_none()).map(|(entry, _)| entry);
        let hearing = hear_out(asking, unheard.collect(), start, deadline);
        if elapsed < patience.deadline {
            tokio::spawn(hearing);
        } else {
            hearing.await;
        }
    }
    let late = |entry: &Arc<Entry>| {
        let (entry, outcome) = (Arc::clone(entry), Err(no_answer(elapsed)));
        Answer { entry, outcome, concerned: true, elapsed }
    };
    providers
        .iter()
        .zip(answers)
        .map(|(entry, answer)| answer.unwrap_or_else(|| late(entry)))
        .collect()
}

/// Listens until the deadline to those who are late. Who is only slow shows it by then, who hangs
/// does not: the breakers hear it, and what is counted tells them apart.
async fn hear_out(
    mut asking: FuturesUnordered<Question>,
    mut unheard: BTreeMap<usize, Arc<Entry>>,
    start: Instant,
    deadline: Instant,
) {
    while let Ok(Some((index, outcome))) = timeout_at(deadline.into(), asking.next()).await {
        if let Some(entry) = unheard.remove(&index) {
            entry.observe(&outcome, start.elapsed());
        }
    }
    let elapsed = start.elapsed();
    for entry in unheard.into_values() {
        entry.observe(&Err(no_answer(elapsed)), elapsed);
    }
}

/// What is said of a provider that has not answered in this time.
fn no_answer(elapsed: Duration) -> Decline {
    let message = format!("no answer within {} ms", elapsed.as_millis());
    Decline::new(UnavailableReason::Timeout, message)
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
        assert_eq!(patience.scaled(0.5).enough_at(1), Some(ms(300)));
    }
}
