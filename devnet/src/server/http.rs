//! JSON-RPC over HTTP, and the door to WebSocket.

use std::io;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequestParts, Request, State, WebSocketUpgrade},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    Served,
    frame::{self, Reply},
    websocket,
};

/// Largest request body: a block's worth of init code in a batch fits many times.
const MAX_BODY: usize = 32 << 20;

/// Answers any request, whatever its path: clients append their own.
pub(super) async fn answer(State(served): State<Served>, request: Request) -> Response {
    let mut response = match *request.method() {
        Method::POST => post(&served, request).await,
        Method::GET => upgrade(served, request).await,
        // What a browser asks before it posts.
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    response
}

async fn post(served: &Served, request: Request) -> Response {
    let Ok(body) = to_bytes(request.into_body(), MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match frame::reply(served, &body, |_| None).await {
        Reply::Text(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Reply::RateLimited => StatusCode::TOO_MANY_REQUESTS.into_response(),
        Reply::Drop => broken(),
    }
}

/// A response that breaks off: its body fails before the first byte.
fn broken() -> Response {
    let failure = io::Error::new(io::ErrorKind::ConnectionReset, "dropped on request");
    let body = futures::stream::once(async { Err::<Vec<u8>, _>(failure) });
    Response::new(Body::from_stream(body))
}

async fn upgrade(served: Served, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &served).await {
        Ok(upgrade) => upgrade
            .max_message_size(MAX_BODY)
            .on_upgrade(move |socket| websocket::converse(served, socket)),
        Err(_) => {
            (StatusCode::METHOD_NOT_ALLOWED, "JSON-RPC: POST, or GET to WebSocket").into_response()
        }
    }
}
