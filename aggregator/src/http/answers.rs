//! The refusals that many routes share, for the API's description.

use api::aggregator::ErrorBody;
use utoipa::IntoResponses;

/// Every route behind admission.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers, which `ApiError` makes")]
pub(super) enum Refused {
    /// A field or parameter is wrong
    #[response(status = 400)]
    Invalid(ErrorBody),
    /// The API key is missing or not known
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// The API key lacks the scope for this path
    #[response(status = 403)]
    Forbidden(ErrorBody),
    /// Too many requests: wait as `Retry-After` says
    #[response(status = 429)]
    RateLimited(ErrorBody),
    /// Too many requests at once, or a part is away: wait as `Retry-After` says
    #[response(status = 503)]
    Overloaded(ErrorBody),
}

/// Routes that are open to everybody.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers, which `ApiError` makes")]
pub(super) enum Limited {
    /// Too many requests: wait as `Retry-After` says
    #[response(status = 429)]
    RateLimited(ErrorBody),
    /// Too many requests at once: wait as `Retry-After` says
    #[response(status = 503)]
    Overloaded(ErrorBody),
}

/// Routes that take a body.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers, which `ApiError` makes")]
pub(super) enum BodyRefused {
    /// The body did not come in time
    #[response(status = 408)]
    TooSlow(ErrorBody),
    /// The body is too large
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// The body is not JSON
    #[response(status = 415)]
    NotJson(ErrorBody),
}

/// Routes about one thing.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers, which `ApiError` makes")]
pub(super) enum Missing {
    /// There is no such thing
    #[response(status = 404)]
    NotFound(ErrorBody),
}
