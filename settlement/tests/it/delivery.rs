//! Messages arrive.

use crate::world::{World, eventually, explain};

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
