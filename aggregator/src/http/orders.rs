use std::{convert::Infallible, time::Duration};

use alloy::primitives::{Address, B256};
use api::aggregator::{
    ErrorBody, ErrorCode, Order, OrdersResponse, SubmitOrder, SubmitOrderResponse,
};
use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::Stream;
use protocol::ids::IntentHash;
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use utoipa::IntoParams;

use super::{
    ApiError, App,
    answers::{BodyRefused, Missing, Refused},
    body::JsonBody,
    opening::open,
    params::{OrderId, Parameters, QueryParams},
    quotes::event,
    streams::OpenStream,
};
use crate::orders::{Cursor, Page, is_final};

/// Orders on one page when the caller does not say.
const PAGE: u32 = 20;
/// Most orders on one page.
const MAX_PAGE: u32 = 100;
/// Longest pause before a stream that missed changes looks at its order: all that missed them would
/// look at once.
const SPREAD: Duration = Duration::from_secs(1);
/// Shortest pause before the listener of a stream that has ended opens another.
const REOPEN: Duration = Duration::from_secs(1);

/// Which orders to list: by `address` or by `transaction`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Creator of the orders.
    #[param(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{40}$")]
    address: Option<Address>,
    /// A transaction that took part, on either chain.
    #[param(value_type = Option<String>, pattern = "^0x[0-9a-fA-F]{64}$")]
    transaction: Option<B256>,
    /// How many (1 to 100, 20 when absent).
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Parameters for ListParams {
    const EXPECTED: &'static [(&'static str, &'static str)] = &[
        ("address", "0x and 40 hexadecimal digits"),
        ("transaction", "0x and 64 hexadecimal digits"),
        ("limit", "1 to 100"),
        ("cursor", "`next_cursor` of a page"),
    ];
}

/// Opens the order of a quote: with the transaction that was sent, or with the signature that the
/// quote asked for. It is followed from now on.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", request_body = SubmitOrder,
    responses(
        (status = 201, description = "The order is followed", body = SubmitOrderResponse),
        Refused,
        BodyRefused,
        (status = 409, description = "The origin does not know the transaction yet", body = ErrorBody),
        (status = 410, description = "The quote has expired", body = ErrorBody),
        (status = 422, description = "The solver refuses the signed order", body = ErrorBody),
    )
)]
pub(super) async fn submit(
    State(app): State<App>,
    JsonBody(submitted): JsonBody<SubmitOrder>,
) -> Result<(StatusCode, Json<SubmitOrderResponse>), ApiError> {
    let id = open(&app, &submitted).await?;
    let state = find(&app, id).await?.state;
    Ok((StatusCode::CREATED, Json(SubmitOrderResponse { id: id.0, state })))
}

/// Orders of a creator, newest first, or the orders of a transaction.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", params(ListParams),
    responses(
        (status = 200, description = "A page of orders", body = OrdersResponse),
        Refused,
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    QueryParams(params): QueryParams<ListParams>,
) -> Result<Json<OrdersResponse>, ApiError> {
    let now = app.clock.unix();
    match (params.address, params.transaction) {
        (None, Some(hash)) => {
            let orders = app.orders.by_transaction(hash, now).await?;
            Ok(Json(OrdersResponse { orders, next_cursor: None }))
        }
        (Some(creator), None) => {
            let limit = params.limit.unwrap_or(PAGE);
            if limit == 0 || limit > MAX_PAGE {
                let message = format!("`limit`: expected 1 to {MAX_PAGE}, given {limit}");
                return Err(ApiError::field("limit", message));
            }
            let after = params.cursor.as_deref().map(parse_cursor).transpose()?;
            let (orders, last) = app.orders.page(Page { creator, after, limit }, now).await?;
            let next_cursor = last.map(|last| last.to_string());
            Ok(Json(OrdersResponse { orders, next_cursor }))
        }
        _ => Err(ApiError::field("address", "give exactly one of `address` and `transaction`")),
    }
}

/// One order with its history.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders",
    params(("id" = String, Path, description = "The intent hash", pattern = "^0x[0-9a-fA-F]{64}$")),
    responses(
        (status = 200, description = "The order", body = Order),
        Refused,
        Missing,
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    OrderId(id): OrderId,
) -> Result<Json<Order>, ApiError> {
    find(&app, id).await.map(Json)
}

/// One order as server-sent events: `order` now and at each change, until its state is final. A
/// stream that has lasted long says `end`: open another after `retry` milliseconds.
#[utoipa::path(
    get, path = "/v1/orders/{id}/stream", tag = "orders",
    params(("id" = String, Path, description = "The intent hash", pattern = "^0x[0-9a-fA-F]{64}$")),
    responses(
        (status = 200, description = "Events `order` (an Order) and `end`",
         content_type = "text/event-stream", body = String),
        Refused,
        Missing,
    )
)]
pub(super) async fn stream(
    State(app): State<App>,
    Extension(open): Extension<OpenStream>,
    OrderId(id): OrderId,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Listen before the first look: a change in between is told twice rather than not at all.
    let changes = app.changes.subscribe();
    let order = find(&app, id).await?;
    let (events, received) = mpsc::channel(16);
    let following = async move {
        let following = follow(&app, order, changes, &events);
        if tokio::time::timeout(open.life(), following).await.is_err() {
            // Who is so slow that there is no room for it sees the end by itself.
            drop(events.try_send(end()));
        }
    };
    let following = futures::stream::once(following).filter_map(|()| None);
    let events = following.merge(ReceiverStream::new(received)).map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Sends the order at each change until it is final. `None` when the listener has gone.
async fn follow(
    app: &App,
    mut order: Order,
    mut changes: broadcast::Receiver<IntentHash>,
    events: &mpsc::Sender<Event>,
) -> Option<()> {
    let mut told = None;
    loop {
        if told.as_ref() != Some(&order) {
            events.send(event("order", &order)).await.ok()?;
        }
        if is_final(order.state) {
            return Some(());
        }
        let id = order.id;
        told = Some(order);
        loop {
            match changes.recv().await {
                Ok(changed) if changed.0 == id => break,
                Ok(_) => {}
                // Some changes were missed, perhaps ours: look.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    tokio::time::sleep(SPREAD.mul_f64(rand::random())).await;
                    break;
                }
                Err(broadcast::error::RecvError::Closed) => return Some(()),
            }
        }
        match find(app, id.into()).await {
            Ok(found) => order = found,
            Err(error) => {
                let message = serde_json::json!({ "message": error.message });
                events.send(event("error", &message)).await.ok()?;
                return Some(());
            }
        }
    }
}

/// The last word of a stream that has lasted as long as it may. Those that began together, as after
/// a restart, are not to begin together again.
fn end() -> Event {
    let message = serde_json::json!({ "message": "the stream has lasted long: open another" });
    event("end", &message).retry(REOPEN.mul_f64(1.0 + 4.0 * rand::random::<f64>()))
}

async fn find(app: &App, id: IntentHash) -> Result<Order, ApiError> {
    app.orders.get(id, app.clock.unix()).await?.ok_or_else(|| {
        ApiError::new(ErrorCode::NotFound, format!("no order {id} was announced or seen"))
    })
}

fn parse_cursor(cursor: &str) -> Result<Cursor, ApiError> {
    Cursor::parse(cursor).ok_or_else(|| {
        ApiError::field(
            "cursor",
            format!("`cursor`: expected `next_cursor` of a page, given {cursor:?}"),
        )
    })
}
