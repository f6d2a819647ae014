//! Asking a stranger's HTTP service: bounded, without redirects, and never trusted to be JSON.

use api::aggregator::UnavailableReason;
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::Decline;

/// Longest answer that is read: a dozen quotes fit many times over.
const MAX_ANSWER: usize = 256 * 1024;

/// A client whose connections are kept for the next question.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(512)
        .build()
}

/// Posts a question and reads the answer.
pub(super) async fn post<T: DeserializeOwned>(
    http: &reqwest::Client,
    url: &Url,
    question: &(impl Serialize + Sync),
) -> Result<T, Decline> {
    // The URL may hold a key: it stays out of the message.
    let unreachable = |error: reqwest::Error| {
        Decline::new(
            UnavailableReason::Error,
            format!("it cannot be asked: {}", error.without_url()),
        )
    };
    let mut response = http.post(url.clone()).json(question).send().await.map_err(unreachable)?;
    if !response.status().is_success() {
        let message = format!("it answered {}", response.status());
        return Err(Decline::new(UnavailableReason::Error, message));
    }
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unreachable)? {
        if body.len() + part.len() > MAX_ANSWER {
            let message = format!("its answer is longer than {MAX_ANSWER} bytes");
            return Err(Decline::new(UnavailableReason::Rejected, message));
        }
        body.extend_from_slice(&part);
    }
    serde_json::from_slice(&body).map_err(|error| {
        Decline::new(UnavailableReason::Rejected, format!("its answer is malformed: {error}"))
    })
}
