//! Asking a stranger's HTTP service: bounded, without redirects, and never trusted to be JSON.

use api::{aggregator::UnavailableReason, solver::Problem};
use hyper::StatusCode;
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::{
    Decline,
    remote::{Fault, Remote},
};

/// Longest answer that is read: a dozen quotes fit many times over.
const MAX_ANSWER: usize = 256 * 1024;

/// A client for what is handed over now and then.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()
}

/// Posts a question and reads the answer.
pub(super) async fn post<T: DeserializeOwned>(
    remote: &Remote,
    question: &(impl Serialize + Sync),
) -> Result<T, Decline> {
    let question = serde_json::to_vec(question).map_err(|error| {
        Decline::new(UnavailableReason::Error, format!("the question cannot be written: {error}"))
    })?;
    let (status, body) = remote.post(question.into(), MAX_ANSWER).await.map_err(|fault| {
        let reason = match fault {
            Fault::TooLong(_) => UnavailableReason::Rejected,
            Fault::Connect(_) | Fault::Http(_) => UnavailableReason::Error,
        };
        Decline::new(reason, format!("it cannot be asked: {fault}"))
    })?;
    if !status.is_success() {
        let decline = Decline::new(UnavailableReason::Error, format!("it answered {status}"));
        return Err(Decline { by_request: is_about_the_question(status), ..decline });
    }
    serde_json::from_slice(&body).map_err(|error| {
        Decline::new(UnavailableReason::Rejected, format!("its answer is malformed: {error}"))
    })
}

/// Whether a status blames what was asked, such as calls that are longer than it reads: the next
/// question may be another.
fn is_about_the_question(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    )
}

/// Posts something that is taken, or refused with a [`Problem`].
pub(super) async fn hand_over(
    http: &reqwest::Client,
    url: &Url,
    order: &(impl Serialize + Sync),
) -> Result<(), Decline> {
    let mut response = http.post(url.clone()).json(order).send().await.map_err(unreachable)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let problem = serde_json::from_slice::<Problem>(&read(&mut response).await?);
    let message = problem.map_or_else(|_| format!("it answered {status}"), |it| it.message);
    // Too many now may be few enough in a moment.
    let is_refused = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
    let reason = if is_refused { UnavailableReason::Rejected } else { UnavailableReason::Error };
    Err(Decline::new(reason, message))
}

/// The URL may hold a key: it stays out of the message.
fn unreachable(error: reqwest::Error) -> Decline {
    let message = format!("it cannot be asked: {}", error.without_url());
    Decline::new(UnavailableReason::Error, message)
}

async fn read(response: &mut reqwest::Response) -> Result<Vec<u8>, Decline> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unreachable)? {
        if body.len() + part.len() > MAX_ANSWER {
            let message = format!("its answer is longer than {MAX_ANSWER} bytes");
            return Err(Decline::new(UnavailableReason::Rejected, message));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
