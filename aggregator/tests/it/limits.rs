//! What a deployment bounds: amounts on routes, and questions to chains.

use alloy::primitives::Address;
use api::aggregator::{
    AmountRequest, Preference, QuoteRequest, QuoteResponse, Simulation, Step, UnavailableReason,
};

use crate::{
    databases,
    providers::{BRIDGE, Behaviour, CHAIN_A, CHAIN_B, Standin},
    system::{Stage, client},
};

/// A millionth of an ether: far above what a limit below names.
const SENT: u64 = 1_000_000_000_000;

/// A quote of ether for ether from an account that has some.
pub(crate) fn request(amount: AmountRequest) -> QuoteRequest {
    QuoteRequest {
        origin_chain_id: CHAIN_A,
        origin_token: Address::ZERO,
        destination_chain_id: CHAIN_B,
        destination_token: Address::ZERO,
        amount,
        sender: Some(devnet::genesis::DEV_ADDRESSES[1]),
        recipient: None,
        refund_address: None,
        preference: Preference::Recommended,
        security: None,
        slippage_bps: 50,
        gasless: false,
        calls: Vec::new(),
        providers: Vec::new(),
    }
}

/// Quotes of an aggregator with one fair provider and this in its configuration.
async fn quoted(more: &str, amounts: &[AmountRequest]) -> Vec<QuoteResponse> {
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let more = format!(
        "{more}\n[[providers]]\nname = \"fair\"\nurl = \"{}\"\n\
         [[providers.contracts]]\nchain_id = {CHAIN_A}\naddress = \"{BRIDGE}\"\n",
        fair.url()
    );
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", &more).await;
    let client = client(&aggregator);
    let limits = client.chains().await.unwrap().limits;
    assert_eq!(limits.len(), more.matches("[[routes]]").count());
    let mut answers = Vec::new();
    for amount in amounts {
        answers.push(client.quote(&request(*amount)).await.unwrap());
    }
    aggregator.stop().await.unwrap();
    answers
}

#[tokio::test]
async fn a_route_moves_what_its_limits_allow() {
    let most = format!(
        "[[routes]]\norigin_chain_id = {CHAIN_A}\norigin_token = \"{}\"\n\
         max_amount = \"1000000\"\n[[routes]]\ndestination_chain_id = {CHAIN_A}\nmax_usd = 0.0\n",
        Address::ZERO
    );
    let exact = AmountRequest::ExactInput;
    let amounts = [
        exact(1_000_000.into()),
        exact(1_000_001.into()),
        AmountRequest::ExactOutput(1_000_001.into()),
    ];
    let answers = quoted(&most, &amounts).await;
    assert_eq!(answers[0].quotes.len(), 1, "{answers:?}");
    let fair = |answer: &QuoteResponse| {
        assert!(answer.quotes.is_empty());
        let mut named = answer.unavailable.iter().filter(|it| it.provider == "fair");
        named.next().cloned().unwrap()
    };
    let high = fair(&answers[1]);
    assert_eq!(high.reason, UnavailableReason::AmountTooHigh);
    assert_eq!(high.maximum, Some(1_000_000.into()));
    // What an exact output costs is known once somebody has been asked.
    assert_eq!(fair(&answers[2]).reason, UnavailableReason::AmountTooHigh);
}

#[tokio::test]
async fn steps_are_simulated_while_the_chain_has_places_for_questions() {
    let simulation = async |more: &str| {
        let answers = quoted(more, &[AmountRequest::ExactInput(SENT.into())]).await;
        let Some(Step::Transaction(step)) = answers[0].quotes[0].steps.last() else {
            panic!("{answers:?}");
        };
        step.simulation.clone()
    };
    assert_eq!(simulation("").await, Simulation::Succeeded);
    let busy = simulation("[simulations]\nat_once = 0\nwait = \"1ms\"\n").await;
    assert!(
        matches!(&busy, Simulation::Skipped { reason } if reason.starts_with("busy")),
        "{busy:?}"
    );
}
