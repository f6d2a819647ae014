//! Parameters of paths and queries. A fault names the parameter, what is expected and what was given.

use alloy::primitives::B256;
use api::aggregator::ErrorCode;
use axum::{
    extract::{FromRequestParts, Path, path::ErrorKind, rejection::PathRejection},
    http::request::Parts,
};
use protocol::ids::IntentHash;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::ApiError;

/// Query parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueryParams<T>(pub(super) T);

/// Path parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathParam<T>(pub(super) T);

/// The path parameter `id` of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrderId(pub(super) IntentHash);

/// Parameters that a query may have.
pub(super) trait Parameters: DeserializeOwned {
    /// The name of each, and what is expected of it.
    const EXPECTED: &'static [(&'static str, &'static str)];
}

impl<S: Send + Sync, T: Parameters> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse<T: Parameters>(query: &str) -> Result<T, ApiError> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let deserializer = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let name = error.path().to_string();
        wrong::<T>(query, &name, &error.into_inner().to_string())
    })
}

/// The answer to a parameter of this name that cannot be read.
fn wrong<T: Parameters>(query: &str, name: &str, cause: &str) -> ApiError {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut given = pairs.filter(|(key, _)| key == name).map(|(_, value)| value);
    let known = T::EXPECTED.iter().find(|(known, _)| *known == name);
    match (known, given.next(), given.next()) {
        (Some((_, expected)), Some(given), None) => {
            ApiError::field(name, format!("`{name}`: expected {expected}, given {given:?}"))
        }
        (Some(_), _, Some(_)) => {
            ApiError::field(name, format!("`{name}`: expected once, given several times"))
        }
        (None, Some(_), _) => ApiError::field(name, format!("`{name}`: {cause}")),
        (_, None, _) => ApiError::new(ErrorCode::InvalidRequest, cause),
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParam<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = Path::from_request_parts(parts, state).await;
        params.map(|Path(params)| Self(params)).map_err(|rejection| unreadable(&rejection))
    }
}

/// The answer to a path whose parameters are no text.
fn unreadable(rejection: &PathRejection) -> ApiError {
    if let PathRejection::FailedToDeserializePathParams(failed) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = failed.kind()
    {
        let message = format!("`{key}`: expected UTF-8, given other bytes");
        return ApiError::field(key.clone(), message);
    }
    ApiError::new(ErrorCode::InvalidRequest, rejection.body_text())
}

impl<S: Send + Sync> FromRequestParts<S> for OrderId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let PathParam(text) = PathParam::<String>::from_request_parts(parts, state).await?;
        let id = text.parse::<B256>().map_err(|_| {
            let expected = "0x and 64 hexadecimal digits";
            ApiError::field("id", format!("`id`: expected {expected}, given {text:?}"))
        })?;
        Ok(Self(id.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Paging {
        limit: Option<u32>,
        cursor: Option<String>,
    }

    impl Parameters for Paging {
        const EXPECTED: &'static [(&'static str, &'static str)] =
            &[("limit", "a number"), ("cursor", "a cursor")];
    }

    fn fault(query: &str) -> (Option<String>, String) {
        let error = parse::<Paging>(query).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        (error.field, error.message)
    }

    #[test]
    fn a_wrong_parameter_is_named_with_what_is_expected_and_given() {
        let read = parse::<Paging>("limit=7&cursor=a%20b").unwrap();
        assert_eq!(read, Paging { limit: Some(7), cursor: Some("a b".into()) });

        let (field, message) = fault("cursor=x&limit=abc");
        assert_eq!(field.as_deref(), Some("limit"));
        assert_eq!(message, "`limit`: expected a number, given \"abc\"");
        let (_, message) = fault("limit=1&limit=2");
        assert!(!message.contains("expected a number"), "{message}");
        let (field, message) = fault("colour=red");
        assert_eq!(field.as_deref(), Some("colour"));
        assert!(message.contains("`limit`"), "the names that there are: {message}");
    }
}
