//! New heads over WebSocket, as a reason to look earlier than planned. Losing the connection costs time, nothing else.

use std::{sync::Arc, time::Duration};

use alloy::{
    network::Ethereum,
    providers::{Provider, ProviderBuilder, WsConnect},
};
use futures::StreamExt;
use service::retry::Backoff;
use tokio::{sync::Notify, task::JoinHandle};
use url::Url;

#[derive(Debug)]
pub(super) struct Wake {
    notify: Arc<Notify>,
    tasks: Vec<JoinHandle<()>>,
}

impl Wake {
    pub(super) fn start(urls: Vec<Url>) -> Self {
        let notify = Arc::new(Notify::new());
        let tasks =
            urls.into_iter().map(|url| tokio::spawn(listen(url, Arc::clone(&notify)))).collect();
        Self { notify, tasks }
    }

    /// Completes at the next new head. Never, without a WebSocket.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen(url: Url, notify: Arc<Notify>) {
    let mut backoff = fresh();
    loop {
        let connection = ProviderBuilder::<_, _, Ethereum>::default()
            .connect_ws(WsConnect::new(url.as_str()))
            .await;
        if let Ok(provider) = connection
            && let Ok(heads) = provider.subscribe_blocks().await
        {
            let mut heads = heads.into_stream();
            while heads.next().await.is_some() {
                backoff = fresh();
                notify.notify_one();
            }
        }
        tracing::debug!("new heads: WebSocket lost, connecting again");
        metrics::counter!("chain_ws_reconnects_total").increment(1);
        tokio::time::sleep(backoff.wait()).await;
    }
}

const fn fresh() -> Backoff {
    Backoff::new(Duration::from_millis(200), Duration::from_secs(15))
}
