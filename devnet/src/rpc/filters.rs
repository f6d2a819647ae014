//! Polled filters (`eth_newFilter` and its kin).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy::rpc::types::Filter;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::{Answer, RpcError, head_notice, log_notices, pending_notice, value};
use crate::chain::{Chain, Event};

/// A filter that nobody has polled for so long is removed, as geth does.
const LIFETIME: Duration = Duration::from_secs(300);

/// What a filter looks for.
#[derive(Debug, Clone)]
pub(crate) enum Watched {
    Blocks,
    Pending,
    Logs(Box<Filter>),
}

/// The filters of one server.
#[derive(Debug, Default)]
pub(crate) struct Filters(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    filters: HashMap<u64, Polled>,
    last_id: u64,
}

#[derive(Debug)]
struct Polled {
    watched: Watched,
    events: Receiver<Event>,
    polled: Instant,
}

impl Filters {
    /// Watches from now on; returns the filter's id.
    pub(crate) fn install(&self, chain: &Chain, watched: Watched) -> u64 {
        let mut registry = self.0.lock();
        registry.filters.retain(|_, filter| filter.polled.elapsed() < LIFETIME);
        registry.last_id += 1;
        let id = registry.last_id;
        let filter = Polled { watched, events: chain.events(), polled: Instant::now() };
        registry.filters.insert(id, filter);
        id
    }

    /// Removes a filter; false when it was not there.
    pub(crate) fn uninstall(&self, id: u64) -> bool {
        self.0.lock().filters.remove(&id).is_some()
    }

    /// What a log filter looks for.
    pub(crate) fn logs(&self, id: u64) -> Result<Filter, RpcError> {
        match self.0.lock().filters.get(&id).map(|filter| filter.watched.clone()) {
            Some(Watched::Logs(filter)) => Ok(*filter),
            _ => Err(not_found()),
        }
    }

    /// What has happened since the last poll.
    pub(crate) fn changes(&self, id: u64) -> Answer {
        let mut registry = self.0.lock();
        let filter = registry.filters.get_mut(&id).ok_or_else(not_found)?;
        filter.polled = Instant::now();
        let mut changes: Vec<Value> = Vec::new();
        loop {
            match filter.events.try_recv() {
                Ok(event) => changes.extend(filter.watched.notices(&event)?),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break value(changes),
                // Some are lost: the client must not believe that it has seen everything.
                Err(TryRecvError::Lagged(_)) => {
                    registry.filters.remove(&id);
                    break Err(not_found());
                }
            }
        }
    }
}

impl Watched {
    fn notices(&self, event: &Event) -> Result<Vec<Value>, RpcError> {
        match self {
            Self::Blocks => match event {
                Event::Added(block) => Ok(vec![value(block.hash)?]),
                Event::Removed(_) | Event::Pending(_) => Ok(Vec::new()),
            },
            Self::Pending => Ok(pending_notice(event).into_iter().collect()),
            Self::Logs(filter) => log_notices(event, filter),
        }
    }

    /// What a subscriber is sent for `event`.
    pub(crate) fn notifications(&self, event: &Event) -> Result<Vec<Value>, RpcError> {
        match self {
            Self::Blocks => Ok(head_notice(event)?.into_iter().collect()),
            Self::Pending | Self::Logs(_) => self.notices(event),
        }
    }
}

fn not_found() -> RpcError {
    RpcError::server("filter not found")
}
