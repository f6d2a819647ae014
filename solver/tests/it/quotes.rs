//! Quotes hold inventory for nothing: what they may hold is shared out among callers.

use alloy::primitives::{Address, B256};
use api::solver::{Quote, QuoteRequest};
use solver::{Handle, order::State};

use crate::{
    fills,
    world::{FIRST, World},
};

/// The two quotes that a caller gets for its payment to a recipient.
async fn ask(world: &World, solver: &Handle, caller: u8, recipient: u8) -> Vec<Quote> {
    let request = QuoteRequest {
        caller: Some(B256::repeat_byte(caller)),
        recipient: Some(Address::repeat_byte(recipient)),
        ..fills::quote_request(world, false)
    };
    let answer = fills::quotes(solver, &request).await;
    assert_eq!(answer.quotes.len(), 2, "{:?}", answer.unavailable);
    answer.quotes.into_iter().map(|signed| signed.quote).collect()
}

/// How many of these quotes hold inventory.
async fn holding(solver: &Handle, quotes: &[Quote]) -> usize {
    let mut holding = 0;
    for quote in quotes {
        let reserved = solver.store().reserved_for(quote.id).await.unwrap();
        holding += usize::from(!reserved.is_empty());
    }
    holding
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_asks_often_takes_no_quotes_from_others() {
    let world = World::new().await;
    let config = world.config(8, |text| {
        let bounds = "quotes_open = 8\nquotes_per_caller = 4\nquote_lifetime = \"300s\"";
        format!("{bounds}\n{text}")
    });
    let solver = solver::spawn(config).await.unwrap();

    // Who asks again gets the inventory back that it does not need any more; the price stands.
    let first = ask(&world, &solver, 1, 0xa1).await;
    assert_eq!(holding(&solver, &first).await, 2);
    let modest = ask(&world, &solver, 1, 0xa1).await;
    assert_eq!((holding(&solver, &first).await, holding(&solver, &modest).await), (0, 2));
    let order = world.publish(FIRST, &fills::taking(&world, &first[0]));
    world.settle(&solver, &[order], &[State::Claimed]).await;
    let taken = solver.store().quote(first[0].id).await.unwrap().unwrap();
    assert_eq!(taken.taken_by, Some(order));

    let mut greedy = Vec::new();
    for recipient in 0xb1..=0xb3 {
        greedy.extend(ask(&world, &solver, 2, recipient).await);
    }
    assert_eq!(holding(&solver, &greedy).await, 4, "no more than one caller may have");
    let third = ask(&world, &solver, 3, 0xc1).await;
    assert_eq!(holding(&solver, &greedy).await, 4, "what holds nothing any more goes first");
    let fourth = ask(&world, &solver, 4, 0xd1).await;
    for (caller, quotes) in [&modest, &greedy, &third, &fourth].into_iter().enumerate() {
        assert_eq!(holding(&solver, quotes).await, 2, "caller {}", caller + 1);
    }
    solver.stop().await.unwrap();
}
