use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Every error answer of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable, for programs.
    pub code: ErrorCode,
    /// One sentence, for people.
    pub message: String,
    /// The field of the request that is wrong, when one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Names this request in the server's log.
    pub request_id: String,
}

/// Stable error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A field is missing or has a wrong value.
    InvalidRequest,
    /// The API key is missing or unknown.
    Unauthorized,
    /// The API key lacks the scope for this path.
    Forbidden,
    /// No such resource.
    NotFound,
    /// The method is not allowed on this path.
    MethodNotAllowed,
    /// The body did not come in time.
    RequestTimeout,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The content type is not JSON.
    UnsupportedMediaType,
    /// The quote was changed after it was given.
    QuoteChanged,
    /// The quote has expired.
    QuoteExpired,
    /// The transaction is not the quote's.
    TransactionMismatch,
    /// The origin does not know the transaction yet: wait as `Retry-After` says.
    TransactionUnknown,
    /// The solver refuses the signed order.
    OrderRefused,
    /// Too many requests: wait as `Retry-After` says.
    RateLimited,
    /// Too many requests at once: wait as `Retry-After` says.
    Overloaded,
    /// A chain or the database cannot be reached.
    Unavailable,
    /// Our fault; the log has the cause under the request id.
    Internal,
}
