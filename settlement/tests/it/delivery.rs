//! Messages arrive.

use settlement::{relayer, validator};

use crate::world::{World, eventually, explain, postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_delivered_once_and_becomes_final() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let relayer = world.relayer().await;

    let id = world.origin().dispatch(world.destination(), b"hello");
    let back = world.destination().dispatch(world.origin(), b"hello back");
    eventually("delivery", async || world.destination().is_delivered(id)).await;
    eventually("delivery back", async || world.origin().is_delivered(back)).await;
    eventually("finality", async || {
        explain(&relayer, id).await.iter().any(|message| message.state == "done")
    })
    .await;
    assert_eq!(world.destination().deliveries(id), 1);
    let explained = explain(&relayer, id).await.remove(0);
    assert_eq!(explained.leaves, [0]);
    assert_eq!(explained.paid, "50000");
    assert!(explained.process_transaction.is_some());
    relayer.stop().await.unwrap();
}

/// The same on PostgreSQL, where `METALAYER_TEST_POSTGRES` names a server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_keep_what_they_know_in_postgresql() {
    let world = World::new().await;
    let place = |name: &str| postgres(&world.data.path().join(name));
    let Some(database) = place("relayer") else { return };
    let config = relayer::RelayerConfig { database, ..world.relayer_config() };
    let first = relayer::spawn(config.clone()).await.unwrap();
    let refused = relayer::spawn(config.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("is in use by another process"), "{refused}");

    let (origin, destination) = (world.origin(), world.destination());
    let validator = async |number: u32| {
        let mut config = world.validator_config(number);
        config.database = place(&format!("validator{number}")).unwrap();
        validator::spawn(config).await.unwrap()
    };
    let _validators = [validator(1).await, validator(2).await];
    let id = origin.dispatch(destination, b"one");
    eventually("delivery", async || destination.is_delivered(id)).await;

    first.stop().await.unwrap();
    origin.undo_last_dispatch();
    let id = origin.dispatch(destination, b"another in its place");
    let relayer = relayer::spawn(config).await.unwrap();
    eventually("delivery after a restart", async || destination.is_delivered(id)).await;
    eventually("finality", async || {
        explain(&relayer, id).await.iter().any(|message| message.state == "done")
    })
    .await;
    assert_eq!(destination.deliveries(id), 1);
}
