use api::aggregator::{
    Chain, ChainsResponse, Provider, ProvidersResponse, Reputation, Token, TokensResponse,
};
use axum::{Json, extract::State, http::StatusCode};
use service::health;

use super::{App, Parts, answers::Limited};

/// The chains of the deployment.
#[utoipa::path(
    get, path = "/v1/chains", tag = "catalog",
    responses((status = 200, description = "The chains", body = ChainsResponse), Limited)
)]
pub(super) async fn chains(State(app): State<App>) -> Json<ChainsResponse> {
    let chains = app
        .manifest
        .iter()
        .map(|(name, chain)| Chain {
            chain_id: chain.chain_id.0,
            domain: chain.domain.0,
            name: name.to_owned(),
            intent_source: chain.contracts.intent_source,
            inbox: chain.contracts.inbox,
        })
        .collect();
    let limits = app.engine.route_limits().copied().collect();
    Json(ChainsResponse { chains, limits })
}

/// The tokens that can be moved.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "catalog",
    responses((status = 200, description = "The tokens", body = TokensResponse), Limited)
)]
pub(super) async fn tokens(State(app): State<App>) -> Json<TokensResponse> {
    let tokens = app
        .book
        .tokens()
        .map(|token| Token {
            chain_id: token.chain_id,
            address: token.address,
            symbol: token.symbol.clone(),
            decimals: token.decimals,
        })
        .collect();
    Json(TokensResponse { tokens })
}

/// Every provider, how it does and what it is worth.
#[utoipa::path(
    get, path = "/v1/providers", tag = "catalog",
    responses((status = 200, description = "The providers", body = ProvidersResponse), Limited)
)]
pub(super) async fn providers(State(app): State<App>) -> Json<ProvidersResponse> {
    let now = app.clock.unix();
    let limits = app.engine.limits();
    let providers = app
        .engine
        .providers()
        .iter()
        .map(|entry| {
            let name = entry.provider.name();
            let outcomes = app.reputations.of(name, now);
            let healthy = entry.breaker.is_closed();
            Provider {
                name: name.to_owned(),
                healthy,
                unhealthy_reason: (!healthy)
                    .then(|| "it failed too often and is tried now and then".into()),
                reputation: Reputation {
                    score: outcomes.score(),
                    fills: outcomes.fills,
                    failures: outcomes.failures,
                    time_ratio: outcomes.time_ratio(),
                },
                limits,
            }
        })
        .collect();
    Json(ProvidersResponse { providers })
}

/// How every part is, by name, and the service as a whole under `status`: `ok`, `degraded` (a part
/// fails and the service goes on without it) or `failing`.
#[utoipa::path(
    get, path = "/health", tag = "catalog",
    responses(
        (status = 200, description = "It serves; what does not work says why", body = Parts),
        (status = 503, description = "It does not, and why", body = Parts)
    )
)]
pub(super) async fn health(State(app): State<App>) -> (StatusCode, Json<Parts>) {
    let parts = app.health.components().into_iter().map(|(name, state)| {
        let state = match state {
            health::State::Ok => "ok".to_owned(),
            health::State::Degraded { reason } | health::State::Failing { reason } => reason,
        };
        (name, state)
    });
    let status = app.health.status();
    let whole = ("status".to_owned(), status.name().to_owned());
    let code = if status.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(parts.chain([whole]).collect()))
}
