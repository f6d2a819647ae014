use std::future::Future;

use alloy::hex;
use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    response::Response,
};
use tracing::Instrument;

/// Names one request in the answer, in the log and in the header `x-request-id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    /// The id of the request that is being answered; empty outside one.
    pub fn current() -> String {
        CURRENT.try_with(|id| id.0.clone()).unwrap_or_default()
    }

    fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 8]>()))
    }
}

/// Gives every request an id of ours (a caller's could be anything) and logs under it.
pub(super) async fn name<F: Future<Output = Response>>(
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let id = RequestId::random();
    let span = tracing::info_span!(
        "request", id = id.0, method = %request.method(), path = request.uri().path()
    );
    let header = HeaderValue::from_str(&id.0).ok();
    let mut response = CURRENT.scope(id, answer(request)).instrument(span).await;
    if let Some(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}
