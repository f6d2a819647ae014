//! `POST /v1/quotes`, `POST /v1/intents`, `GET /v1/intents/{hash}`: the door for aggregators and
//! users. Types are those of `api::solver`; they are converted here and go no further.

mod intents;
mod quotes;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use alloy::primitives::B256;
use api::solver::Problem;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::ids::IntentHash;
use service::tasks::Spawner;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};

use crate::{
    config::Config,
    engine::{Engine, Fault},
    quote::{self, Quoter},
    spawn::Error as SpawnError,
};

/// Largest body that is read: an intent with the longest call data allowed fits several times.
const LARGEST_BODY: usize = 256 * 1024;

/// How long an intent waits for a place before its sender is told that the solver is busy.
const QUEUE: Duration = Duration::from_millis(200);

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    quoter: Arc<Quoter>,
    engine: Arc<Engine>,
    wake: mpsc::UnboundedSender<IntentHash>,
    /// Intents that are looked at here at a time: whoever hands one in pays nothing for what a chain is asked.
    places: Arc<Semaphore>,
    /// Most signed orders that may wait to be opened.
    most_signed: u64,
    /// Whose word counts about whom a quote is for.
    aggregators: Arc<BTreeSet<IpAddr>>,
}

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request does not read.
    #[error("{0}")]
    Malformed(String),
    /// The request reads and cannot be served.
    #[error("{message}")]
    Refused { code: &'static str, message: String },
    /// The sender has handed in as much as it may for now.
    #[error("{0}")]
    TooMany(String),
    /// Everybody together has, for now.
    #[error("{0}")]
    Busy(&'static str),
    /// There is no such thing.
    #[error("no such intent was seen")]
    NotFound,
    /// Our fault; the cause is in the log.
    #[error("the solver cannot answer now")]
    Internal(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let message = self.to_string();
        let (status, code) = match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::Refused { code, .. } => (StatusCode::UNPROCESSABLE_ENTITY, code),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            Self::Busy(_) => {
                metrics::counter!("solver_intents_busy_total").increment(1);
                (StatusCode::SERVICE_UNAVAILABLE, "busy")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::Internal(cause) => {
                tracing::error!(cause, "request failed");
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
        };
        (status, Json(Problem { code: code.into(), message })).into_response()
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Internal(fault.to_string())
    }
}

impl From<crate::store::Error> for Refusal {
    fn from(error: crate::store::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<quote::Error> for Refusal {
    fn from(error: quote::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::Malformed(rejection.body_text())
    }
}

/// Serves the API until shutdown; returns the bound address.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn serve(
    config: &Config,
    quoter: Arc<Quoter>,
    engine: Arc<Engine>,
    wake: mpsc::UnboundedSender<IntentHash>,
    tasks: &Spawner,
) -> Result<SocketAddr, SpawnError> {
    let address = config.api_listen;
    let fault = |source| SpawnError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    let places = Arc::new(Semaphore::new(config.submissions));
    let most_signed = u64::from(config.signed_open);
    let aggregators = Arc::new(config.aggregators.clone());
    let router = Router::new()
        .route("/v1/quotes", post(quotes::quote))
        .route("/v1/intents", post(intents::submit))
        .route("/v1/intents/{hash}", get(intents::status))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Door { quoter, engine, wake, places, most_signed, aggregators })
        .into_make_service_with_connect_info::<SocketAddr>();
    let shutdown = tasks.shutdown();
    tasks.spawn("api", async move {
        axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
    });
    Ok(bound)
}

/// Reads a hash from a path.
fn parse_hash(Path(text): Path<String>) -> Result<IntentHash, Refusal> {
    text.parse::<B256>()
        .map(IntentHash)
        .map_err(|_| Refusal::Malformed("expected a hash of 32 bytes in hexadecimal".into()))
}
