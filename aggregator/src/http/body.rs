//! Bodies of requests: read to their end before anything else is done, and parsed where they are used.

use std::time::Duration;

use api::aggregator::ErrorCode;
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::header::CONTENT_TYPE,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::ApiError;

/// A JSON body. A fault names the field.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits {
    /// Most bytes.
    pub(super) most: usize,
    /// The last of them has come by then.
    pub(super) within: Duration,
}

impl BodyLimits {
    /// The request with the whole of its body.
    ///
    /// # Errors
    /// [`ErrorCode::BodyTooLarge`], [`ErrorCode::RequestTimeout`], or [`ErrorCode::InvalidRequest`]
    /// when the body breaks off.
    pub(super) async fn read(self, request: Request) -> Result<Request, ApiError> {
        let (parts, body) = request.into_parts();
        if body.is_end_stream() {
            return Ok(Request::from_parts(parts, body));
        }
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.most {
            return Err(self.too_large());
        }
        let reading = tokio::time::timeout(self.within, Limited::new(body, self.most).collect());
        let read = reading.await.map_err(|_| self.too_slow())?;
        let body = read.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return self.too_large();
            }
            let message = format!("`body`: expected all of it, given a part: {error}");
            ApiError::new(ErrorCode::InvalidRequest, message)
        })?;
        Ok(Request::from_parts(parts, Body::from(body.to_bytes())))
    }

    fn too_large(self) -> ApiError {
        let message = format!("`body`: expected at most {} bytes, given more", self.most);
        ApiError::new(ErrorCode::BodyTooLarge, message)
    }

    fn too_slow(self) -> ApiError {
        let message = format!("`body`: expected all of it within {:?}, given a part", self.within);
        ApiError::new(ErrorCode::RequestTimeout, message)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_json = kind.is_some_and(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json")
        });
        if !is_json {
            return Err(ApiError::new(
                ErrorCode::UnsupportedMediaType,
                format!(
                    "`content-type`: expected application/json, given {}",
                    kind.unwrap_or("none")
                ),
            ));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body
            .map_err(|rejection| ApiError::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        parse(&body).map(Self)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // The path of a fault costs as much as the reading: it is looked for when there is one.
    serde_json::from_slice(body).or_else(|_| parse_slowly(body))
}

fn parse_slowly<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let message = error.into_inner().to_string();
        if field == "." {
            ApiError::new(ErrorCode::InvalidRequest, message)
        } else {
            ApiError::field(field.clone(), format!("`{field}`: {message}"))
        }
    })?;
    json.end().map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use api::aggregator::QuoteRequest;

    use super::*;

    #[test]
    fn a_wrong_field_is_named() {
        let error = parse::<QuoteRequest>(br#"{"origin_chain_id": "one"}"#).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("origin_chain_id"));
        let error = parse::<QuoteRequest>(br#"{"origin_chain_id": 1, "colour": 2}"#).unwrap_err();
        assert_eq!(error.field.as_deref(), Some("colour"));
        assert!(parse::<u64>(b"1 2").is_err(), "nothing may follow the value");
        assert!(parse::<u64>(b"{").is_err());
    }
}
