//! JSON-RPC over WebSocket, with subscriptions.

use std::collections::HashMap;

use alloy::rpc::types::Filter;
use axum::extract::ws::{Message, WebSocket};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    task::JoinSet,
};

use super::{
    Served,
    frame::{self, Reply, Request},
};
use crate::rpc::{Answer, RpcError, Watched};

/// Notifications that may wait for a slow client.
const BACKLOG: usize = 1_024;

/// Serves one connection until it, or the server, ends.
pub(super) async fn converse(served: Served, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let (notify, mut notices) = mpsc::channel(BACKLOG);
    let mut subscriptions = Subscriptions::new(served.clone(), notify);
    loop {
        let outgoing = tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let intercept = |request: &Request| subscriptions.intercept(request);
                    match frame::reply(&served, text.as_bytes(), intercept).await {
                        Reply::Text(text) => text,
                        Reply::RateLimited => frame::rate_limited(),
                        Reply::Drop => return,
                    }
                }
                // Pings are answered by the socket itself.
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            // `None` cannot come: `subscriptions` keeps a sender.
            notice = notices.recv() => match notice {
                Some(Notice::Text(text)) => text,
                Some(Notice::Lagged) | None => return,
            },
            () = served.stop.cancelled() => return,
        };
        if !outgoing.is_empty() && sink.send(Message::text(outgoing)).await.is_err() {
            return;
        }
    }
}

enum Notice {
    Text(String),
    /// Events were lost: the connection ends, so that the client does not believe otherwise.
    Lagged,
}

/// The subscriptions of one connection; dropping it ends them.
struct Subscriptions {
    served: Served,
    notify: mpsc::Sender<Notice>,
    pumps: JoinSet<()>,
    running: HashMap<String, tokio::task::AbortHandle>,
    count: u64,
}

impl Subscriptions {
    fn new(served: Served, notify: mpsc::Sender<Notice>) -> Self {
        Self { served, notify, pumps: JoinSet::new(), running: HashMap::new(), count: 0 }
    }

    /// Answers the two methods that only a WebSocket has.
    fn intercept(&mut self, request: &Request) -> Option<Answer> {
        match request.method.as_str() {
            "eth_subscribe" => Some(self.subscribe(request)),
            "eth_unsubscribe" => Some(self.unsubscribe(request)),
            _ => None,
        }
    }

    fn subscribe(&mut self, request: &Request) -> Answer {
        let params = request.params()?;
        let kind: String = params.required(0, "subscription")?;
        let watched = match kind.as_str() {
            "newHeads" => Watched::Blocks,
            "logs" => {
                let filter: Option<Filter> = params.optional(1, "filter")?;
                Watched::Logs(Box::new(filter.unwrap_or_default()))
            }
            "newPendingTransactions" if params.optional(1, "full")? != Some(true) => {
                Watched::Pending
            }
            _ => {
                let message = format!("no \"{kind}\" subscription in eth namespace");
                return Err(RpcError::invalid_params(message));
            }
        };
        self.count += 1;
        let id = format!("{:#x}", self.count);
        let pump = pump(self.served.clone(), watched, id.clone(), self.notify.clone());
        self.running.insert(id.clone(), self.pumps.spawn(pump));
        Ok(json!(id))
    }

    fn unsubscribe(&mut self, request: &Request) -> Answer {
        let id: String = request.params()?.required(0, "subscription id")?;
        match self.running.remove(&id) {
            Some(pump) => {
                pump.abort();
                Ok(json!(true))
            }
            None => Err(RpcError::server("subscription not found")),
        }
    }
}

/// Turns the chain's events into notifications, from the moment it is made.
fn pump(
    served: Served,
    watched: Watched,
    id: String,
    notify: mpsc::Sender<Notice>,
) -> impl Future<Output = ()> {
    let mut events = served.node.chain.events();
    async move {
        loop {
            let notices = match events.recv().await {
                Ok(event) => watched.notifications(&event).unwrap_or_default(),
                Err(RecvError::Lagged(_)) => {
                    // Nothing is lost if the connection has ended already.
                    let _ = notify.send(Notice::Lagged).await;
                    return;
                }
                Err(RecvError::Closed) => return,
            };
            for result in notices {
                if notify.send(Notice::Text(notification(&id, result))).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn notification(id: &str, result: Value) -> String {
    json!({
        "jsonrpc": "2.0",
        "method": "eth_subscription",
        "params": { "subscription": id, "result": result },
    })
    .to_string()
}
