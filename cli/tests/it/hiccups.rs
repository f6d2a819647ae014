//! Servers that answer badly, between `metalayer send` and a system that works: no money is lost.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use eyre::{OptionExt, ensure};
use serde_json::Value;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::binary::{Running, complaint, free_base, metalayer, result, until};

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    /// It is answered.
    Answered,
    /// It arrives, and its answer does not.
    Lost,
    /// It does not arrive; this is answered instead.
    Refused(StatusCode, &'static str),
}

const PROXY: Fate = Fate::Refused(StatusCode::BAD_GATEWAY, "<html>of a proxy</html>");
const BUSY: Fate = Fate::Refused(
    StatusCode::TOO_MANY_REQUESTS,
    r#"{"error":{"code":"rate_limited","message":"slower","request_id":"1"}}"#,
);
const EXPIRED: Fate = Fate::Refused(
    StatusCode::GONE,
    r#"{"error":{"code":"quote_expired","message":"too late","request_id":"2"}}"#,
);

/// Decides by method, path and body.
type Decide = dyn Fn(&Method, &str, &str) -> Fate + Send + Sync;

/// A server before another one. Dropping it ends it.
struct Proxy {
    url: String,
    _runtime: Runtime,
}

struct Inner {
    behind: String,
    http: reqwest::Client,
    decide: Box<Decide>,
}

impl Proxy {
    fn before(
        behind: &str,
        decide: impl Fn(&Method, &str, &str) -> Fate + Send + Sync + 'static,
    ) -> eyre::Result<Self> {
        let behind = behind.trim_end_matches('/').to_owned();
        let inner = Inner { behind, http: reqwest::Client::new(), decide: Box::new(decide) };
        let router = Router::new().fallback(answer).with_state(Arc::new(inner));
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, _runtime: runtime })
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let fate = (inner.decide)(&parts.method, path, &String::from_utf8_lossy(&body));
    if let Fate::Refused(status, text) = fate {
        return (status, [(RETRY_AFTER, "0")], text).into_response();
    }
    match (inner.forward(parts.method, path, body).await, fate) {
        (Ok((status, body)), Fate::Answered) => {
            (status, [(CONTENT_TYPE, "application/json")], body).into_response()
        }
        _ => StatusCode::BAD_GATEWAY.into_response(),
    }
}

impl Inner {
    async fn forward(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> reqwest::Result<(StatusCode, Bytes)> {
        let request = self.http.request(method, format!("{}{path}", self.behind));
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await?;
        Ok((answer.status(), answer.bytes().await?))
    }
}

#[test]
fn a_transfer_outlives_every_hiccup_of_the_aggregator_and_of_the_node() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let port_base = free_base()?.to_string();
    let arguments = ["up", "--port-base", &port_base, "--json", "--stop-with-stdin"];
    let up = Running::start(&mut metalayer(&arguments, home.path()))?;
    let api = up.result["api"].as_str().ok_or_eyre("no address")?;

    an_escrow_is_followed_though_its_announcement_fails(home.path(), api)?;
    a_lost_answer_opens_no_second_order(home.path(), api)?;
    a_node_that_answers_badly_is_asked_again(home.path(), &up.result)?;
    an_error_names_all_that_is_needed_to_go_on(home.path(), api)?;
    up.stop()
}

fn an_escrow_is_followed_though_its_announcement_fails(home: &Path, api: &str) -> eyre::Result<()> {
    let asked = AtomicUsize::new(0);
    let proxy = Proxy::before(api, move |method, path, _| {
        if !path.starts_with("/v1/orders") {
            return Fate::Answered;
        }
        match (method, asked.fetch_add(1, Ordering::Relaxed)) {
            (&Method::POST, 0) => PROXY,
            (&Method::POST, _) => EXPIRED,
            (_, count) => [BUSY, PROXY, Fate::Lost, Fate::Answered][count % 4],
        }
    })?;
    let sent = send(home, &["0.1", "ETH", "--api", &proxy.url])?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");
    Ok(())
}

fn a_lost_answer_opens_no_second_order(home: &Path, api: &str) -> eyre::Result<()> {
    let before = orders(home)?;
    let handed_over = AtomicUsize::new(0);
    let proxy = Proxy::before(api, move |method, path, _| {
        let is_first = || handed_over.fetch_add(1, Ordering::Relaxed) == 0;
        let is_lost = method == Method::POST && path == "/v1/orders" && is_first();
        if is_lost { Fate::Lost } else { Fate::Answered }
    })?;
    let sent = send(home, &["20", "TT", "--gasless", "--api", &proxy.url])?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");
    assert_eq!(orders(home)?, before + 1);
    Ok(())
}

fn a_node_that_answers_badly_is_asked_again(home: &Path, system: &Value) -> eyre::Result<()> {
    let before = orders(home)?;
    let rpc = system["chains"][0]["rpc"].as_str().ok_or_eyre("no chain")?;
    let (taken, looked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let proxy = Proxy::before(rpc, move |_, _, body| {
        if body.contains("eth_sendRawTransaction") && taken.fetch_add(1, Ordering::Relaxed) == 0 {
            return Fate::Lost;
        }
        // More often than one question is repeated by the client.
        let is_look = body.contains("eth_getTransactionReceipt");
        if is_look && looked.fetch_add(1, Ordering::Relaxed) < 6 { PROXY } else { Fate::Answered }
    })?;
    let path = system["manifest"].as_str().ok_or_eyre("no manifest")?;
    let text = std::fs::read_to_string(path)?;
    let shown = text.replace(rpc.trim_end_matches('/'), &proxy.url);
    ensure!(shown != text, "{rpc} is not in {text}");
    let manifest = home.join("manifest-before-a-proxy.json");
    std::fs::write(&manifest, shown)?;
    let manifest = manifest.display().to_string();
    let sent = send(home, &["0.1", "ETH", "--manifest", &manifest])?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");
    assert_eq!(sent["transactions"].as_array().map(Vec::len), Some(1), "{sent}");
    assert_eq!(orders(home)?, before + 1);
    Ok(())
}

fn an_error_names_all_that_is_needed_to_go_on(home: &Path, api: &str) -> eyre::Result<()> {
    let proxy = Proxy::before(api, orders_are_away)?;
    let arguments = ["send", "0.1", "ETH", "--timeout", "2s", "--api", &proxy.url];
    let told = complaint(&mut metalayer(&arguments, home))?;
    let id = told.lines().find_map(|line| line.strip_prefix("error: order "));
    let id = id.and_then(|text| text.split(' ').next()).ok_or_else(|| eyre::eyre!("{told}"))?;
    for words in ["publish: transaction 0x", "metalayer status 0x", "metalayer refund 0x"] {
        ensure!(told.contains(words), "{words}: {told}");
    }
    // It was told before the first step too: whoever is killed from there on can look for it.
    let order = told.find(&format!("{id}\n")).ok_or_eyre("no order")?;
    ensure!(told.find("publish ").is_some_and(|step| order < step), "{told}");
    until("the order to be settled", || {
        let status = metalayer(&["status", id, "--json"], home).output()?;
        let order: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        Ok((order["state"] == "settled").then_some(()))
    })
}

fn orders_are_away(_: &Method, path: &str, _: &str) -> Fate {
    if path.starts_with("/v1/orders") { PROXY } else { Fate::Answered }
}

fn send(home: &Path, what: &[&str]) -> eyre::Result<Value> {
    result(&mut metalayer(&[&["send", "--json"], what].concat(), home))
}

/// How many orders the default account has.
fn orders(home: &Path) -> eyre::Result<usize> {
    let history = result(&mut metalayer(&["history", "--json"], home))?;
    Ok(history["orders"].as_array().ok_or_eyre("no orders")?.len())
}
