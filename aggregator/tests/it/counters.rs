//! What is counted of providers: every answer once, whenever it comes.

use aggregator::Handle;
use api::aggregator::{AmountRequest, QuoteRequest};

use crate::{
    databases, limits,
    providers::{BRIDGE, Behaviour, CHAIN_A, Standin},
    system::{Stage, client, until},
};

/// A millionth of an ether.
const SENT: u64 = 1_000_000_000_000;

fn request() -> QuoteRequest {
    limits::request(AmountRequest::ExactInput(SENT.into()))
}

/// What makes this one of an aggregator's providers.
fn configured(name: &str, provider: &Standin) -> String {
    format!(
        "[[providers]]\nname = \"{name}\"\nurl = \"{}\"\n\
         [[providers.contracts]]\nchain_id = {CHAIN_A}\naddress = \"{BRIDGE}\"\n",
        provider.url()
    )
}

/// The sum of a counter over the lines that hold all of this.
async fn counted(aggregator: &Handle, counter: &str, holds: &[String]) -> f64 {
    let metrics = format!("http://{}/metrics", aggregator.admin());
    let text = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with(counter));
    lines
        .filter(|line| holds.iter().all(|part| line.contains(part)))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum()
}

async fn answers(aggregator: &Handle, provider: &str, outcome: &str) -> f64 {
    let holds = [format!("provider=\"{provider}\""), format!("outcome=\"{outcome}\"")];
    counted(aggregator, "metalayer_aggregator_provider_answers_total{", &holds).await
}

#[tokio::test]
async fn a_provider_that_hangs_fails_once_for_each_question() {
    let hanging = Standin::start("hangs", Behaviour::Hang).await;
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let more = format!(
        "[patience]\ndeadline = \"2s\"\nenough = 1\nenough_by = \"0s\"\nrelax_every = \"0s\"\n{}{}",
        configured("hangs", &hanging),
        configured("fair", &fair)
    );
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", &more).await;
    let api = client(&aggregator);
    // Whether the answer left before the deadline, because another was enough, or at the deadline.
    let alone = QuoteRequest { providers: vec!["hangs".into()], ..request() };
    for (failures, request) in [(1.0, request()), (2.0, request()), (3.0, alone)] {
        api.quote(&request).await.unwrap();
        until("the failure to be counted", async || {
            let counted = answers(&aggregator, "hangs", "failure").await;
            assert!(counted <= failures, "once for each question: {counted}");
            (counted == failures).then_some(())
        })
        .await;
    }
    assert_eq!(answers(&aggregator, "hangs", "offer").await, 0.0);
    assert_eq!(answers(&aggregator, "fair", "offer").await, 2.0);
    aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn an_offer_that_a_stream_refuses_is_refused_once() {
    let absurd = Standin::start("absurd", Behaviour::AbsurdPrice).await;
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let more = configured("absurd", &absurd);
    let aggregator = stage.aggregator(&database.url, "main", &more).await;
    let url = format!("http://{}/v1/quotes/stream", aggregator.address());
    let answer = reqwest::Client::new().post(url).json(&request()).send().await.unwrap();
    assert!(answer.text().await.unwrap().contains("event: done"));
    let holds = ["provider=\"absurd\"".to_owned()];
    let refused = counted(&aggregator, "metalayer_aggregator_offers_refused_total{", &holds).await;
    assert_eq!(refused, 1.0);
    aggregator.stop().await.unwrap();
}
