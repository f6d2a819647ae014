use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header::RETRY_AFTER};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use crate::aggregator::{
    ChainsResponse, DeliveriesResponse, DeliveryState, ErrorBody, ErrorDetail, Order,
    OrdersResponse, ProvidersResponse, Quote, QuoteRequest, QuoteResponse, RegisterWebhook,
    RegisteredWebhook, SubmitOrder, SubmitOrderResponse, TokensResponse, WebhooksResponse,
};

/// How long an answer may take: the longest patience an aggregator is usually configured with, many
/// times over.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one aggregator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<String>,
}

/// Why a request to the aggregator failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The URL cannot have paths below it.
    #[error("{url} is no base URL: expected one such as http://127.0.0.1:8080")]
    Url {
        /// What was given.
        url: Url,
    },
    /// The aggregator could not be reached, or did not answer as this version expects.
    #[error("the aggregator cannot be asked: {0}")]
    Http(#[from] reqwest::Error),
    /// The aggregator refused.
    #[error("the aggregator refused ({status}): {}", detail.message)]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// What it said.
        detail: ErrorDetail,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Somebody else answered, such as a proxy before the aggregator.
    #[error("the aggregator's address answered {status}")]
    Foreign {
        /// HTTP status.
        status: StatusCode,
        /// How long to leave it alone.
        retry_after: Option<Duration>,
    },
}

impl ClientError {
    /// Whether the same request may be taken a moment later: there was no answer, or one that speaks
    /// of the server or of the moment and not of the request. The server may have taken the request
    /// all the same.
    pub fn passes(&self) -> bool {
        match self {
            Self::Url { .. } => false,
            Self::Http(error) => !error.is_builder(),
            Self::Refused { status, .. } | Self::Foreign { status, .. } => {
                // Request timeout, conflict, too many requests.
                status.is_server_error() || [408, 409, 429].contains(&status.as_u16())
            }
        }
    }

    /// How long the server asks to be left alone, where it says so.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Url { .. } | Self::Http(_) => None,
            Self::Refused { retry_after, .. } | Self::Foreign { retry_after, .. } => *retry_after,
        }
    }
}

impl Client {
    /// A client of the aggregator at this base URL.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Http`].
    pub fn new(base: Url) -> Result<Self, ClientError> {
        if base.cannot_be_a_base() {
            return Err(ClientError::Url { url: base });
        }
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { http, base, key: None })
    }

    /// The same client, with an API key.
    #[must_use]
    pub fn with_key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// `POST /v1/quotes`.
    ///
    /// # Errors
    /// [`ClientError`], as of every method.
    pub async fn quote(&self, request: &QuoteRequest) -> Result<QuoteResponse, ClientError> {
        self.post("v1/quotes", request).await
    }

    /// `POST /v1/orders`: says that the quote is being executed, by this transaction if it was sent.
    pub async fn submit(
        &self,
        quote: Quote,
        transaction: Option<B256>,
    ) -> Result<SubmitOrderResponse, ClientError> {
        self.post("v1/orders", &SubmitOrder { quote, transaction, signature: None }).await
    }

    /// `POST /v1/orders`: hands over what the quote's signature step asked for.
    pub async fn submit_signed(
        &self,
        quote: Quote,
        signature: Bytes,
    ) -> Result<SubmitOrderResponse, ClientError> {
        let signature = Some(signature);
        self.post("v1/orders", &SubmitOrder { quote, transaction: None, signature }).await
    }

    /// `POST /v1/webhooks`: tells a URL of every change of an order's state.
    pub async fn register_webhook(
        &self,
        webhook: &RegisterWebhook,
    ) -> Result<RegisteredWebhook, ClientError> {
        self.post("v1/webhooks", webhook).await
    }

    /// `GET /v1/webhooks`.
    pub async fn webhooks(&self) -> Result<WebhooksResponse, ClientError> {
        self.get("v1/webhooks").await
    }

    /// `DELETE /v1/webhooks/{id}`; what is still to be delivered is dropped.
    pub async fn remove_webhook(&self, id: &str) -> Result<(), ClientError> {
        let path = format!("v1/webhooks/{id}");
        done(self.request(Method::DELETE, &path)?.send().await?).await
    }

    /// `GET /v1/webhooks/{id}/deliveries`, those in one state when it is given.
    pub async fn deliveries(
        &self,
        id: &str,
        state: Option<DeliveryState>,
    ) -> Result<DeliveriesResponse, ClientError> {
        let state = match state {
            None => "",
            Some(DeliveryState::Pending) => "?state=pending",
            Some(DeliveryState::Delivered) => "?state=delivered",
            Some(DeliveryState::Dead) => "?state=dead",
        };
        self.get(&format!("v1/webhooks/{id}/deliveries{state}")).await
    }

    /// `POST /v1/webhooks/{id}/deliveries/{delivery}/replay`: tries it again from the start.
    pub async fn replay(&self, id: &str, delivery: &str) -> Result<(), ClientError> {
        let path = format!("v1/webhooks/{id}/deliveries/{delivery}/replay");
        done(self.request(Method::POST, &path)?.send().await?).await
    }

    /// `GET /v1/orders/{id}`; `None` when the aggregator has not seen it.
    pub async fn order(&self, id: B256) -> Result<Option<Order>, ClientError> {
        match self.get(&format!("v1/orders/{id}")).await {
            Ok(order) => Ok(Some(order)),
            Err(ClientError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `GET /v1/orders?transaction=`: the orders that a transaction took part in.
    pub async fn orders_of_transaction(&self, hash: B256) -> Result<Vec<Order>, ClientError> {
        let page: OrdersResponse = self.get(&format!("v1/orders?transaction={hash}")).await?;
        Ok(page.orders)
    }

    /// `GET /v1/orders?address=`: a page of a creator's orders, newest first.
    pub async fn orders_of(
        &self,
        creator: Address,
        cursor: Option<&str>,
    ) -> Result<OrdersResponse, ClientError> {
        let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        self.get(&format!("v1/orders?address={creator}{cursor}")).await
    }

    /// `GET /v1/chains`.
    pub async fn chains(&self) -> Result<ChainsResponse, ClientError> {
        self.get("v1/chains").await
    }

    /// `GET /v1/tokens`.
    pub async fn tokens(&self) -> Result<TokensResponse, ClientError> {
        self.get("v1/tokens").await
    }

    /// `GET /v1/providers`.
    pub async fn providers(&self) -> Result<ProvidersResponse, ClientError> {
        self.get("v1/providers").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        answer(self.request(Method::GET, path)?.send().await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        answer(self.request(Method::POST, path)?.json(body).send().await?).await
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, ClientError> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}/{path}"))
            .map_err(|_| ClientError::Url { url: self.base.clone() })?;
        let request = self.http.request(method, url);
        Ok(match &self.key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        })
    }
}

async fn answer<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
    Ok(accepted(response).await?.json().await?)
}

/// For answers without a body.
async fn done(response: Response) -> Result<(), ClientError> {
    accepted(response).await.map(drop)
}

async fn accepted(response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = seconds(&response).map(Duration::from_secs);
    let body = response.bytes().await?;
    Err(match serde_json::from_slice(&body) {
        Ok(ErrorBody { error: detail }) => ClientError::Refused { status, detail, retry_after },
        Err(_) => ClientError::Foreign { status, retry_after },
    })
}

/// `Retry-After` in seconds; its other form, a date, is not used by the aggregator.
fn seconds(response: &Response) -> Option<u64> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
