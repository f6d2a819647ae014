use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// Which ports a local system listens on, all on the loopback address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    rpc: u16,
    api: u16,
    admin: u16,
    internal: u16,
}

/// A port that something else listens on.
#[derive(Debug, thiserror::Error)]
#[error("port {port} ({purpose}) is taken; choose others with --port-base")]
pub(crate) struct Taken {
    port: u16,
    purpose: String,
    source: std::io::Error,
}

/// Ports for each purpose when `--port-base` chooses them: 100 apart.
const SPAN: u16 = 100;

impl Default for Ports {
    /// The ports that people know: a node's 8545 and a web service's 8080.
    fn default() -> Self {
        Self { rpc: 8_545, api: 8_080, admin: 9_100, internal: 9_200 }
    }
}

impl Ports {
    /// Four hundred ports from `base` on.
    pub(crate) const fn from_base(base: u16) -> Self {
        Self { rpc: base, api: base + SPAN, admin: base + 2 * SPAN, internal: base + 3 * SPAN }
    }

    /// The address that all of them are on.
    pub(crate) const fn host(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }

    /// JSON-RPC of the chain with this index.
    pub(crate) const fn rpc(self, chain: u16) -> SocketAddr {
        local(self.rpc + chain)
    }

    /// The first of the JSON-RPC ports.
    pub(crate) const fn rpc_base(self) -> u16 {
        self.rpc
    }

    /// The aggregator's API.
    pub(crate) const fn api(self) -> SocketAddr {
        local(self.api)
    }

    /// Metrics and health of the role with this index.
    pub(crate) const fn admin(self, role: u16) -> SocketAddr {
        local(self.admin + role)
    }

    /// What the role with this index offers to other roles.
    pub(crate) const fn internal(self, role: u16) -> SocketAddr {
        local(self.internal + role)
    }
}

/// Checks that nothing listens on `address` yet.
pub(crate) fn require_free(address: SocketAddr, purpose: &str) -> Result<(), Taken> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(source) => Err(Taken { port: address.port(), purpose: purpose.to_owned(), source }),
    }
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_the_flag_that_helps() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = require_free(held.local_addr().unwrap(), "RPC of chain 700001").unwrap_err();
        assert!(error.to_string().contains("--port-base"), "{error}");
    }
}
