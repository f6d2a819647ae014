use api::aggregator::ErrorCode;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection},
    http::{StatusCode, header::CONTENT_TYPE, request::Parts},
};
use serde::de::DeserializeOwned;

use super::ApiError;

/// A JSON body. A fault names the field.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

/// Query parameters. A fault is answered in the API's form.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueryParams<T>(pub(super) T);

/// A path parameter. A fault is answered in the API's form.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathParam<T>(pub(super) T);

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
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        parse(&body).map(Self)
    }
}

fn unreadable(rejection: BytesRejection) -> ApiError {
    let code = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        _ => ErrorCode::InvalidRequest,
    };
    ApiError::new(code, rejection.body_text())
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

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(params) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        Ok(Self(params))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParam<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(param) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        Ok(Self(param))
    }
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
