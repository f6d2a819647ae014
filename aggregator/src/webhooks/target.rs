//! Where a webhook may point: out into the world, never at ourselves or our neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Longest URL that is kept.
const LONGEST: usize = 2_048;

/// A URL that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Url);

/// Why a URL may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// It is none, or too long.
    #[error("it is no URL of at most 2048 characters")]
    NoUrl,
    /// It would not be encrypted.
    #[error("its scheme is {0:?}, expected https")]
    Scheme(String),
    /// It holds a user or password, which the log would show.
    #[error("it holds a user name or password")]
    Credentials,
    /// It points into a private network.
    #[error("{0} is not an address of the public internet")]
    Private(String),
}

impl Target {
    /// Checks a URL. Names are checked again when they are resolved, at each call: what they lead
    /// to may change.
    ///
    /// # Errors
    /// [`TargetFault`].
    pub fn new(text: &str, allow_private: bool) -> Result<Self, TargetFault> {
        let url = (text.len() <= LONGEST).then(|| Url::parse(text).ok()).flatten();
        let url = url.ok_or(TargetFault::NoUrl)?;
        if url.scheme() != "https" && !(allow_private && url.scheme() == "http") {
            return Err(TargetFault::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetFault::Credentials);
        }
        let address = match url.host() {
            None => return Err(TargetFault::NoUrl),
            Some(Host::Domain(name)) if allow_private || !is_local_name(name) => None,
            Some(Host::Domain(name)) => return Err(TargetFault::Private(name.to_owned())),
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        match address {
            Some(address) if !allow_private && !is_public(address) => {
                Err(TargetFault::Private(address.to_string()))
            }
            _ => Ok(Self(url)),
        }
    }

    /// The URL.
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || [".localhost", ".local", ".internal"].iter().any(|s| name.ends_with(s))
}

/// Resolves names and keeps the public addresses alone, so that a name cannot lead elsewhere after
/// it was checked.
#[derive(Debug)]
pub(super) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(TargetFault::Private(name.as_str().to_owned()).into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        // "This network", carrier-grade NAT, protocol assignments, benchmarks, reserved.
        || a == 0
        || (a == 100 && b >= 64 && b < 128)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // Only 2000::/3 is handed out; of it 2002::/16 and 2001::/32 carry an IPv4 address that could
    // be any, and 2001:db8::/32 is for documentation. Mapped and translated addresses lie outside.
    (first & 0xe000) == 0x2000
        && first != 0x2002
        && !(first == 0x2001 && (second == 0 || second == 0x0db8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_called() {
        for public in
            ["https://example.com/x", "https://1.1.1.1", "https://[2606:4700::1111]:8443/"]
        {
            assert!(Target::new(public, false).is_ok(), "{public}");
        }
        for private in [
            "https://127.0.0.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://10.1.2.3",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1",
            "https://0.0.0.0",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[64:ff9b::7f00:1]",
            "https://[2002:7f00:1::]",
            "https://[fd00::1]",
            "https://[fe80::1]",
            "https://localhost",
            "https://LOCALHOST.",
            "https://db.internal",
        ] {
            let fault = Target::new(private, false).unwrap_err();
            assert!(matches!(fault, TargetFault::Private(_)), "{private}: {fault:?}");
        }
    }

    #[test]
    fn schemes_and_credentials_are_checked() {
        let scheme = |text: &str| TargetFault::Scheme(text.into());
        assert_eq!(Target::new("http://example.com", false), Err(scheme("http")));
        assert_eq!(Target::new("file:///etc/passwd", true), Err(scheme("file")));
        assert_eq!(Target::new("https://u:p@example.com", false), Err(TargetFault::Credentials));
        assert_eq!(Target::new("nowhere", false), Err(TargetFault::NoUrl));
        assert!(Target::new("http://127.0.0.1:9/", true).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_followed() {
        let name = "localhost".parse::<Name>().unwrap();
        assert!(PublicResolver.resolve(name).await.is_err());
    }
}
