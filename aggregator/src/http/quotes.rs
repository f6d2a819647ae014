use std::{convert::Infallible, sync::Arc, time::Instant};

use api::aggregator::{QuoteRequest, QuoteResponse};
use axum::{
    extract::{Extension, State},
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::UnboundedReceiverStream};

use super::{
    ApiError, App,
    admission::Place,
    answers::{BodyRefused, Refused},
    body::JsonBody,
    caller::Who,
};
use crate::quoting::{Quoted, Route};

/// Bytes that one quote takes, of most providers: more are found as they are needed.
const SPACE: usize = 4_096;

/// Asks every provider at once and gives ranked, ready-to-sign quotes.
#[utoipa::path(
    post, path = "/v1/quotes", tag = "quotes", request_body = QuoteRequest,
    responses(
        (status = 200, description = "Ranked quotes; the list may be empty", body = QuoteResponse),
        Refused,
        BodyRefused,
    )
)]
pub(super) async fn quote(
    State(app): State<App>,
    Extension(who): Extension<Who>,
    JsonBody(request): JsonBody<QuoteRequest>,
) -> Result<Response, ApiError> {
    let (route, now) = (route(&app, &who, request)?, Instant::now());
    let question = route.identity();
    if let Some(kept) = app.kept().get(&question, now) {
        return Ok(json(kept));
    }
    let mut quoted = app.engine.quote(&route).await;
    let keep = quoted.keep.take();
    let answer = response(quoted);
    let mut text = Vec::with_capacity(SPACE * (1 + answer.quotes.len()));
    serde_json::to_writer(&mut text, &answer).map_err(ApiError::internal)?;
    if let Some(keep) = keep {
        app.kept().put(question, answer, keep);
    }
    Ok(json(text))
}

fn json(text: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// As `POST /v1/quotes`, as server-sent events: `quote` for each quote better than those before,
/// then `done` with the whole answer.
#[utoipa::path(
    post, path = "/v1/quotes/stream", tag = "quotes", request_body = QuoteRequest,
    responses(
        (status = 200, description = "Events `quote` (a Quote) and `done` (a QuoteResponse)",
         content_type = "text/event-stream", body = String),
        Refused,
        BodyRefused,
    )
)]
pub(super) async fn stream(
    State(app): State<App>,
    Extension(place): Extension<Place>,
    Extension(who): Extension<Who>,
    JsonBody(request): JsonBody<QuoteRequest>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let route = route(&app, &who, request)?;
    let (events, received) = mpsc::unbounded_channel();
    let quoting = async move {
        // A client that has gone needs no more events; the answer is dropped with it.
        let better = |quote| drop(events.send(event("quote", &quote)));
        let quoted = app.engine.quote_as_they_come(&route, better).await;
        drop(events.send(event("done", &response(quoted))));
        drop(place);
    };
    let quoting = futures::stream::once(quoting).filter_map(|()| None);
    let events = quoting.merge(UnboundedReceiverStream::new(received)).map(Ok);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn route(app: &App, who: &Who, request: QuoteRequest) -> Result<Arc<Route>, ApiError> {
    if request.gasless && !app.gasless {
        return Err(ApiError::field(
            "gasless",
            "`gasless`: orders cannot be signed on this server",
        ));
    }
    let route = Route::new(request, &app.book)?;
    Ok(Arc::new(Route { caller: Some(who.name()), ..route }))
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
