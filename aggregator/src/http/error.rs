use api::aggregator::{ErrorBody, ErrorCode, ErrorDetail};
use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{CONNECTION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use chain::client;

use super::RequestId;
use crate::{
    orders::{SignatureFault, StoreError, TransactionFault},
    quoting::{InvalidField, RefusedQuote},
};

/// An error answer. The cause of an internal one is in the log, under the request id, and not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// For programs; the status follows from it.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// The field of the request that is wrong.
    pub field: Option<String>,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// An error without field.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, retry_after: None }
    }

    /// A wrong field of the request.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let field = Some(field.into());
        Self { field, ..Self::new(ErrorCode::InvalidRequest, message) }
    }

    /// Our fault: logs the cause and says nothing of it.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::new(ErrorCode::Internal, "an error of ours; the log has it under the request id")
    }

    /// The origin does not answer: logs the cause.
    fn chain_away(cause: &client::Error) -> Self {
        tracing::warn!(%cause, "the origin cannot be asked");
        Self::new(ErrorCode::Unavailable, "the origin chain cannot be asked now").retry_after(1)
    }

    /// The same error, with a time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    const fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::InvalidRequest
            | ErrorCode::QuoteChanged
            | ErrorCode::TransactionMismatch => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::TransactionUnknown => StatusCode::CONFLICT,
            ErrorCode::OrderRefused => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::QuoteExpired => StatusCode::GONE,
            ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Overloaded | ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: self.message.clone(),
                field: self.field.clone(),
                request_id: RequestId::current(),
            },
        };
        let mut response = (self.status(), Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == ErrorCode::RequestTimeout {
            // The rest of the body may still come, and is no request.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<InvalidField> for ApiError {
    fn from(invalid: InvalidField) -> Self {
        Self::field(invalid.field, invalid.to_string())
    }
}

impl From<RefusedQuote> for ApiError {
    fn from(refused: RefusedQuote) -> Self {
        let code = match refused {
            RefusedQuote::Changed => ErrorCode::QuoteChanged,
            RefusedQuote::Expired { .. } => ErrorCode::QuoteExpired,
        };
        Self { field: Some("quote".into()), ..Self::new(code, refused.to_string()) }
    }
}

impl From<TransactionFault> for ApiError {
    fn from(fault: TransactionFault) -> Self {
        let about_it =
            |code| Self { field: Some("transaction".into()), ..Self::new(code, fault.to_string()) };
        match fault {
            TransactionFault::Unknown { .. } => {
                about_it(ErrorCode::TransactionUnknown).retry_after(1)
            }
            TransactionFault::Foreign { .. } | TransactionFault::Reverted { .. } => {
                about_it(ErrorCode::TransactionMismatch)
            }
            TransactionFault::Chain(cause) => Self::chain_away(&cause),
        }
    }
}

impl From<SignatureFault> for ApiError {
    fn from(fault: SignatureFault) -> Self {
        match fault {
            SignatureFault::Malformed { .. }
            | SignatureFault::Foreign { .. }
            | SignatureFault::Refused { .. } => Self::field("signature", fault.to_string()),
            SignatureFault::Chain(cause) => Self::chain_away(&cause),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}
