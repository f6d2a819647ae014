//! Whom a request counts for.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, Request},
    http::HeaderMap,
};
use service::caller::network;

/// Where proxies write whom they heard; each adds its peer on the right.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whom a request counts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// The key of this name.
    Key(String),
    /// An IPv4 address, or the first address of an IPv6 network (/64).
    Network(IpAddr),
}

impl Who {
    /// A name that nobody else has.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Key(name) => format!("key {name}"),
            Self::Network(address) => address.to_string(),
        }
    }
}

/// The network that a request came from, as far as our proxies know.
pub(super) fn network_of(request: &Request, proxies: &BTreeSet<IpAddr>) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
    network(client(peer, request.headers(), proxies))
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
        assert_eq!(client(peer, &headers, &BTreeSet::new()), peer);
    }
}
