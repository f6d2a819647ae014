use api::aggregator::{
    DeliveriesResponse, DeliveryState, ErrorCode, RegisterWebhook, RegisteredWebhook,
    WebhooksResponse,
};
use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    ApiError, App,
    admission::Caller,
    answers::{BodyRefused, Missing, Refused},
    body::JsonBody,
    params::{Parameters, PathParam, QueryParams},
};
use crate::webhooks::{NewHook, Target};

/// Most webhooks of one key.
const MOST: usize = 20;

/// Which deliveries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryParams {
    /// Only those in this state: `dead` gives those that were given up.
    state: Option<DeliveryState>,
}

impl Parameters for DeliveryParams {
    const EXPECTED: &'static [(&'static str, &'static str)] =
        &[("state", "`pending`, `delivered` or `dead`")];
}

/// Tells a URL of every change of an order's state from now on. Needs a key with the scope
/// `webhooks`. The secret is shown here alone.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks", request_body = RegisterWebhook,
    responses(
        (status = 201, description = "The webhook and its secret", body = RegisteredWebhook),
        Refused,
        BodyRefused,
    )
)]
pub(super) async fn register(
    State(app): State<App>,
    Extension(Caller(owner)): Extension<Caller>,
    JsonBody(given): JsonBody<RegisterWebhook>,
) -> Result<(StatusCode, Json<RegisteredWebhook>), ApiError> {
    let target = Target::new(&given.url, app.allow_private_webhooks)
        .map_err(|fault| ApiError::field("url", format!("`url`: {fault}")))?;
    let hook = NewHook { owner, url: target.url().to_string(), creator: given.address };
    let webhook = app.hooks.add(&hook, MOST, app.clock.unix()).await?.ok_or_else(|| {
        ApiError::new(ErrorCode::InvalidRequest, format!("a key has at most {MOST} webhooks"))
    })?;
    let secret = app.secrets.of(&webhook.id);
    Ok((StatusCode::CREATED, Json(RegisteredWebhook { webhook, secret })))
}

/// The webhooks of this key.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks",
    responses((status = 200, description = "The webhooks", body = WebhooksResponse), Refused)
)]
pub(super) async fn list(
    State(app): State<App>,
    Extension(Caller(owner)): Extension<Caller>,
) -> Result<Json<WebhooksResponse>, ApiError> {
    Ok(Json(WebhooksResponse { webhooks: app.hooks.list(&owner).await? }))
}

/// Forgets a webhook and what is on its way to it.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 204, description = "It is gone"), Refused, Missing)
)]
pub(super) async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<String>,
) -> Result<StatusCode, ApiError> {
    require(&app, &id, &caller).await?;
    app.hooks.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was sent to a webhook, newest first. `state=dead` is the dead-letter list.
#[utoipa::path(
    get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook"), DeliveryParams),
    responses(
        (status = 200, description = "At most 100 deliveries", body = DeliveriesResponse),
        Refused,
        Missing,
    )
)]
pub(super) async fn deliveries(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathParam(id): PathParam<String>,
    QueryParams(params): QueryParams<DeliveryParams>,
) -> Result<Json<DeliveriesResponse>, ApiError> {
    require(&app, &id, &caller).await?;
    let deliveries = app.hooks.deliveries(&id, params.state).await?;
    Ok(Json(DeliveriesResponse { deliveries }))
}

/// Sends a delivery again, from the first attempt on.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/deliveries/{delivery}/replay", tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook"),
        ("delivery" = String, Path, description = "The delivery"),
    ),
    responses((status = 202, description = "It will be sent"), Refused, Missing)
)]
pub(super) async fn replay(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathParam((id, delivery)): PathParam<(String, String)>,
) -> Result<StatusCode, ApiError> {
    require(&app, &id, &caller).await?;
    if is_id(&delivery) && app.hooks.replay(&id, &delivery, app.clock.since_epoch()).await? {
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(missing("delivery"))
    }
}

/// Whether the webhook is the caller's; another's is not there at all.
async fn require(app: &App, id: &str, Caller(owner): &Caller) -> Result<(), ApiError> {
    if is_id(id) && app.hooks.belongs(id, owner).await? { Ok(()) } else { Err(missing("webhook")) }
}

/// Whether it could be an id of ours. PostgreSQL has no word for some texts that a path can hold.
fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn missing(what: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("this key has no such {what}"))
}
