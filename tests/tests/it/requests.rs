//! What a request may ask for besides an amount to spend.

use alloy::primitives::{Address, B256, U256, bytes, utils::parse_ether};
use api::aggregator::{OrderState, UnavailableReason};
use e2e::{World, invariants};
use eyre::OptionExt;

/// Ten test tokens, which have six decimals.
const TEN_TOKENS: U256 = U256::from_limbs([10_000_000, 0, 0, 0]);
/// The zero address stands for the native currency.
const NATIVE: Address = Address::ZERO;
const APPLICATION: Address = Address::repeat_byte(0xa2);
/// Longer than any deadline that a quote gives, in seconds.
const A_DAY: u64 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_counted_on_arrival_arrives_to_the_last_unit() -> eyre::Result<()> {
    let world = World::start().await?;
    let (alice, bob) = (world.user(0)?, world.user(1)?);
    let token = world.contracts(world.origin())?.contracts.test_token;
    let token = token.ok_or_eyre("no test token")?;
    let before = world.balance(world.origin(), token, bob.address()).await?;
    let wei = parse_ether("0.3")?;

    let native = alice.sends_native(wei).counted_on_arrival().done().await?;
    let tokens = bob.sends_tokens(TEN_TOKENS).counted_on_arrival().done().await?;
    let signed = bob.sends_tokens(TEN_TOKENS).counted_on_arrival().signed().done().await?;

    for (transfer, asked) in [(&native, wei), (&tokens, TEN_TOKENS), (&signed, TEN_TOKENS)] {
        transfer.reaches(OrderState::Settled).await?;
        transfer.recipient_has_what_was_quoted().await?;
        assert_eq!(transfer.quote.amount_out.0, asked);
        assert!(transfer.quote.amount_in.0 > asked, "a solver works for nothing");
    }
    let after = world.balance(world.origin(), token, bob.address()).await?;
    assert_eq!(before - after, tokens.quote.amount_in.0 + signed.quote.amount_in.0);
    invariants::hold(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_provider_that_was_named_is_asked() -> eyre::Result<()> {
    let world = World::start().await?;
    let alice = world.user(0)?;
    let wei = parse_ether("0.1")?;

    let answer = alice.sends_native(wei).only_of("nobody").asks().await?;
    let ours = alice.sends_native(wei).only_of("metalayer").done().await?;

    assert_eq!(answer.quotes, []);
    assert!(!answer.unavailable.is_empty(), "nobody says why");
    for provider in answer.unavailable {
        assert_eq!(provider.reason, UnavailableReason::Filtered, "{}", provider.provider);
    }
    assert_eq!(ours.quote.provider, "metalayer");
    let order = ours.reaches(OrderState::Settled).await?;
    assert_eq!(order.provider.as_deref(), Some("metalayer"));
    ours.recipient_has_what_was_quoted().await?;
    invariants::hold(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_run_at_the_destination_with_the_money_that_arrived() -> eyre::Result<()> {
    let Some(world) = World::start_embedded(2, "puts code on a chain").await? else {
        return Ok(());
    };
    let application = world.application(APPLICATION)?;
    let (alice, bob) = (world.user(0)?, world.user(1)?);
    let given = parse_ether("0.04")?;

    let native = alice.sends_native(parse_ether("0.1")?);
    let native = native.then_calls(application, bytes!("cafe"), given).done().await?;
    native.reaches(OrderState::Filled).await?;
    let tokens = bob.sends_tokens(TEN_TOKENS);
    let tokens = tokens.then_calls(application, bytes!("beef"), U256::ZERO).done().await?;

    for transfer in [&native, &tokens] {
        transfer.reaches(OrderState::Settled).await?;
        transfer.recipient_has_what_was_quoted().await?;
    }
    assert_eq!(world.calls_of(application).await?, [bytes!("cafe"), bytes!("beef")]);
    assert_eq!(world.balance(world.destination(), NATIVE, application).await?, given);
    invariants::hold(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_fills_goes_back_to_the_address_that_was_named() -> eyre::Result<()> {
    let Some(mut world) = World::start_embedded(2, "moves time by a day").await? else {
        return Ok(());
    };
    let address = Address::from_word(B256::random());
    let wei = parse_ether("0.1")?;
    let quoted = world.user(0)?.sends_native(wei).or_back_to(address).quoted().await?;
    world.stop_solvers().await?;

    let transfer = world.user(0)?.takes(quoted).await?;
    let funded = transfer.reaches(OrderState::Funded).await?;
    assert_eq!(funded.creator, Some(address));
    world.time_passes(world.origin(), A_DAY).await?;
    // Anybody may send it: where the money goes was said when it was published.
    transfer.is_refunded_by(&world.user(1)?).await?;

    assert_eq!(world.balance(world.origin(), NATIVE, address).await?, wei);
    invariants::hold(&world).await
}
