//! Where a validator says its folder is. Announced locations are strangers' words: nothing in one may
//! make an agent read its own disk or knock at a private network, unless its operator said so.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt as _;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::bucket::Bucket;

/// Longest time one file may take over HTTP.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// What an agent may fetch besides http(s) from public addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FetchPolicy {
    /// `file://` locations are read.
    pub allow_file: bool,
    /// Loopback, link-local and private addresses are contacted.
    pub allow_private: bool,
}

/// Why a location is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not of the form `scheme://rest`.
    #[error("{location:?} is not a storage location")]
    Malformed {
        /// The announced text.
        location: String,
    },
    /// A scheme that is not served.
    #[error("scheme {scheme:?} is not supported, expected http, https, s3, gs or file")]
    Scheme {
        /// The scheme found.
        scheme: String,
    },
    /// A `file://` location, which only the operator's configuration allows.
    #[error("local storage is not allowed by the configuration: {location:?}")]
    File {
        /// The announced text.
        location: String,
    },
    /// User name or password in the URL.
    #[error("a location must not carry credentials")]
    Credentials,
    /// An address that is not public, which only the operator's configuration allows.
    #[error("{address} is not a public address")]
    PrivateAddress {
        /// The address found.
        address: IpAddr,
    },
}

/// A location that the policy allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine.
    File(PathBuf),
    /// A folder served over HTTP; the URL ends with a slash.
    Http(Url),
    /// A folder in a public bucket, `s3://…` or `gs://…`.
    Bucket(Bucket),
}

impl Location {
    /// Reads an announced location.
    ///
    /// # Errors
    /// [`Refused`] when it is malformed or the policy forbids it. Names are resolved later: see
    /// [`http_client`].
    pub fn parse(location: &str, policy: FetchPolicy) -> Result<Self, Refused> {
        let malformed = || Refused::Malformed { location: location.to_owned() };
        let (scheme, path) = location.split_once("://").ok_or_else(malformed)?;
        match scheme {
            "file" if policy.allow_file && path.starts_with('/') => Ok(Self::File(path.into())),
            "file" => Err(Refused::File { location: location.to_owned() }),
            "http" | "https" => {
                let mut url = Url::parse(location).map_err(|_| malformed())?;
                if url.query().is_some() || url.fragment().is_some() {
                    return Err(malformed());
                }
                check_url(&url, policy)?;
                if !url.path().ends_with('/') {
                    url.set_path(&format!("{}/", url.path()));
                }
                Ok(Self::Http(url))
            }
            "s3" => Bucket::s3(path).map(Self::Bucket).ok_or_else(malformed),
            "gs" => Bucket::gcs(path).map(Self::Bucket).ok_or_else(malformed),
            scheme => Err(Refused::Scheme { scheme: scheme.chars().take(16).collect() }),
        }
    }
}

/// Refuses credentials and literal addresses that the policy does not allow.
///
/// # Errors
/// [`Refused`] with what is wrong.
pub fn check_url(url: &Url, policy: FetchPolicy) -> Result<(), Refused> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(Refused::Malformed { location: url.to_string() }),
    };
    match policy.allow_private || is_public(address) {
        true => Ok(()),
        false => Err(Refused::PrivateAddress { address }),
    }
}

/// A client that follows no redirect, gives up after five seconds and, unless the policy allows it,
/// never connects to an address that is not public, whatever name led there.
///
/// # Errors
/// When the TLS backend cannot start.
pub fn http_client(policy: FetchPolicy) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(FETCH_TIMEOUT);
    if !policy.allow_private {
        builder = builder.dns_resolver(Arc::new(PublicOnly));
    }
    builder.build()
}

/// The body of an answer, or `None` when it is longer than `limit` bytes: strangers' servers do not decide
/// how much memory is used.
///
/// # Errors
/// When the connection breaks.
pub async fn bounded_body(
    response: reqwest::Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > limit {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// Resolves names to their public addresses only.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(format!("{host} has no public address").into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether anyone on the internet could be meant: no loopback, private, link-local, shared, multicast,
/// documentation or reserved range, also not inside an IPv6 wrapping.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol_assignments = a == 192 && b == 0 && c == 0;
    let benchmarking = a == 198 && (18..20).contains(&b);
    let relay_anycast = a == 192 && b == 88 && c == 99;
    !(a == 0
        || a >= 240
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || protocol_assignments
        || benchmarking
        || relay_anycast)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let segments = address.segments();
    // Only global unicast 2000::/3 can be public; inside it, 6to4 and Teredo wrap IPv4 addresses and
    // 2001:db8::/32 is for documentation.
    let global_unicast = segments[0] & 0xe000 == 0x2000;
    let six_to_four = segments[0] == 0x2002;
    let teredo = segments[0] == 0x2001 && segments[1] == 0;
    let documentation = segments[0] == 0x2001 && segments[1] == 0x0db8;
    global_unicast && !six_to_four && !teredo && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: FetchPolicy = FetchPolicy { allow_file: false, allow_private: false };
    const LOOSE: FetchPolicy = FetchPolicy { allow_file: true, allow_private: true };

    #[test]
    fn a_stranger_cannot_name_this_disk_or_a_private_network() {
        for location in [
            "file:///etc",
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://10.0.0.1:8080/x",
            "http://169.254.169.254/latest",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "http://[2002:7f00:1::]/",
            "http://user:pw@example.org/",
            "s3://bucket",
            "s3://bucket/eu.evil.example/x",
            "gs://bu?ket/x",
            "ftp://example.org/",
            "nonsense",
            "http://example.org/?a=b",
        ] {
            assert!(Location::parse(location, STRICT).is_err(), "{location}");
        }
        assert!(Location::parse("https://example.org/v1/1", STRICT).is_ok());
        assert!(Location::parse("http://8.8.8.8/x", STRICT).is_ok());
        for location in ["s3://bucket/us-east-1/folder", "gs://bucket/folder/gcsAnnouncementKey"] {
            assert!(matches!(Location::parse(location, STRICT), Ok(Location::Bucket(_))));
        }
    }

    #[test]
    fn the_operator_may_allow_local_places() {
        assert_eq!(
            Location::parse("file:///var/lib/v1", LOOSE),
            Ok(Location::File("/var/lib/v1".into()))
        );
        let url = Url::parse("http://127.0.0.1:9000/1/instant/").unwrap();
        assert_eq!(
            Location::parse("http://127.0.0.1:9000/1/instant", LOOSE),
            Ok(Location::Http(url))
        );
    }

    #[tokio::test]
    async fn a_name_that_leads_to_loopback_is_not_contacted() {
        let client = http_client(STRICT).unwrap();
        let error = client.get("http://localhost:1/").send().await.unwrap_err();
        assert!(format!("{error:?}").contains("no public address"), "{error:?}");
    }
}
