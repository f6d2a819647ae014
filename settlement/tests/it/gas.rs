//! What deliveries cost, and who has paid.

use alloy::primitives::U256;
use protocol::abi::hyperlane::InterchainGasPaymaster;
use settlement::relayer::{self, ChainOptions, gas::GasPolicy};

use crate::world::{OWNER, World, eventually, explain, pay};

const GWEI: u64 = 1_000_000_000;
/// What the development chain asks for by itself: 0.1 gwei.
const USUAL: u64 = GWEI / 10;

async fn is_submitted(relayer: &relayer::Handle, id: alloy::primitives::B256) -> bool {
    explain(relayer, id).await.iter().any(|message| message.state == "submitted")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_a_gas_spike_overtakes_is_offered_more() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let relayer = world.relayer().await;
    let (origin, destination) = (world.origin(), world.destination());
    destination.chain.pause();
    let id = origin.dispatch(destination, b"spike");
    eventually("a submission", async || is_submitted(&relayer, id).await).await;
    destination.chain.set_base_fee(100 * GWEI);
    destination.chain.resume().unwrap();
    eventually("delivery", async || destination.is_delivered(id)).await;
    assert_eq!(destination.deliveries(id), 1);
    destination.chain.set_base_fee(USUAL);
    let next = origin.dispatch(destination, b"after it");
    eventually("the next delivery", async || destination.is_delivered(next)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relayer_with_a_cap_waits_until_a_gas_spike_is_over() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let mut config = world.relayer_config();
    let options = ChainOptions { max_gas_price: Some(u128::from(GWEI)), ..Default::default() };
    config.chains.insert(world.manifest.chains["chain700002"].chain_id, options);
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());
    destination.chain.set_base_fee(100 * GWEI);
    let id = origin.dispatch(destination, b"patience");
    eventually("a submission", async || is_submitted(&relayer, id).await).await;
    let head = destination.chain.head().number();
    eventually("blocks", async || destination.chain.head().number() > head + 30).await;
    assert!(!destination.is_delivered(id));
    destination.chain.set_base_fee(USUAL);
    eventually("delivery", async || destination.is_delivered(id)).await;
    assert_eq!(destination.deliveries(id), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fraction_of_the_cost_is_compared_by_value_with_what_the_oracle_sold() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let mut config = world.relayer_config();
    config.gas_policy = GasPolicy::Fraction { numerator: 1, denominator: 2 };
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());

    // Sold at 1 wei a unit, which is a hundred millionth of its price.
    let cheap = origin.dispatch(destination, b"cheap");
    eventually("a refusal", async || {
        let explained = explain(&relayer, cheap).await;
        explained.iter().any(|message| message.reason.contains("paid 50000 wei, the policy asks"))
    })
    .await;
    assert!(!destination.is_delivered(cheap));

    origin.sell_gas(destination.domain, u128::from(4 * USUAL));
    let paid = origin.dispatch(destination, b"paid in full");
    eventually("delivery", async || destination.is_delivered(paid)).await;
    assert!(!destination.is_delivered(cheap));

    let call = InterchainGasPaymaster::payForGasCall {
        _messageId: cheap,
        _destinationDomain: destination.domain.0,
        _gasLimit: U256::from(100_000),
        _refundAddress: OWNER,
    };
    pay(&origin.chain, origin.igp, &call, U256::from(100_000 * 4 * USUAL));
    eventually("delivery after a payment", async || destination.is_delivered(cheap)).await;
}
