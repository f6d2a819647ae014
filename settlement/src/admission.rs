//! Who may ask an agent something that makes it ask chains: anyone, but not all at once.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use axum::{
    body::{self, Body},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};
use service::caller::network;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::checkpoints::location::is_public;

/// Questions a second from one address.
const PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);
/// Questions from one address at once: a relayer asks for many messages together.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);
/// Addresses after which those that have gone are forgotten.
const MAX_ADDRESSES: usize = 10_000;
/// Questions worked on at the same time.
const PLACES: usize = 32;
/// Questions that wait for a place; more are turned away at once.
const QUEUE: usize = 64;
/// How long they wait.
const QUEUE_FOR: Duration = Duration::from_secs(2);
/// How long a request's body may take to come.
const BODY_FOR: Duration = Duration::from_secs(5);
/// Most bytes of a body: axum's own limit.
const MAX_BODY: usize = 2 * 1024 * 1024;
/// Where proxies write whom they heard; each adds its peer on the right.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// What one server takes on.
#[derive(Debug)]
pub(crate) struct Admission {
    callers: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock>,
    places: Semaphore,
    queue: Semaphore,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            callers: RateLimiter::dashmap(Quota::per_second(PER_SECOND).allow_burst(BURST)),
            places: Semaphore::new(PLACES),
            queue: Semaphore::new(QUEUE),
        }
    }
}

impl Admission {
    /// Whether this caller may ask now; if not, after which time.
    fn check(&self, caller: IpAddr) -> Result<(), Duration> {
        if self.callers.len() > MAX_ADDRESSES {
            self.callers.retain_recent();
        }
        self.callers
            .check_key(&caller)
            .map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// A place to be worked on, perhaps after a moment in the queue. `None` when too many wait.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let _waiting = self.queue.try_acquire().ok()?;
        tokio::time::timeout(QUEUE_FOR, self.places.acquire()).await.ok()?.ok()
    }
}

/// Lets a request through, or answers 429 with the time after which to ask again. Its body is read before it
/// takes a place: whoever sends slowly keeps nobody else out.
pub(crate) async fn admit(
    State(admission): State<Arc<Admission>>,
    request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let caller = peer.and_then(|ConnectInfo(peer)| caller(peer.ip(), request.headers()));
    if let Some(Err(wait)) = caller.map(|caller| admission.check(caller)) {
        return too_many(wait);
    }
    let request = match received(request).await {
        Ok(request) => request,
        Err(refusal) => return refusal.into_response(),
    };
    match admission.place().await {
        Some(_place) => next.run(request).await,
        None => too_many(Duration::ZERO),
    }
}

/// The request with the whole of its body, or 413 or 408.
async fn received(request: Request) -> Result<Request, StatusCode> {
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(BODY_FOR, body::to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(Request::from_parts(parts, Body::from(body))),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

fn too_many(wait: Duration) -> Response {
    let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)]).into_response()
}

/// Whom a request counts for. A proxy in the operator's own network says whom it heard; what comes from there
/// without saying so is the operator's own, and counts for nobody.
fn caller(peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
    if is_public(peer) {
        return Some(network(peer));
    }
    let heard = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    let last = heard.to_str().ok().and_then(|heard| heard.rsplit(',').next());
    let address = last.and_then(|address| address.trim().parse().ok());
    Some(address.map_or(peer, network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_who_connects_or_whom_a_private_proxy_heard() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let heard = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_FOR, text.parse().unwrap());
            headers
        };
        let nothing = HeaderMap::new();
        assert_eq!(caller(address("8.8.8.8"), &nothing), Some(address("8.8.8.8")));
        // Whoever connects from outside may write there what it likes.
        assert_eq!(caller(address("8.8.8.8"), &heard("9.9.9.9")), Some(address("8.8.8.8")));
        assert_eq!(caller(address("127.0.0.1"), &nothing), None);
        let proxied = caller(address("10.0.0.1"), &heard("1.1.1.1, 9.9.9.9"));
        assert_eq!(proxied, Some(address("9.9.9.9")));
        assert_eq!(caller(address("10.0.0.1"), &heard("?")), Some(address("10.0.0.1")));
        let networks = ["2600::1:2:3:4", "2600::ffff:0:0:0"].map(|text| network(address(text)));
        assert_eq!(networks, [address("2600::"), address("2600::")]);
    }

    #[test]
    fn one_address_has_its_share_and_another_one_its_own() {
        let admission = Admission::default();
        let [one, other] = [[8, 8, 8, 8], [9, 9, 9, 9]].map(IpAddr::from);
        let taken = (0..1_000).take_while(|_| admission.check(one).is_ok()).count();
        assert!((200..1_000).contains(&taken), "{taken}");
        assert!(admission.check(one).unwrap_err() > Duration::ZERO);
        assert!(admission.check(other).is_ok());
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let of = |length| Request::new(Body::from(vec![0; length]));
        assert!(received(of(MAX_BODY)).await.is_ok());
        let refusal = received(of(MAX_BODY + 1)).await.unwrap_err();
        assert_eq!(refusal, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn who_finds_no_place_waits_for_one_unless_too_many_wait() {
        let admission = Admission::default();
        let mut places = Vec::new();
        for _ in 0..PLACES {
            places.push(admission.place().await.unwrap());
        }
        let queue = admission.queue.acquire_many(QUEUE as u32).await.unwrap();
        assert!(admission.place().await.is_none());
        drop(queue);
        let (place, ()) = tokio::join!(admission.place(), async { drop(places.pop()) });
        assert!(place.is_some());
    }
}
