//! Prices that the market makes: values follow them, and are left out while nobody is believed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use aggregator::Handle;
use api::aggregator::{AmountRequest, FeeKind};
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    databases, limits,
    providers::{BRIDGE, Behaviour, CHAIN_A, CHAIN_B, Standin},
    system::{Stage, client, unix, until},
};

/// A thousandth of it is what the fair provider keeps.
const SENT: u64 = 1_000_000_000_000_000_000;

/// A source of one price.
#[derive(Debug, Default)]
struct Exchange {
    dollars: AtomicU64,
    stalled: AtomicBool,
}

impl Exchange {
    fn document(&self) -> Value {
        let time = if self.stalled.load(Ordering::SeqCst) { 1 } else { unix() };
        json!({ "price": self.dollars.load(Ordering::SeqCst), "time": time })
    }

    /// Serves the price until the test's runtime ends; the URL.
    async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let exchange = Arc::clone(self);
        let router = Router::new().route("/", get(async move || Json(exchange.document())));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/")
    }
}

/// Where ether has the price that the exchange says.
fn configuration(exchange: &str, provider: &Standin) -> String {
    let mut text = format!(
        "[cache]\noffers = \"0s\"\n\
         [prices]\nminimum_sources = 1\nrefresh = \"50ms\"\njump_hold = \"0s\"\n\
         [[prices.sources]]\nname = \"exchange\"\nkind = \"http\"\n\
         urls = {{ ETH = \"{exchange}\" }}\nprice_pointer = \"/price\"\ntime_pointer = \"/time\"\n\
         [[providers]]\nname = \"fair\"\nurl = \"{}\"\n\
         [[providers.contracts]]\nchain_id = {CHAIN_A}\naddress = \"{BRIDGE}\"\n",
        provider.url()
    );
    for chain_id in [CHAIN_A, CHAIN_B] {
        text += &format!(
            "[[tokens]]\nchain_id = {chain_id}\nsymbol = \"ETH\"\ndecimals = 18\nprice = \"ETH\"\n"
        );
    }
    text
}

/// What the provider keeps of the one quote that there is, in dollars and cents.
async fn kept(aggregator: &Handle) -> Option<String> {
    let request = limits::request(AmountRequest::ExactInput(SENT.into()));
    let answer = client(aggregator).quote(&request).await.unwrap();
    assert_eq!(answer.quotes.len(), 1, "prices or not: {answer:?}");
    let fees = &answer.quotes[0].fees;
    let fee = fees.iter().find(|fee| fee.kind == FeeKind::Provider).unwrap();
    fee.usd.map(|usd| format!("{usd:.2}"))
}

async fn keeps(aggregator: &Handle, usd: Option<&str>) {
    until(&format!("a fee of {usd:?} dollars"), async || {
        (kept(aggregator).await.as_deref() == usd).then_some(())
    })
    .await;
}

/// What `/health` says of the prices, where they are a reason to be degraded, and no more than that.
async fn complaint(aggregator: &Handle) -> Option<String> {
    let url = format!("http://{}/health", aggregator.address());
    let answer = reqwest::get(url).await.unwrap();
    let serves = answer.status() == reqwest::StatusCode::OK;
    let parts: Value = answer.json().await.unwrap();
    let prices = parts["prices"].as_str().unwrap().to_owned();
    (serves && parts["status"] == "degraded" && prices != "ok").then_some(prices)
}

#[tokio::test]
async fn values_follow_the_market_and_are_left_out_while_nobody_is_believed() {
    let exchange = Arc::new(Exchange::default());
    exchange.dollars.store(2_000, Ordering::SeqCst);
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let more = configuration(&exchange.serve().await, &fair);
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", &more).await;

    assert_eq!(kept(&aggregator).await.as_deref(), Some("2.00"), "known from the first quote on");
    exchange.dollars.store(3_000, Ordering::SeqCst);
    keeps(&aggregator, Some("3.00")).await;

    exchange.stalled.store(true, Ordering::SeqCst);
    keeps(&aggregator, None).await;
    let words = until("health to say so", async || complaint(&aggregator).await).await;
    assert!(words.starts_with("ETH: 0 fresh sources"), "{words}");

    exchange.stalled.store(false, Ordering::SeqCst);
    keeps(&aggregator, Some("3.00")).await;
    until("health to be well", async || complaint(&aggregator).await.is_none().then_some(())).await;
    aggregator.stop().await.unwrap();
}
