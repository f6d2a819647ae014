//! Why an intent is where it is: its history, its books, and what every rule says now.

use std::fmt;

use protocol::ids::IntentHash;
use serde::{Deserialize, Serialize};
use service::secret::Secret;

use crate::{
    engine::{Engine, Fault},
    filter::{self, Case, Verdict},
};

/// An explanation of one intent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// Its hash.
    pub intent_hash: IntentHash,
    /// Where the reward lies.
    pub origin: u64,
    /// Where the route runs.
    pub destination: u64,
    /// Where it stands.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Every step so far.
    pub history: Vec<Line>,
    /// What it has moved.
    pub books: Vec<Line>,
    /// What each rule says now; empty when it is not to be decided any more.
    pub rules: Vec<Line>,
    /// The profit formula with today's numbers.
    pub estimate: String,
}

/// A name and what there is to say about it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// A state, a kind of entry, or a rule.
    pub name: String,
    /// What there is to say.
    pub text: String,
}

/// Why a running solver gives no explanation.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It cannot be reached, or its answer does not read.
    #[error("the solver does not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// It refuses, in its own words.
    #[error("the solver answers {status}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
}

/// Asks a running solver to explain an intent. `base` is its admin address as a URL.
///
/// # Errors
/// [`AskError`].
pub async fn ask(base: &str, token: &Secret, hash: IntentHash) -> Result<Explanation, AskError> {
    let url = format!("{}/v1/intents/{hash}", base.trim_end_matches('/'));
    let answer = reqwest::Client::new().get(url).bearer_auth(token.expose()).send().await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.json().await?);
    }
    Err(AskError::Refused { status: status.as_u16(), message: answer.text().await? })
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { intent_hash, origin, destination, state, reason, .. } = self;
        writeln!(f, "intent {intent_hash} from {origin} to {destination} is {state}: {reason}")?;
        let parts =
            [("history", &self.history), ("books", &self.books), ("rules now", &self.rules)];
        for (title, lines) in parts {
            if !lines.is_empty() {
                writeln!(f, "{title}")?;
            }
            for Line { name, text } in lines {
                writeln!(f, "  {name}: {text}")?;
            }
        }
        if !self.estimate.is_empty() {
            writeln!(f, "estimate\n  {}", self.estimate)?;
        }
        Ok(())
    }
}

impl Engine {
    /// Explains an intent; `None` when it was never seen.
    ///
    /// # Errors
    /// When the store or a chain cannot be asked.
    pub async fn explain(&self, hash: IntentHash) -> Result<Option<Explanation>, Fault> {
        let Some(order) = self.store.order(hash).await? else { return Ok(None) };
        let history = self.store.history(hash).await?.into_iter().map(|entry| Line {
            name: entry.state.to_string(),
            text: format!("{} (at {} ms)", entry.reason, entry.at),
        });
        let books = self.store.entries_of(hash).await?.into_iter().map(|entry| Line {
            name: entry.kind.name().to_owned(),
            text: format!(
                "{} of {} = {} USD in {}",
                entry.amount, entry.asset, entry.usd, entry.tx
            ),
        });
        let (mut rules, mut estimate) = (Vec::new(), String::new());
        if order.state.is_undecided() {
            let facts = self.facts_of(&order).await?;
            let case = Case { order: &order, policy: &self.policy, facts: &facts };
            rules = filter::every_ruling(&case)
                .into_iter()
                .map(|ruling| Line { name: ruling.rule.to_owned(), text: said(&ruling.verdict) })
                .collect();
            estimate = match facts.estimate {
                Ok(estimate) => estimate.to_string(),
                Err(unknown) => unknown.to_string(),
            };
        }
        Ok(Some(Explanation {
            intent_hash: hash,
            origin: order.origin.0,
            destination: order.destination().0,
            state: order.state.to_string(),
            reason: order.reason.clone(),
            history: history.collect(),
            books: books.collect(),
            rules,
            estimate,
        }))
    }
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".into(),
        Verdict::Reject { reason } => format!("no: {reason}"),
        Verdict::TooLate { reason } => format!("too late: {reason}"),
        Verdict::NotYet { reason, .. } => format!("not yet: {reason}"),
    }
}
