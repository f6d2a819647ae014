use std::convert::Infallible;

use api::aggregator::{ErrorBody, QuoteRequest, QuoteResponse};
use axum::{
    Json,
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::UnboundedReceiverStream};

use super::{ApiError, App, body::JsonBody};
use crate::quoting::{Quoted, Route};

/// Asks every provider at once and gives ranked, ready-to-sign quotes.
#[utoipa::path(
    post, path = "/v1/quotes", tag = "quotes", request_body = QuoteRequest,
    responses(
        (status = 200, description = "Ranked quotes; the list may be empty", body = QuoteResponse),
        (status = 400, description = "A field is wrong", body = ErrorBody),
        (status = 401, description = "The API key is not known or lacks the scope", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is not JSON", body = ErrorBody),
        (status = 429, description = "Too many requests", body = ErrorBody),
        (status = 503, description = "Too many requests at once", body = ErrorBody),
    )
)]
pub(super) async fn quote(
    State(app): State<App>,
    JsonBody(request): JsonBody<QuoteRequest>,
) -> Result<Json<QuoteResponse>, ApiError> {
    let route = Route::new(request, &app.book)?;
    Ok(Json(response(app.engine.quote(&route).await)))
}

/// As `POST /v1/quotes`, as server-sent events: `quote` for each quote better than those before,
/// then `done` with the whole answer.
#[utoipa::path(
    post, path = "/v1/quotes/stream", tag = "quotes", request_body = QuoteRequest,
    responses(
        (status = 200, description = "Events `quote` (a Quote) and `done` (a QuoteResponse)",
         content_type = "text/event-stream", body = String),
        (status = 400, description = "A field is wrong", body = ErrorBody),
        (status = 401, description = "The API key is not known or lacks the scope", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is not JSON", body = ErrorBody),
        (status = 429, description = "Too many requests", body = ErrorBody),
        (status = 503, description = "Too many requests at once", body = ErrorBody),
    )
)]
pub(super) async fn stream(
    State(app): State<App>,
    JsonBody(request): JsonBody<QuoteRequest>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let route = Route::new(request, &app.book)?;
    let (events, received) = mpsc::unbounded_channel();
    let quoting = async move {
        // A client that has gone needs no more events; the answer is dropped with it.
        let better = |quote| drop(events.send(event("quote", &quote)));
        let quoted = app.engine.quote_as_they_come(&route, better).await;
        drop(events.send(event("done", &response(quoted))));
    };
    let quoting = futures::stream::once(quoting).filter_map(|()| None);
    let events = quoting.merge(UnboundedReceiverStream::new(received)).map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn response(quoted: Quoted) -> QuoteResponse {
    QuoteResponse {
        quotes: quoted.quotes,
        unavailable: quoted.unavailable,
        elapsed_ms: u64::try_from(quoted.elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}

pub(super) fn event(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(name).json_data(data).unwrap_or_else(|error| {
        tracing::error!(%error, "an event cannot be written");
        Event::default().event("error").data("an error of ours")
    })
}
