use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::{AddressText, HashText};

use super::{Order, OrderState};

/// `POST /v1/webhooks`: tells a URL of every change of an order's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterWebhook {
    /// Where to `POST` a [`WebhookEvent`]; `https`, and not an address of a private network.
    #[schema(example = "https://wallet.example/hooks/metalayer", max_length = 2048)]
    pub url: String,
    /// Only orders of this creator; all orders when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub address: Option<Address>,
}

/// A webhook with its secret, which is not shown again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegisteredWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// Key of the signatures, hexadecimal. Each delivery has the header
    /// `metalayer-signature: t=<unix seconds>,v1=<hex>` with HMAC-SHA256 of `<unix seconds>.<body>`
    /// under the bytes of this text.
    pub secret: String,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its name on this server.
    pub id: String,
    /// Where deliveries go.
    pub url: String,
    /// Only orders of this creator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub address: Option<Address>,
    /// Unix seconds of its registration.
    pub created_at: u64,
}

/// `GET /v1/webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhooksResponse {
    /// The webhooks of this API key.
    pub webhooks: Vec<Webhook>,
}

/// What is posted to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookEvent {
    /// The same in every attempt: whoever has seen it may ignore it.
    pub id: String,
    /// The order as it stood when its state changed. Changes that were seen at once are told once: `order.events` holds
    /// them all.
    pub order: Order,
}

/// `GET /v1/webhooks/{id}/deliveries`: newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveriesResponse {
    /// At most 100.
    pub deliveries: Vec<Delivery>,
}

/// One event on its way to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Name of the event.
    pub id: String,
    /// The order.
    #[schema(value_type = HashText)]
    pub order_id: B256,
    /// The state that the event tells of.
    pub order_state: OrderState,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u64,
    /// What the last attempt met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Unix seconds of the change of state.
    pub created_at: u64,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, or tried again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was tried as often as it ever will be, unless somebody replays it.
    Dead,
}

impl DeliveryState {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Dead].into_iter().find(|state| state.name() == name)
    }
}
