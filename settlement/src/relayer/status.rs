//! What the relayer is doing, for people and for programs: `GET /` (a page), `GET /status` and
//! `GET /messages/{id}` (JSON), with either of a message's two ids.

use alloy::primitives::{Address, B256};
use axum::{
    Json, Router,
    extract::{Path, State as Shared},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    delivery::{State, Stored},
    store::Store,
};

/// How many messages of each kind the status lists.
const LISTED: u32 = 50;

/// One message, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// keccak256 of the envelope.
    pub mailbox_id: B256,
    /// keccak256 of the Metalayer message, when the body is one.
    pub message_id: Option<B256>,
    /// Origin domain.
    pub origin: u32,
    /// Destination domain.
    pub destination: u32,
    /// The dispatching transaction.
    pub dispatch_transaction: B256,
    /// Number of the origin block.
    pub origin_block: u64,
    /// Hash of the origin block.
    pub origin_block_hash: B256,
    /// `pending`, `submitted`, `delivered`, `done`, `parked`, `orphaned` or `delivered_orphan`.
    pub state: String,
    /// What it waits for, or why it ended.
    pub reason: String,
    /// Attempts that did not deliver it.
    pub attempts: u32,
    /// When it is tried again, in milliseconds since 1970; 0 for at once.
    pub next_attempt_at: u64,
    /// Its indexes in the origin's tree.
    pub leaves: Vec<u32>,
    /// What was paid for its delivery, in wei of the origin, as a decimal.
    pub paid: String,
    /// Mined transactions that did not deliver it.
    #[serde(default)]
    pub failed_transactions: u32,
    /// What those have cost, in wei of the destination, as a decimal.
    #[serde(default)]
    pub failed_cost: String,
    /// The delivering transaction.
    pub process_transaction: Option<B256>,
    /// Number of the block that delivered it.
    pub process_block: Option<u64>,
    /// From the first sight of its dispatch to its delivery, in milliseconds.
    pub delivery_millis: Option<u64>,
}

/// The whole relayer at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Messages by origin, destination and state.
    pub counts: Vec<Count>,
    /// The newest messages on their way.
    pub pending: Vec<Explanation>,
    /// The newest messages that can never be delivered.
    pub parked: Vec<Explanation>,
    /// The newest messages that were delivered before their origin block went.
    pub delivered_orphans: Vec<Explanation>,
    /// The newest files of validators that contradict an origin's tree.
    pub contradictions: Vec<Contradiction>,
}

/// A validator signed another tree than its origin shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradiction {
    /// Origin domain.
    pub origin: u32,
    /// Who signed.
    pub validator: Address,
    /// The leaf's index.
    pub index: u32,
    /// `reorg` for a branch that was seen orphaned, `fraud` for one that nobody ever saw.
    pub class: String,
    /// The file, as it was read.
    pub file: String,
    /// Milliseconds since 1970.
    pub seen_at: u64,
}

/// How many messages are in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Origin domain.
    pub origin: u32,
    /// Destination domain.
    pub destination: u32,
    /// State.
    pub state: String,
    /// How many.
    pub messages: u64,
}

/// Why a relayer could not be asked about a message.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// It could not be reached, or did not answer with an explanation.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The URL cannot take a path.
    #[error("{0} is no base URL")]
    NotABase(Url),
    /// It does not know the message.
    #[error("the relayer does not know message {0}")]
    Unknown(B256),
}

/// Asks the relayer at `base` about a message, by either of its ids. One entry for each origin block
/// that ever held it.
///
/// # Errors
/// [`ExplainError`].
pub async fn explain(base: &Url, id: B256) -> Result<Vec<Explanation>, ExplainError> {
    let url =
        base.join(&format!("messages/{id}")).map_err(|_| ExplainError::NotABase(base.clone()))?;
    let response = reqwest::get(url).await?;
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Err(ExplainError::Unknown(id));
    }
    Ok(response.error_for_status()?.json().await?)
}

#[derive(Debug, Clone)]
struct Board {
    store: Store,
}

pub(super) fn routes(store: Store) -> Router {
    let board = Board { store };
    Router::new()
        .route("/", get(page))
        .route("/status", get(status))
        .route("/messages/{id}", get(message))
        .with_state(board)
}

/// The database failed: the cause is for the log.
struct Internal(chain::db::Error);

impl From<chain::db::Error> for Internal {
    fn from(error: chain::db::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Internal {
    fn into_response(self) -> Response {
        tracing::error!(error = %self.0, "the status cannot be read");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

async fn status(Shared(board): Shared<Board>) -> Result<Json<Status>, Internal> {
    Ok(Json(board.status().await?))
}

async fn message(Shared(board): Shared<Board>, Path(id): Path<B256>) -> Result<Response, Internal> {
    let found = board.store.find(id).await?;
    if found.is_empty() {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    let mut explained = Vec::with_capacity(found.len());
    for message in found {
        explained.push(board.explain(message).await?);
    }
    Ok(Json(explained).into_response())
}

async fn page(Shared(board): Shared<Board>) -> Result<Html<String>, Internal> {
    let status = board.status().await?;
    let rows: String = status
        .counts
        .iter()
        .map(|count| {
            format!(
                "<tr><td>{}<td>{}<td>{}<td>{}",
                count.origin, count.destination, count.state, count.messages
            )
        })
        .collect();
    let lists = [
        ("On their way", &status.pending),
        ("Parked", &status.parked),
        ("Delivered, then reorganized away at the origin", &status.delivered_orphans),
    ];
    let lists: String = lists.into_iter().map(|(title, list)| list_of(title, list)).collect();
    let contradictions: String = status
        .contradictions
        .iter()
        .map(|found| {
            format!(
                "<li>{} at index {} of {}: {}",
                found.validator, found.index, found.origin, found.class
            )
        })
        .collect();
    Ok(Html(format!(
        "<!doctype html><meta charset=utf-8><title>Metalayer relayer</title>\
         <style>body{{font-family:sans-serif}}td,th{{padding:.2em .8em;text-align:left}}</style>\
         <h1>Relayer</h1><table><tr><th>origin<th>destination<th>state<th>messages{rows}</table>{lists}\
         <h2>Contradicting checkpoints ({})</h2><ul>{contradictions}</ul>",
        status.contradictions.len()
    )))
}

fn list_of(title: &str, messages: &[Explanation]) -> String {
    let items: String = messages
        .iter()
        .map(|message| {
            format!(
                "<li><a href=\"/messages/{id}\">{id}</a> {} → {}: {}",
                message.origin,
                message.destination,
                escaped(&message.reason),
                id = message.mailbox_id
            )
        })
        .collect();
    format!("<h2>{title} ({})</h2><ul>{items}</ul>", messages.len())
}

/// Reasons quote what strangers wrote: contracts' revert texts, servers' errors.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Board {
    async fn status(&self) -> Result<Status, chain::db::Error> {
        let counts = self.store.counts().await?;
        Ok(Status {
            counts: counts
                .into_iter()
                .map(|(origin, destination, state, messages)| Count {
                    origin,
                    destination,
                    state,
                    messages,
                })
                .collect(),
            pending: self.list(State::Pending).await?,
            parked: self.list(State::Parked).await?,
            delivered_orphans: self.list(State::DeliveredOrphan).await?,
            contradictions: self.contradictions().await?,
        })
    }

    async fn list(&self, state: State) -> Result<Vec<Explanation>, chain::db::Error> {
        let mut listed = Vec::new();
        for message in self.store.in_state(state, LISTED).await? {
            listed.push(self.explain(message).await?);
        }
        Ok(listed)
    }

    async fn contradictions(&self) -> Result<Vec<Contradiction>, chain::db::Error> {
        let kept = self.store.evidence(LISTED).await?;
        let shown = kept.into_iter().map(|evidence| Contradiction {
            origin: evidence.origin.0,
            validator: evidence.validator,
            index: evidence.index,
            class: evidence.class,
            file: evidence.file,
            seen_at: evidence.seen_at,
        });
        Ok(shown.collect())
    }

    async fn explain(&self, message: Stored) -> Result<Explanation, chain::db::Error> {
        let leaves = self.store.leaves_of(message.origin, message.key.id).await?;
        let paid = self.store.paid(message.key.id, message.destination).await?;
        let failures = self.store.failures(message.key.id).await?;
        Ok(Explanation {
            mailbox_id: message.key.id.0,
            message_id: message.message_id.map(|id| id.0),
            origin: message.origin.0,
            destination: message.destination.0,
            dispatch_transaction: message.tx,
            origin_block: message.block_number,
            origin_block_hash: message.key.block,
            state: message.state.name().to_owned(),
            reason: message.reason,
            attempts: message.attempts,
            next_attempt_at: message.next_at,
            leaves: leaves.iter().map(|leaf| leaf.index).collect(),
            paid: paid.to_string(),
            failed_transactions: failures.transactions,
            failed_cost: failures.wei.to_string(),
            process_transaction: message.process.map(|process| process.tx),
            process_block: message.process.map(|process| process.number),
            delivery_millis: message.delivered_at.map(|at| at.saturating_sub(message.seen_at)),
        })
    }
}
