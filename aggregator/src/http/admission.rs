use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use api::aggregator::ErrorCode;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ApiError, request_id};

/// The path whose answer is made while it is given.
const QUOTE_STREAM: &str = "/v1/quotes/stream";
/// Where proxies write whom they heard; each adds its peer on the right.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Who may ask how much.
#[derive(Clone, Debug)]
pub struct AdmissionConfig {
    /// Requests a second and address without a key; `None` for no bound.
    pub anonymous_per_second: Option<NonZeroU32>,
    /// Whether requests without a key are answered at all.
    pub anonymous: bool,
    /// Proxies of ours, whose word about whom they heard counts.
    pub trusted_proxies: BTreeSet<IpAddr>,
    /// Keys, by SHA-256 of the key.
    pub keys: BTreeMap<[u8; 32], ApiKey>,
    /// Requests that are worked on at once: so many for quotes, and so many others.
    pub concurrency: usize,
    /// Requests for quotes that wait for a place; more are turned away at once.
    pub queue: usize,
    /// How long they wait.
    pub queue_for: Duration,
}

impl Default for AdmissionConfig {
    /// Beyond some hundred requests at once a machine answers no more of them, only later: what
    /// comes on top waits for less than a provider takes.
    fn default() -> Self {
        Self {
            anonymous_per_second: NonZeroU32::new(50),
            anonymous: true,
            trusted_proxies: BTreeSet::new(),
            keys: BTreeMap::new(),
            concurrency: 1_024,
            queue: 1_024,
            queue_for: Duration::from_millis(250),
        }
    }
}

/// A caller that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Name in the log.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Requests a second; `None` for no bound.
    pub per_second: Option<NonZeroU32>,
}

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Ask for quotes.
    Quotes,
    /// Announce and read orders.
    Orders,
    /// Be told of changed orders.
    Webhooks,
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "quotes" => Ok(Self::Quotes),
            "orders" => Ok(Self::Orders),
            "webhooks" => Ok(Self::Webhooks),
            other => Err(format!("expected `quotes`, `orders` or `webhooks`, given {other:?}")),
        }
    }
}

/// Whose key a request came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller(pub(super) String);

/// Refuses what the configuration does not allow, before any work is done.
#[derive(Clone, Debug)]
pub(super) struct Admission(Arc<Guard>);

#[derive(Debug)]
struct Guard {
    config: AdmissionConfig,
    anonymous: Option<Limiter<IpAddr>>,
    keyed: BTreeMap<[u8; 32], governor::DefaultDirectRateLimiter>,
    quoting: Arc<Semaphore>,
    queue: Semaphore,
    others: Arc<Semaphore>,
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

impl Admission {
    pub(super) fn new(config: AdmissionConfig) -> Self {
        let anonymous =
            config.anonymous_per_second.map(|rate| RateLimiter::dashmap(Quota::per_second(rate)));
        let keyed = config
            .keys
            .iter()
            .filter_map(|(hash, key)| Some((*hash, key.per_second?)))
            .map(|(hash, rate)| (hash, RateLimiter::direct(Quota::per_second(rate))))
            .collect();
        let places = || Arc::new(Semaphore::new(config.concurrency));
        let (quoting, others) = (places(), places());
        let queue = Semaphore::new(config.queue);
        Self(Arc::new(Guard { config, anonymous, keyed, quoting, queue, others }))
    }
}

impl Guard {
    /// Whose key the request came with, when it may pass.
    fn check(&self, request: &Request, scope: Option<Scope>) -> Result<Option<Caller>, ApiError> {
        let Some(scope) = scope else { return Ok(None) };
        let Some(key) = request.headers().get("x-api-key") else {
            // What is kept for somebody is kept for a key.
            if !self.config.anonymous || scope == Scope::Webhooks {
                return Err(unauthorized("a key is asked for, in the header x-api-key"));
            }
            let limiter = self.anonymous.as_ref();
            return limiter.map_or(Ok(None), |limiter| {
                let checked = limiter.check_key(&address(request, &self.config.trusted_proxies));
                checked.map(|()| None).map_err(|until| too_many(&until))
            });
        };
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let known = self.config.keys.get(&hash);
        let known = known.ok_or_else(|| unauthorized("the key in x-api-key is not known"))?;
        if !known.scopes.contains(&scope) {
            return Err(unauthorized("the key in x-api-key lacks the scope for this path"));
        }
        if let Some(limiter) = self.keyed.get(&hash) {
            limiter.check().map_err(|until| too_many(&until))?;
        }
        Ok(Some(Caller(known.name.clone())))
    }
}

/// A place among the requests that are worked on. Free again when nobody holds it.
#[derive(Clone, Debug)]
pub(super) struct Place(
    #[expect(dead_code, reason = "held for what its drop does")] Arc<OwnedSemaphorePermit>,
);

impl Guard {
    /// A place to be worked on; for quotes, which are many, there is a short queue.
    async fn place(&self, scope: Option<Scope>) -> Result<OwnedSemaphorePermit, ApiError> {
        let quoting = scope == Some(Scope::Quotes);
        let places = if quoting { &self.quoting } else { &self.others };
        let full = || {
            ApiError::new(ErrorCode::Overloaded, "too many requests are being worked on")
                .retry_after(1)
        };
        match Arc::clone(places).try_acquire_owned() {
            Ok(place) => return Ok(place),
            Err(_) if quoting => {}
            Err(_) => return Err(full()),
        }
        let _waiting = self.queue.try_acquire().map_err(|_| full())?;
        let turn = Arc::clone(places).acquire_owned();
        match tokio::time::timeout(self.config.queue_for, turn).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(full()),
        }
    }

    /// Lets a request through, or answers 401, 429 or 503.
    async fn admit(&self, mut request: Request, next: Next) -> Response {
        let scope = scope_of(request.uri().path());
        match self.check(&request, scope) {
            Ok(Some(caller)) => drop(request.extensions_mut().insert(caller)),
            Ok(None) => {}
            Err(refused) => return turned_away(refused),
        }
        // The place is free again when the answer begins: a stream is open for long and works
        // little. A stream of quotes works all the time, and holds it.
        let _place = match self.place(scope).await {
            Ok(place) if request.uri().path() == QUOTE_STREAM => {
                request.extensions_mut().insert(Place(Arc::new(place)));
                None
            }
            Ok(place) => Some(place),
            Err(refused) => return turned_away(refused),
        };
        next.run(request).await
    }
}

/// Lets a request through under an id of its own, or answers 401, 429 or 503.
pub(super) async fn enter(
    State(Admission(guard)): State<Admission>,
    request: Request,
    next: Next,
) -> Response {
    request_id::name(request, async |request| guard.admit(request, next).await).await
}

/// The scope that a path needs; catalog, health and documentation are open.
fn scope_of(path: &str) -> Option<Scope> {
    if path.starts_with("/v1/quotes") {
        Some(Scope::Quotes)
    } else if path.starts_with("/v1/orders") {
        Some(Scope::Orders)
    } else if path.starts_with("/v1/webhooks") {
        Some(Scope::Webhooks)
    } else {
        None
    }
}

/// Whom the request counts for.
fn address(request: &Request, proxies: &BTreeSet<IpAddr>) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
    client(peer, request.headers(), proxies)
}

/// The peer; or, when that is a proxy of ours, the last that is none in what the proxies wrote.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &BTreeSet<IpAddr>) -> IpAddr {
    let peer = peer.to_canonical();
    if !proxies.contains(&peer) {
        return peer;
    }
    // From the right: what stands before the first stranger is that stranger's word.
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        let Ok(line) = line.to_str() else { return peer };
        for heard in line.rsplit(',') {
            match forwarded(heard.trim()) {
                Some(address) if proxies.contains(&address) => {}
                Some(address) => return address,
                None => return peer,
            }
        }
    }
    peer
}

/// An address as proxies write it: some add the port.
fn forwarded(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The answer to a request that is not let in.
fn turned_away(refused: ApiError) -> Response {
    let reason = match refused.code {
        ErrorCode::RateLimited => "rate_limited",
        ErrorCode::Overloaded => "overloaded",
        _ => "unauthorized",
    };
    metrics::counter!("metalayer_aggregator_turned_away_total", "reason" => reason).increment(1);
    refused.into_response()
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, message)
}

fn too_many(until: &governor::NotUntil<<DefaultClock as Clock>::Instant>) -> ApiError {
    let wait = until.wait_time_from(DefaultClock::default().now());
    ApiError::new(ErrorCode::RateLimited, format!("wait {} ms", wait.as_millis()))
        .retry_after(wait.as_secs() + 1)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_client_is_whom_our_proxies_heard() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxies = BTreeSet::from([ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::1")]);
        let of = |peer: &str, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for &line in lines {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
            }
            client(ip(peer), &headers, &proxies).to_string()
        };
        // A stranger may write what it likes.
        assert_eq!(of("192.0.2.7", &["198.51.100.9"]), "192.0.2.7");
        assert_eq!(of("10.0.0.1", &["198.51.100.9"]), "198.51.100.9");
        assert_eq!(of("::ffff:10.0.0.1", &["::ffff:198.51.100.9"]), "198.51.100.9");
        assert_eq!(of("fd00::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        // What the client made up stands on the left, what our other proxies added on the right.
        let lines = &["203.0.113.1, nonsense", "198.51.100.9:4711, 10.0.0.2"];
        assert_eq!(of("10.0.0.1", lines), "198.51.100.9");
        // Nothing that could be believed.
        let useless: [&[&'static str]; 4] =
            [&[], &["nonsense"], &["198.51.100.9, "], &["10.0.0.2"]];
        for lines in useless {
            assert_eq!(of("10.0.0.1", lines), "10.0.0.1", "{lines:?}");
        }
    }

    #[test]
    fn without_proxies_of_ours_the_header_says_nothing() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("198.51.100.9"));
        let peer = IpAddr::from([192, 0, 2, 7]);
        assert_eq!(client(peer, &headers, &AdmissionConfig::default().trusted_proxies), peer);
    }

    #[tokio::test]
    async fn requests_for_quotes_wait_a_while_in_a_short_queue() {
        let config = AdmissionConfig {
            concurrency: 1,
            queue: 1,
            queue_for: Duration::from_secs(60),
            ..AdmissionConfig::default()
        };
        let Admission(guard) = Admission::new(config);
        let first = guard.place(Some(Scope::Quotes)).await.unwrap();
        let mut second = std::pin::pin!(guard.place(Some(Scope::Quotes)));
        assert!(futures::poll!(second.as_mut()).is_pending());
        let third = guard.place(Some(Scope::Quotes)).await.unwrap_err();
        assert_eq!((third.code, third.retry_after), (ErrorCode::Overloaded, Some(1)));
        // Other requests have places of their own, and no queue.
        let other = guard.place(Some(Scope::Orders)).await.unwrap();
        guard.place(None).await.unwrap_err();
        drop((first, other));
        drop(second.await.unwrap());
    }

    #[tokio::test]
    async fn who_waited_in_vain_is_told_to_come_again() {
        let queue_for = Duration::from_millis(1);
        let config = AdmissionConfig { concurrency: 0, queue_for, ..AdmissionConfig::default() };
        let Admission(guard) = Admission::new(config);
        let refused = guard.place(Some(Scope::Quotes)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Overloaded);
    }
}
