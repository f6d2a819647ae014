use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aggregator::{
    book::{Pricing, Token, TokenBook},
    provider::{Asking, BreakerConfig, Provider, Providers, Recipients},
    quoting::{Engine, EngineConfig, Patience, QuoteIds, Quoted, Route, Sanity},
    reputation::Reputations,
};
use alloy::primitives::Address;
use api::{
    Amount,
    aggregator::{AmountRequest, Preference, QuoteRequest, Step, UnavailableReason},
};
use service::clock::Clock;

use crate::providers::{BRIDGE, Behaviour, CHAIN_A, CHAIN_B, Standin};

const USDX: Address = Address::repeat_byte(0xaa);

/// Long enough for a loaded machine, and far below a hanging provider.
pub(crate) const PATIENCE: Patience = Patience {
    deadline: Duration::from_secs(10),
    enough: 1,
    enough_by: Duration::from_secs(5),
    relax_every: Duration::from_secs(1),
};

fn engine(providers: Vec<Standin>, patience: Patience, breaker: BreakerConfig) -> Engine {
    // Nothing is kept, so that every question is asked.
    engine_keeping(providers, patience, breaker, Duration::ZERO)
}

pub(crate) fn engine_keeping(
    providers: Vec<Standin>,
    patience: Patience,
    breaker: BreakerConfig,
    keep: Duration,
) -> Engine {
    engine_asking(providers, patience, Asking { breaker, keep, ..Asking::default() })
}

fn engine_asking(providers: Vec<Standin>, patience: Patience, asking: Asking) -> Engine {
    let contracts = BTreeSet::from([(CHAIN_A, BRIDGE)]);
    let allowed_targets = providers
        .iter()
        .map(|standin| (standin.provider.name().to_owned(), contracts.clone()))
        .collect();
    let sanity = Sanity { allowed_targets, ..Sanity::default() };
    let providers = providers
        .into_iter()
        .map(|standin| Arc::new(standin.into_provider()) as Arc<dyn Provider>)
        .collect();
    let config = EngineConfig { patience, sanity, ..EngineConfig::default() };
    let providers = Providers::new(providers, asking).unwrap();
    let ids = QuoteIds::new(*b"a key of thirty-two characters!!");
    Engine::new(
        config,
        providers,
        Arc::new(Reputations::default()),
        BTreeMap::new(),
        ids,
        Clock::system(),
    )
}

pub(crate) fn route() -> Arc<Route> {
    let token = |chain_id| Token {
        chain_id,
        address: USDX,
        symbol: "USDX".into(),
        decimals: 6,
        pricing: Pricing::Fixed("1".parse().unwrap()),
    };
    let request = QuoteRequest {
        origin_chain_id: CHAIN_A,
        origin_token: USDX,
        destination_chain_id: CHAIN_B,
        destination_token: USDX,
        amount: AmountRequest::ExactInput(Amount::from(100_000_000)),
        sender: Some(Address::repeat_byte(7)),
        recipient: None,
        refund_address: None,
        preference: Preference::Cheapest,
        security: None,
        slippage_bps: 50,
        gasless: false,
        calls: Vec::new(),
        providers: Vec::new(),
    };
    Arc::new(Route::new(request, &TokenBook::new([token(CHAIN_A), token(CHAIN_B)])).unwrap())
}

/// Asks a fair provider and one that behaves as told.
async fn quote_beside(behaviour: Behaviour) -> Quoted {
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let other = Standin::start("other", behaviour).await;
    engine(vec![other, fair], PATIENCE, BreakerConfig::default()).quote(&route()).await
}

#[tokio::test]
async fn a_bad_provider_is_named_and_the_others_quote_arrives() {
    let cases = [
        (Behaviour::Hang, UnavailableReason::Timeout),
        (Behaviour::Slow(Duration::from_secs(60)), UnavailableReason::Timeout),
        (Behaviour::Broken, UnavailableReason::Error),
        (Behaviour::WrongSchema, UnavailableReason::Rejected),
        (Behaviour::AbsurdPrice, UnavailableReason::Rejected),
        (Behaviour::WrongChain, UnavailableReason::Rejected),
        (Behaviour::ForeignTarget, UnavailableReason::Rejected),
        (Behaviour::LowMinimum, UnavailableReason::Rejected),
        (Behaviour::Expired, UnavailableReason::Rejected),
        (Behaviour::Standing, UnavailableReason::Rejected),
        (Behaviour::WrongInput, UnavailableReason::Rejected),
        (Behaviour::ExcessValue, UnavailableReason::Rejected),
        (Behaviour::Oversized, UnavailableReason::Rejected),
        (Behaviour::Dropped, UnavailableReason::Error),
        (Behaviour::Minimum(1), UnavailableReason::AmountTooLow),
    ];
    for (behaviour, reason) in cases {
        let quoted = quote_beside(behaviour).await;
        let names: Vec<_> = quoted.quotes.iter().map(|quote| quote.provider.as_str()).collect();
        assert_eq!(names, ["fair"], "{behaviour:?}");
        assert_eq!(quoted.unavailable.len(), 1, "{behaviour:?}");
        let unavailable = &quoted.unavailable[0];
        assert_eq!(
            (unavailable.provider.as_str(), unavailable.reason),
            ("other", reason),
            "{behaviour:?}"
        );
        assert!(quoted.elapsed < PATIENCE.deadline, "{behaviour:?}");
    }
}

#[tokio::test]
async fn of_one_answer_three_offers_are_looked_at() {
    let many = Standin::start("many", Behaviour::Many(50)).await;
    let quoted = engine(vec![many], PATIENCE, BreakerConfig::default()).quote(&route()).await;
    assert_eq!(quoted.quotes.len(), 3);
}

#[tokio::test]
async fn money_goes_back_to_whom_the_request_names_or_nothing_is_offered() {
    let mut other = Route::clone(&route());
    other.refund_address = Address::repeat_byte(9);
    let other = Arc::new(other);
    let silent = Standin::start("silent", Behaviour::Fair).await;
    let honouring = Standin::start("honouring", Behaviour::Refunding).await;
    let engine = engine(vec![silent, honouring], PATIENCE, BreakerConfig::default());
    assert_eq!(engine.quote(&route()).await.quotes.len(), 2, "the sender is refunded by both");
    let quoted = engine.quote(&other).await;
    let names: Vec<_> = quoted.quotes.iter().map(|quote| quote.provider.as_str()).collect();
    assert_eq!(names, ["honouring"]);
    assert_eq!(quoted.unavailable[0].reason, UnavailableReason::NoRoute);
}

#[tokio::test]
async fn a_recipient_that_is_denied_is_not_asked_about() {
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let asked = fair.asked();
    let deny = BTreeSet::from([route().recipient]);
    let provider = fair.into_provider().paying(Recipients { deny, ..Recipients::default() });
    let decline = provider.offers(&route(), PATIENCE.deadline).await.unwrap_err();
    assert_eq!(decline.reason, UnavailableReason::Rejected);
    assert!(!decline.is_failure(), "{decline}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

/// A route whose tokens nobody prices, and that are not the same.
fn unpriced() -> Arc<Route> {
    let mut route = Route::clone(&route());
    let other = Token { symbol: "OTHER".into(), ..Token::clone(&route.token_out) };
    (route.price_in, route.price_out, route.token_out) = (None, None, Arc::new(other));
    Arc::new(route)
}

#[tokio::test]
async fn what_is_far_better_than_all_others_is_a_bait() {
    let bait = Standin::start("bait", Behaviour::AbsurdPrice).await;
    let one = Standin::start("one", Behaviour::Fair).await;
    let two = Standin::start("two", Behaviour::Fair).await;
    let engine = engine(vec![bait, one, two], PATIENCE, BreakerConfig::default());
    let quoted = engine.quote(&unpriced()).await;
    let names: Vec<_> = quoted.quotes.iter().map(|quote| quote.provider.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    let [named] = &quoted.unavailable[..] else { panic!("{quoted:?}") };
    assert_eq!((named.provider.as_str(), named.reason), ("bait", UnavailableReason::Rejected));
    assert!(named.message.contains("median"), "{}", named.message);
}

#[tokio::test]
async fn a_fair_quote_can_be_executed_without_knowing_the_provider() {
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let engine = engine(vec![fair], PATIENCE, BreakerConfig::default());
    let quoted = engine.quote(&route()).await;
    let quote = &quoted.quotes[0];
    let steps: Vec<_> = quote
        .steps
        .iter()
        .map(|step| match step {
            Step::Transaction(step) => (step.id.as_str(), step.chain_id, step.to),
            Step::Signature(_) => panic!("no signature is needed"),
        })
        .collect();
    assert_eq!(steps, [("approve", CHAIN_A, USDX), ("publish", CHAIN_A, BRIDGE)]);
    assert_eq!(engine.ids().verify(quote, 0), Ok(()));
}

#[tokio::test]
async fn a_provider_that_keeps_hanging_is_not_waited_for() {
    let patience = Patience {
        deadline: Duration::from_millis(400),
        enough: 2,
        enough_by: Duration::from_millis(400),
        relax_every: Duration::from_millis(400),
    };
    let breaker = BreakerConfig { failures: 2, open_for: Duration::from_secs(600) };
    let hanging = Standin::start("hanging", Behaviour::Hang).await;
    let asked = hanging.asked();
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let engine = engine(vec![hanging, fair], patience, breaker);
    for _ in 0..2 {
        let quoted = engine.quote(&route()).await;
        assert_eq!(quoted.unavailable[0].reason, UnavailableReason::Timeout);
    }
    let quoted = engine.quote(&route()).await;
    assert_eq!(quoted.unavailable[0].reason, UnavailableReason::CircuitOpen);
    assert_eq!(quoted.quotes.len(), 1);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "an open circuit asks nothing");
}

fn breaker_is_closed(engine: &Engine) -> bool {
    engine.providers().iter().all(|entry| entry.breaker.is_closed())
}

#[tokio::test]
async fn who_leaves_before_the_answer_speaks_against_no_provider() {
    let breaker = BreakerConfig { failures: 1, open_for: Duration::from_secs(600) };
    let hanging = Standin::start("hanging", Behaviour::Hang).await;
    let asked = hanging.asked();
    let engine = engine(vec![hanging], PATIENCE, breaker);
    for times in 1..=3 {
        let route = route();
        let heard = async {
            while asked.load(Ordering::Relaxed) < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = engine.quote(&route) => panic!("nobody quotes"),
            () = heard => {}
        }
        assert!(breaker_is_closed(&engine));
    }
}

#[tokio::test]
async fn hanging_counts_though_the_others_were_enough() {
    let patience = Patience {
        deadline: Duration::from_secs(1),
        enough: 1,
        enough_by: Duration::ZERO,
        relax_every: Duration::ZERO,
    };
    let breaker = BreakerConfig { failures: 2, open_for: Duration::from_secs(600) };
    let hanging = Standin::start("hanging", Behaviour::Hang).await;
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let engine = engine(vec![hanging, fair], patience, breaker);
    for _ in 0..2 {
        assert_eq!(engine.quote(&route()).await.quotes.len(), 1);
    }
    let begun = std::time::Instant::now();
    while breaker_is_closed(&engine) {
        assert!(begun.elapsed() < Duration::from_secs(120), "the breaker was told nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn without_a_place_a_provider_is_named_busy_and_not_blamed() {
    let patience = Patience { deadline: Duration::from_millis(50), ..PATIENCE };
    let breaker = BreakerConfig { failures: 1, open_for: Duration::from_secs(600) };
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let asking = Asking { breaker, at_once: 0, keep: Duration::ZERO };
    let engine = engine_asking(vec![fair], patience, asking);
    for _ in 0..2 {
        let quoted = engine.quote(&route()).await;
        assert_eq!(quoted.unavailable[0].reason, UnavailableReason::Busy);
    }
    assert!(breaker_is_closed(&engine));
}

#[tokio::test]
async fn streamed_quotes_end_with_the_whole_answer() {
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let engine = engine(vec![fair], PATIENCE, BreakerConfig::default());
    let mut better = Vec::new();
    let quoted = engine.quote_as_they_come(&route(), |quote| better.push(quote)).await;
    assert_eq!(better.len(), 1);
    assert_eq!(better[0].amount_out, quoted.quotes[0].amount_out);
}
