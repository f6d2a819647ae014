//! Changed orders are told to whoever asked, whatever the receiver does.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use aggregator::webhooks::{HEADER, sign};
use alloy::primitives::{Address, B256};
use api::{
    Client, ClientError,
    aggregator::{DeliveryState, OrderState, RegisterWebhook, RegisteredWebhook, WebhookEvent},
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::net::TcpListener;

use crate::{
    databases,
    system::{Stage, USER, client, reaches, unix, until},
};

/// What a receiver does with one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Take,
    Fail,
    Hang,
    Break,
}

/// A receiver on loopback that does as told, and takes everything after that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receiver {
    acts: Arc<Mutex<VecDeque<Act>>>,
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

impl Receiver {
    pub(crate) async fn start(acts: impl IntoIterator<Item = Act>) -> (Self, String) {
        let receiver = Self::default();
        receiver.will(acts);
        let router = Router::new().route("/hook", post(receive)).with_state(receiver.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    fn will(&self, acts: impl IntoIterator<Item = Act>) {
        self.acts.lock().unwrap().extend(acts);
    }

    pub(crate) fn got(&self) -> Vec<(HeaderMap, String)> {
        self.got.lock().unwrap().clone()
    }

    /// The states that it was told of, in the order of the first telling.
    pub(crate) fn told(&self) -> Vec<OrderState> {
        let mut seen = Vec::new();
        self.got()
            .iter()
            .map(|(_, body)| serde_json::from_str::<WebhookEvent>(body).unwrap())
            .filter(|event| {
                let new = !seen.contains(&event.id);
                seen.push(event.id.clone());
                new
            })
            .map(|event| event.order.state)
            .collect()
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: String,
) -> Result<(), StatusCode> {
    let act = receiver.acts.lock().unwrap().pop_front().unwrap_or(Act::Take);
    receiver.got.lock().unwrap().push((headers, body));
    match act {
        Act::Take => Ok(()),
        Act::Fail => Err(StatusCode::INTERNAL_SERVER_ERROR),
        Act::Hang => std::future::pending().await,
        // The connection ends without an answer.
        Act::Break => panic!("told to"),
    }
}

pub(crate) async fn register(
    client: &Client,
    url: &str,
    address: Option<Address>,
) -> RegisteredWebhook {
    let webhook = RegisterWebhook { url: url.to_owned(), address };
    client.register_webhook(&webhook).await.unwrap()
}

#[tokio::test]
async fn a_receiver_that_fails_hangs_and_breaks_is_told_in_the_end_and_can_check_it() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let api = client(&aggregator);
        let (receiver, url) = Receiver::start([Act::Fail, Act::Hang, Act::Break]).await;
        let (stranger, elsewhere) = Receiver::start([]).await;
        let hook = register(&api, &url, Some(USER)).await;
        register(&api, &elsewhere, Some(Address::repeat_byte(1))).await;

        let id = B256::repeat_byte(1);
        stage.publish(id, unix() + 600);
        reaches(&api, id, OrderState::Published).await;
        let delivered = until("the delivery", async || {
            let taken = Some(DeliveryState::Delivered);
            api.deliveries(&hook.webhook.id, taken).await.unwrap().deliveries.pop()
        })
        .await;
        assert_eq!((delivered.order_id, delivered.attempts), (id, 4));
        assert_eq!(delivered.order_state, OrderState::Published);

        let got = receiver.got();
        assert_eq!(got.len(), 4);
        for (headers, body) in &got {
            let signature = headers[HEADER].to_str().unwrap();
            let at = signature[2..].split(',').next().unwrap().parse().unwrap();
            assert_eq!(signature, sign(&hook.secret, at, body));
            assert!(unix().abs_diff(at) < 120);
            assert_eq!(headers["metalayer-delivery"].to_str().unwrap(), delivered.id);
            assert_eq!(body, &got[0].1, "every attempt says the same");
        }
        assert_eq!(stranger.got().len(), 0, "the order is none of its creator's");
        aggregator.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_nobody_takes_is_listed_and_can_be_replayed() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let api = client(&aggregator);
        let (receiver, url) = Receiver::start([Act::Fail; 4]).await;
        let hook = register(&api, &url, None).await.webhook.id;
        stage.publish(B256::repeat_byte(2), unix() + 600);
        let dead = until("the delivery to be given up", async || {
            api.deliveries(&hook, Some(DeliveryState::Dead)).await.unwrap().deliveries.pop()
        })
        .await;
        assert_eq!(dead.attempts, 4);
        assert!(dead.last_error.unwrap().contains("500"));

        api.replay(&hook, &dead.id).await.unwrap();
        until("the replay", async || {
            let all = api.deliveries(&hook, None).await.unwrap().deliveries;
            all.iter().all(|it| it.state == DeliveryState::Delivered).then_some(())
        })
        .await;
        assert_eq!(receiver.got().len(), 5);
        let missing = api.replay(&hook, "nothing").await.unwrap_err();
        assert!(matches!(missing, ClientError::Refused { status: StatusCode::NOT_FOUND, .. }));
        api.remove_webhook(&hook).await.unwrap();
        assert!(api.webhooks().await.unwrap().webhooks.is_empty());
        aggregator.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_written_before_a_restart_is_sent_after_it() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let first = stage.aggregator(&database.url, "main", "").await;
        let api = client(&first);
        let (receiver, url) = Receiver::start([Act::Hang]).await;
        let hook = register(&api, &url, None).await.webhook.id;
        stage.publish(B256::repeat_byte(3), unix() + 600);
        until("the first attempt", async || (!receiver.got().is_empty()).then_some(())).await;
        // It goes while the receiver hangs.
        drop(first);

        let second = stage.aggregator(&database.url, "main", "").await;
        let api = client(&second);
        until("the delivery", async || {
            let taken = Some(DeliveryState::Delivered);
            api.deliveries(&hook, taken).await.unwrap().deliveries.pop()
        })
        .await;
        assert_eq!(receiver.told(), [OrderState::Published]);
        second.stop().await.unwrap();
    }
}

#[tokio::test]
async fn webhooks_belong_to_a_key_and_point_into_the_world() {
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let open = stage.aggregator(&database.url, "main", "").await;
    let anonymous = Client::new(format!("http://{}", open.address()).parse().unwrap()).unwrap();
    let register = RegisterWebhook { url: "https://example.com/".into(), address: None };
    let refused = anonymous.register_webhook(&register).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { status: StatusCode::UNAUTHORIZED, .. }));
    let inward = RegisterWebhook { url: "ftp://127.0.0.1/".into(), address: None };
    let refused = client(&open).register_webhook(&inward).await.unwrap_err();
    let ClientError::Refused { detail, .. } = refused else { panic!("{refused}") };
    assert_eq!(detail.field.as_deref(), Some("url"));
    open.stop().await.unwrap();
}
