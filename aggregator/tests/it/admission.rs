//! Who is let in, and what everybody else is told.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use alloy::primitives::{Address, B256};
use api::aggregator::{ErrorBody, ErrorCode, ErrorDetail, OrderState};
use reqwest::{Client, RequestBuilder, header::CONTENT_TYPE};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    databases,
    system::{Stage, client, key_hash, reaches, unix, until},
};

/// What a request is told that gets nothing.
#[derive(Debug)]
struct Refusal {
    status: u16,
    error: ErrorDetail,
    /// Seconds.
    retry_after: Option<u64>,
}

impl Refusal {
    fn kind(&self) -> (u16, ErrorCode) {
        (self.status, self.error.code)
    }
}

/// Let in, and without an answer: nobody has seen such an order.
const LET_IN: (u16, ErrorCode) = (404, ErrorCode::NotFound);

/// Asks for what there is not. Every refusal names its request and is taken for nothing but JSON.
async fn refused(request: RequestBuilder) -> Refusal {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    let ErrorBody { error } = answer.json().await.unwrap();
    assert!(!error.request_id.is_empty());
    assert_eq!(header("x-request-id"), Some(error.request_id.as_str()));
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("x-content-type-options"), Some("nosniff"));
    let retry_after = header("retry-after").map(|seconds| seconds.parse().unwrap());
    Refusal { status, error, retry_after }
}

/// An aggregator, and how it is asked.
struct Door {
    aggregator: aggregator::Handle,
    stage: Stage,
    _database: databases::Database,
    http: Client,
}

impl Door {
    async fn open(change: impl FnOnce(String) -> String) -> Self {
        let (stage, database) = (Stage::set().await, databases::sqlite());
        let aggregator = stage.aggregator_as(&database.url, "main", change).await;
        Self { aggregator, stage, _database: database, http: Client::new() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.aggregator.address())
    }

    /// Asks for an order that there is not.
    fn order(&self) -> RequestBuilder {
        self.http.get(self.url(&format!("/v1/orders/{}", B256::ZERO)))
    }

    /// Asks for quotes with this body.
    fn quotes(&self, body: String) -> RequestBuilder {
        self.http.post(self.url("/v1/quotes")).header(CONTENT_TYPE, "application/json").body(body)
    }

    /// Announces a body that does not come.
    async fn without_body(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.aggregator.address()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
             content-length: 10\r\nexpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Waits until the service says that it serves.
    async fn serves(&self) {
        until("health", async || {
            let answer = self.http.get(self.url("/health")).send().await.unwrap();
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// Where an order that is not final is streamed.
    async fn order_stream(&self) -> String {
        let id = B256::repeat_byte(1);
        self.stage.publish(id, unix() + 600);
        reaches(&client(&self.aggregator), id, OrderState::Published).await;
        self.url(&format!("/v1/orders/{id}/stream"))
    }
}

/// With these keys at the beginning of `[admission]`.
fn admitting(text: &str, keys: &str) -> String {
    text.replace("[admission]", &format!("[admission]\n{keys}"))
}

/// A key for orders, in a configuration that has others.
fn with_key(text: &str, key: &str, more: &str) -> String {
    let table = format!(
        "[[admission.keys]]\nname = {key:?}\nsha256 = \"{}\"\nscopes = [\"orders\"]\n{more}\n",
        key_hash(key)
    );
    text.replacen("[[tokens]]", &(table + "[[tokens]]"), 1)
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_name() {
    let door = Door::open(|text| with_key(&text, "reader", "")).await;
    let with = |request: RequestBuilder, key: &str| refused(request.header("x-api-key", key));
    assert_eq!(with(door.order(), "reader").await.kind(), LET_IN);
    let lacking = with(door.quotes("{}".into()), "reader").await;
    assert_eq!(lacking.kind(), (403, ErrorCode::Forbidden));
    let unknown = with(door.order(), "nobody's").await;
    assert_eq!(unknown.kind(), (401, ErrorCode::Unauthorized));
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_has_a_rate_of_its_own() {
    let door = Door::open(|text| with_key(&text, "slow", "per_second = 1")).await;
    let with = |key: &'static str| refused(door.order().header("x-api-key", key));
    assert_eq!(with("slow").await.kind(), LET_IN);
    let limited = until("the key to be limited", async || {
        let refusal = with("slow").await;
        (refusal.kind() != LET_IN).then_some(refusal)
    })
    .await;
    assert_eq!(limited.kind(), (429, ErrorCode::RateLimited));
    assert!(limited.retry_after >= Some(1), "{limited:?}");
    assert_eq!(with("wallet").await.kind(), LET_IN);
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_key_an_address_has_a_rate_of_its_own() {
    let proxied = "anonymous_per_second = 1\ntrusted_proxies = [\"127.0.0.1\"]";
    let door = Door::open(|text| text.replace("anonymous_per_second = 0", proxied)).await;
    let from = |address: &'static str| refused(door.order().header("x-forwarded-for", address));
    assert_eq!(from("192.0.2.1").await.kind(), LET_IN);
    let limited = until("the address to be limited", async || {
        let refusal = from("192.0.2.1").await;
        (refusal.kind() != LET_IN).then_some(refusal)
    })
    .await;
    assert_eq!(limited.kind(), (429, ErrorCode::RateLimited));
    assert!(limited.retry_after >= Some(1), "{limited:?}");
    assert_eq!(from("192.0.2.2").await.kind(), LET_IN);
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_too_long_is_told_the_limit() {
    let door = Door::open(|text| format!("max_body = 512\n{text}")).await;
    let long = refused(door.quotes(" ".repeat(513))).await;
    assert_eq!(long.kind(), (413, ErrorCode::BodyTooLarge));
    assert!(long.error.message.contains("512"), "{long:?}");
    let empty = refused(door.quotes(" ".repeat(512))).await;
    assert_eq!(empty.kind(), (400, ErrorCode::InvalidRequest));
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_place_a_request_is_told_to_come_again() {
    let full = "concurrency = 0\nqueue_for = \"1ms\"";
    let door = Door::open(|text| admitting(&text, full)).await;
    for request in [door.order(), door.quotes("{}".into())] {
        let refusal = refused(request).await;
        assert_eq!(refusal.kind(), (503, ErrorCode::Overloaded));
        assert_eq!(refusal.retry_after, Some(1));
    }
    // A load balancer has its answer all the same.
    door.serves().await;
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn who_sends_slowly_holds_up_nobody() {
    let few = "concurrency = 1\nqueue = 0\nbody_within = \"600s\"";
    let door = Door::open(|text| admitting(&text, few)).await;
    let mut slow = Vec::new();
    for path in ["/v1/orders", "/v1/orders", "/v1/quotes", "/v1/quotes/stream"] {
        let mut stream = door.without_body(path).await;
        // Its body is waited for.
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0, "{path}");
        }
        assert!(heard.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&heard));
        slow.push(stream);
    }
    assert_eq!(refused(door.order()).await.kind(), LET_IN);
    assert_eq!(refused(door.quotes("{}".into())).await.kind(), (400, ErrorCode::InvalidRequest));
    door.serves().await;
    drop(slow);
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_any_longer() {
    let door = Door::open(|text| admitting(&text, "body_within = \"50ms\"")).await;
    let mut stream = door.without_body("/v1/orders").await;
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    assert!(heard.contains("HTTP/1.1 408 "), "{heard}");
    assert!(heard.contains("\"request_timeout\"") && heard.contains("within 50ms"), "{heard}");
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn the_catalog_has_the_same_limit_and_a_network_is_one_caller() {
    let proxied = "anonymous_per_second = 1\ntrusted_proxies = [\"127.0.0.1\"]";
    let door = Door::open(|text| text.replace("anonymous_per_second = 0", proxied)).await;
    let from = |path: &str, host: usize| {
        let address = format!("2001:db8::{host:x}");
        door.http.get(door.url(path)).header("x-forwarded-for", address).send()
    };
    let host = AtomicUsize::new(1);
    until("the network to be limited", async || {
        let answer = from("/v1/chains", host.fetch_add(1, Relaxed)).await.unwrap();
        (answer.status() == 429).then_some(())
    })
    .await;
    until("health, which is not", async || {
        from("/health", 1).await.unwrap().status().is_success().then_some(())
    })
    .await;
    let other = door.http.get(door.url("/v1/chains")).header("x-forwarded-for", "2001:db8:0:1::1");
    assert_eq!(other.send().await.unwrap().status(), 200);
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_caller_has_so_many_streams_open_and_all_have_so_many() {
    let few = "streams = 2\nstreams_each = 1\ntrusted_proxies = [\"127.0.0.1\"]";
    let door = Door::open(|text| admitting(&text, few)).await;
    let url = door.order_stream().await;
    let from = |address: &'static str| door.http.get(&url).header("x-forwarded-for", address);
    let first = from("192.0.2.1").send().await.unwrap();
    assert_eq!(first.status(), 200);
    let own = refused(from("192.0.2.1")).await;
    assert_eq!(own.kind(), (429, ErrorCode::RateLimited));
    let second = from("192.0.2.2").send().await.unwrap();
    assert_eq!(second.status(), 200);
    let all = refused(from("192.0.2.3")).await;
    assert_eq!(all.kind(), (503, ErrorCode::Overloaded));
    assert!(own.retry_after.is_some() && all.retry_after.is_some());
    drop(first);
    until("the place of the stream that has gone", async || {
        from("192.0.2.3").send().await.unwrap().status().is_success().then_some(())
    })
    .await;
    drop(second);
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_has_lasted_long_says_so_and_ends() {
    let door = Door::open(|text| admitting(&text, "stream_life = \"50ms\"")).await;
    let url = door.order_stream().await;
    let events = door.http.get(url).send().await.unwrap().text().await.unwrap();
    let (order, end) = events.split_once("event: end").unwrap();
    assert!(order.starts_with("event: order"), "{events}");
    assert!(end.contains("retry: "), "{events}");
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_parameter_is_named_with_what_is_expected_and_given() {
    let door = Door::open(|text| text).await;
    let creator = Address::ZERO;
    let cases = [
        ("/v1/orders/xyz".to_owned(), "id", "xyz"),
        ("/v1/orders/xyz/stream".to_owned(), "id", "xyz"),
        ("/v1/orders?address=12".to_owned(), "address", "12"),
        ("/v1/orders?transaction=0x1".to_owned(), "transaction", "0x1"),
        (format!("/v1/orders?address={creator}&limit=abc"), "limit", "abc"),
        (format!("/v1/orders?address={creator}&limit=-1"), "limit", "-1"),
    ];
    for (path, field, given) in cases {
        let fault = refused(door.http.get(door.url(&path))).await;
        assert_eq!(fault.kind(), (400, ErrorCode::InvalidRequest), "{path}");
        assert_eq!(fault.error.field.as_deref(), Some(field), "{path}");
        let message = fault.error.message;
        assert!(message.starts_with(&format!("`{field}`: expected ")), "{message}");
        assert!(message.ends_with(&format!("given {given:?}")), "{message}");
    }
    door.aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_answered_in_the_same_form() {
    let door = Door::open(|text| text).await;
    let nowhere = refused(door.http.get(door.url("/v2/orders"))).await;
    assert_eq!(nowhere.kind(), LET_IN);
    let method = refused(door.http.delete(door.url("/v1/quotes"))).await;
    assert_eq!(method.kind(), (405, ErrorCode::MethodNotAllowed));
    let text = refused(door.http.post(door.url("/v1/quotes")).body("{}")).await;
    assert_eq!(text.kind(), (415, ErrorCode::UnsupportedMediaType));
    let field = refused(door.quotes("{\"origin_chain_id\": \"one\"}".into())).await;
    assert_eq!(field.kind(), (400, ErrorCode::InvalidRequest));
    assert_eq!(field.error.field.as_deref(), Some("origin_chain_id"));
    door.aggregator.stop().await.unwrap();
}
