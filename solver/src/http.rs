//! `POST /v1/quotes`, `POST /v1/intents`, `GET /v1/intents/{hash}`: the door for aggregators and
//! users. Types are those of `api::solver`; they are converted here and go no further.

mod intents;

use std::{net::SocketAddr, sync::Arc};

use alloy::primitives::B256;
use api::solver::{Problem, QuoteRequest};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::ids::IntentHash;
use service::tasks::Spawner;
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    engine::{Engine, Fault},
    quote::{self, Quoter},
    spawn::Error as SpawnError,
};

/// Largest body that is read: an intent with the longest call data allowed fits several times.
const LARGEST_BODY: usize = 256 * 1024;

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    quoter: Arc<Quoter>,
    engine: Arc<Engine>,
    wake: mpsc::UnboundedSender<IntentHash>,
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
    address: SocketAddr,
    quoter: Arc<Quoter>,
    engine: Arc<Engine>,
    wake: mpsc::UnboundedSender<IntentHash>,
    tasks: &Spawner,
) -> Result<SocketAddr, SpawnError> {
    let fault = |source| SpawnError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    let router = Router::new()
        .route("/v1/quotes", post(quotes))
        .route("/v1/intents", post(intents::submit))
        .route("/v1/intents/{hash}", get(intents::status))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Door { quoter, engine, wake });
    let shutdown = tasks.shutdown();
    tasks.spawn("api", async move {
        axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
    });
    Ok(bound)
}

async fn quotes(
    State(door): State<Door>,
    request: Result<Json<QuoteRequest>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(request) = request?;
    let started = std::time::Instant::now();
    let answer = door.quoter.quote(&request).await?;
    metrics::histogram!("solver_quote_milliseconds").record(started.elapsed().as_millis() as f64);
    Ok(Json(answer).into_response())
}

/// Reads a hash from a path.
fn parse_hash(Path(text): Path<String>) -> Result<IntentHash, Refusal> {
    text.parse::<B256>()
        .map(IntentHash)
        .map_err(|_| Refusal::Malformed("expected a hash of 32 bytes in hexadecimal".into()))
}
