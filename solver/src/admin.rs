//! The operator's API, beside `/metrics` and `/health`: pause, drain, limits, explanations, books.
//! Every route asks for the token; without one in the configuration there are no routes.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use alloy::primitives::{Address, B256};
use axum::{
    Json, Router,
    extract::{FromRef, Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use prices::Usd;
use protocol::ids::IntentHash;
use serde::{Deserialize, Serialize};
use service::secret::Secret;
use subtle::ConstantTimeEq;

use crate::{
    config::{Config, LimitsConfig, ListsConfig},
    engine::Engine,
    report,
    store::Mode,
};

/// The routes, if the configuration has a token.
pub(crate) fn routes(config: &Config, engine: Arc<Engine>) -> Router {
    let Some(token) = config.admin_token.clone() else { return Router::new() };
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/pause", post(async |s| set_mode(s, Mode::Paused).await))
        .route("/v1/drain", post(async |s| set_mode(s, Mode::Draining).await))
        .route("/v1/resume", post(async |s| set_mode(s, Mode::Running).await))
        .route("/v1/limits", get(limits).put(set_limits))
        .route("/v1/lists", get(lists).put(set_lists))
        .route("/v1/reload", post(reload))
        .route("/v1/intents/{hash}", get(explain))
        .route("/v1/report.csv", get(report_csv))
        .route("/v1/report.svg", get(report_svg))
        .layer(middleware::from_fn_with_state(token, authorize))
        .with_state(Desk { engine, file: config.file.clone() })
}

/// What the routes share.
#[derive(Clone)]
struct Desk {
    engine: Arc<Engine>,
    /// The configuration file.
    file: Option<PathBuf>,
}

impl FromRef<Desk> for Arc<Engine> {
    fn from_ref(desk: &Desk) -> Self {
        Self::clone(&desk.engine)
    }
}

async fn authorize(State(token): State<Secret>, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(token.expose().as_bytes())) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, "expected the operator's token as bearer").into_response()
    }
}

/// A fault as the operator sees it: in full.
struct Fault(StatusCode, String);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

fn internal(error: impl std::fmt::Display) -> Fault {
    Fault(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// What the solver is doing.
#[derive(Debug, Serialize)]
struct Status {
    mode: String,
    orders: Vec<(String, u64)>,
    /// Whether nothing is reserved or out: a drained solver may be stopped.
    idle: bool,
    exposure_dollars: String,
    holdings: Vec<HoldingLine>,
}

#[derive(Debug, Serialize)]
struct HoldingLine {
    chain: u64,
    wallet: Address,
    token: Address,
    balance: String,
    free: String,
}

async fn status(State(engine): State<Arc<Engine>>) -> Result<Json<Status>, Fault> {
    let census = engine.store.census().await.map_err(internal)?;
    let holdings = engine.store.holdings().await.map_err(internal)?;
    Ok(Json(Status {
        mode: engine.store.mode().await.map_err(internal)?.to_string(),
        idle: census.iter().all(|(state, _)| state.is_terminal() || state.is_undecided()),
        orders: census.iter().map(|(state, n)| (state.to_string(), *n)).collect(),
        exposure_dollars: engine.exposure().await.map_err(internal)?.to_string(),
        holdings: holdings
            .into_iter()
            .map(|(holding, free)| HoldingLine {
                chain: holding.asset.chain.0,
                wallet: holding.wallet,
                token: holding.asset.token,
                balance: holding.amount.to_string(),
                free: free.to_string(),
            })
            .collect(),
    }))
}

async fn set_mode(State(engine): State<Arc<Engine>>, mode: Mode) -> Result<String, Fault> {
    engine.store.set_mode(mode).await.map_err(internal)?;
    tracing::warn!(%mode, "the operator has set the mode");
    Ok(mode.to_string())
}

/// Reads limits, lists and lanes from the configuration file again. A file with any fault changes
/// nothing.
async fn reload(State(desk): State<Desk>) -> Result<StatusCode, Fault> {
    let none = || Fault(StatusCode::CONFLICT, "the solver was started without a file".into());
    let file = desk.file.ok_or_else(none)?;
    let config = service::config::load::<Config>(&file)
        .map_err(|faults| Fault(StatusCode::UNPROCESSABLE_ENTITY, faults.to_string()))?;
    desk.engine.policy.reload(&config);
    tracing::warn!(file = %file.display(), "limits, lists and lanes were read again");
    Ok(StatusCode::NO_CONTENT)
}

/// The limits as the operator writes them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsBody {
    exposure: String,
    in_flight_per_creator: u64,
    calls: usize,
    calldata: usize,
    fill_gas: u64,
    attempts: u64,
}

async fn limits(State(engine): State<Arc<Engine>>) -> Json<LimitsBody> {
    let limits = engine.policy.limits();
    Json(LimitsBody {
        exposure: limits.exposure.to_string(),
        in_flight_per_creator: limits.in_flight_per_creator,
        calls: limits.calls,
        calldata: limits.calldata,
        fill_gas: limits.fill_gas,
        attempts: limits.attempts,
    })
}

async fn set_limits(
    State(engine): State<Arc<Engine>>,
    Json(body): Json<LimitsBody>,
) -> Result<StatusCode, Fault> {
    let exposure: Usd = body
        .exposure
        .parse()
        .map_err(|e| Fault(StatusCode::BAD_REQUEST, format!("exposure: {e}")))?;
    engine.policy.set_limits(LimitsConfig {
        exposure,
        in_flight_per_creator: body.in_flight_per_creator,
        calls: body.calls,
        calldata: body.calldata,
        fill_gas: body.fill_gas,
        attempts: body.attempts,
    });
    tracing::warn!(?body, "the operator has set the limits");
    Ok(StatusCode::NO_CONTENT)
}

/// The lists as the operator writes them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListsBody {
    deny: BTreeSet<Address>,
    allow_creators: BTreeSet<Address>,
    allow_targets: BTreeSet<Address>,
}

async fn lists(State(engine): State<Arc<Engine>>) -> Json<ListsBody> {
    let lists = engine.policy.lists();
    Json(ListsBody {
        deny: lists.deny.clone(),
        allow_creators: lists.allow_creators.clone(),
        allow_targets: lists.allow_targets.clone(),
    })
}

async fn set_lists(State(engine): State<Arc<Engine>>, Json(body): Json<ListsBody>) -> StatusCode {
    tracing::warn!(?body, "the operator has set the lists");
    let ListsBody { deny, allow_creators, allow_targets } = body;
    engine.policy.set_lists(ListsConfig { deny, allow_creators, allow_targets });
    StatusCode::NO_CONTENT
}

async fn explain(
    State(engine): State<Arc<Engine>>,
    Path(hash): Path<String>,
) -> Result<Response, Fault> {
    let hash: B256 = hash
        .parse()
        .map_err(|_| Fault(StatusCode::BAD_REQUEST, "expected a hash of 32 bytes".into()))?;
    match engine.explain(IntentHash(hash)).await.map_err(internal)? {
        Some(explanation) => Ok(Json(explanation).into_response()),
        None => Err(Fault(StatusCode::NOT_FOUND, format!("{hash} was never seen"))),
    }
}

/// What part of the books.
#[derive(Debug, Deserialize)]
struct Since {
    /// Unix milliseconds.
    #[serde(default)]
    since: u64,
}

async fn report_csv(
    State(engine): State<Arc<Engine>>,
    Query(Since { since }): Query<Since>,
) -> Result<Response, Fault> {
    let entries = engine.store.entries(since).await.map_err(internal)?;
    Ok(([(header::CONTENT_TYPE, "text/csv")], report::csv(&entries)).into_response())
}

async fn report_svg(
    State(engine): State<Arc<Engine>>,
    Query(Since { since }): Query<Since>,
) -> Result<Response, Fault> {
    let entries = engine.store.entries(since).await.map_err(internal)?;
    let picture = report::svg(&entries).map_err(internal)?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], picture).into_response())
}
