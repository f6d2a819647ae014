use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    aggregator::UnavailableReason,
    solver::{QuoteRequest, QuoteResponse},
};
use url::Url;

use super::{Attempt, Breaker, BreakerConfig, Decline, SolverNetworkError, answer, remote::Remote};
use crate::quoting::SignedOrder;

/// How long a solver may take to look at a signed order: it simulates its opening.
const SUBMIT: Duration = Duration::from_secs(10);
/// How long a solver may take to say that it is there.
const THERE: Duration = Duration::from_secs(1);

/// One solver's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolverEndpoint {
    /// Name in answers and logs.
    pub name: String,
    /// Its base URL; `v1/quotes` is added.
    pub url: Url,
}

/// A solver that can be asked.
#[derive(Debug)]
pub(super) struct Solver {
    pub(super) name: String,
    pub(super) breaker: Arc<Breaker>,
    quotes: Remote,
    intents: Url,
    health: Url,
}

/// What came of a question to a solver.
#[derive(Debug)]
pub(super) struct Heard {
    /// Who was asked.
    pub(super) solver: Arc<Solver>,
    /// What it said, or why it said nothing.
    pub(super) answer: Result<QuoteResponse, Decline>,
    /// `None` when it was left alone.
    attempt: Option<Attempt>,
}

impl Solver {
    /// The solver at an address.
    pub(super) fn new(
        endpoint: &SolverEndpoint,
        breaker: BreakerConfig,
    ) -> Result<Self, SolverNetworkError> {
        let (name, url) = (endpoint.name.clone(), &endpoint.url);
        let below = |path: &[&str]| {
            let mut below = url.clone();
            below
                .path_segments_mut()
                .map_err(|()| SolverNetworkError::Url { name: name.clone(), url: url.clone() })?
                .pop_if_empty()
                .extend(path);
            Ok::<_, SolverNetworkError>(below)
        };
        let (quotes, intents) = (below(&["v1", "quotes"])?, below(&["v1", "intents"])?);
        let (quotes, health) = (Remote::new(&quotes)?, below(&["health"])?);
        let breaker = Arc::new(Breaker::new(breaker));
        Ok(Self { name, breaker, quotes, intents, health })
    }

    /// Asks for quotes within `budget`, unless the solver is left alone.
    pub(super) async fn ask(
        self: Arc<Self>,
        request: Arc<QuoteRequest>,
        budget: Duration,
    ) -> Heard {
        let now = Instant::now();
        let Ok(attempt) = self.breaker.attempt(now, now + budget) else {
            let message = "it failed too often lately";
            let answer = Err(Decline::new(UnavailableReason::CircuitOpen, message));
            return Heard { solver: self, answer, attempt: None };
        };
        let asking = answer::post(&self.quotes, &*request);
        let late = |_| Err(Decline::new(UnavailableReason::Timeout, "no answer in time"));
        let answer = tokio::time::timeout(budget, asking).await.unwrap_or_else(late);
        Heard { solver: self, answer, attempt: Some(attempt) }
    }

    /// Whether its server answers at all. `/health` need not exist: a failure of the server's own, or
    /// of a proxy before it, is what tells that it is away.
    pub(super) async fn is_there(&self, http: &reqwest::Client) -> bool {
        let asking = http.get(self.health.clone()).timeout(THERE).send();
        let is_there = asking.await.is_ok_and(|answer| !answer.status().is_server_error());
        let outcome = if is_there { "there" } else { "away" };
        let labels = [("solver", self.name.clone()), ("outcome", outcome.into())];
        metrics::counter!("metalayer_aggregator_solver_looks_total", &labels).increment(1);
        is_there
    }

    /// Hands over an order that its user has signed.
    pub(super) async fn submit(
        &self,
        http: &reqwest::Client,
        order: &SignedOrder,
    ) -> Result<(), Decline> {
        let order = order.for_solver();
        let handing = answer::hand_over(http, &self.intents, &order);
        let late =
            |_| Decline::new(UnavailableReason::Timeout, "the solver did not answer in time");
        tokio::time::timeout(SUBMIT, handing).await.map_err(late)?
    }
}

impl Heard {
    /// Tells the solver's breaker how it went: `is_sound` says whether an answer held what it must.
    pub(super) fn report(self, is_sound: bool) {
        let failed = self.answer.as_ref().is_err_and(Decline::is_failure) || !is_sound;
        match self.attempt {
            Some(attempt) if failed => attempt.failed(),
            Some(attempt) => attempt.succeeded(),
            None => {}
        }
    }
}
