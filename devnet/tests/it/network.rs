//! A running network, and waiting for what it does.

use std::time::{Duration, Instant};

use alloy::{
    network::EthereumWallet,
    providers::{DynProvider, Provider, ProviderBuilder, WsConnect},
};
use devnet::{ChainConfig, ChainHandle, Config, Handle, genesis};

/// How long a test waits for something that should happen soon.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A network of one chain, with clients.
pub(crate) struct Network {
    pub(crate) handle: Handle,
}

impl Network {
    pub(crate) async fn start(config: ChainConfig) -> Self {
        let config = Config { chains: vec![config], ..Config::default() };
        Self { handle: devnet::spawn(config).await.unwrap() }
    }

    pub(crate) fn chain(&self) -> &ChainHandle {
        &self.handle.chains()[0]
    }

    /// A client over HTTP with the keys of the development accounts.
    pub(crate) fn http(&self) -> DynProvider {
        let url = self.chain().http_url().parse().unwrap();
        ProviderBuilder::new().wallet(wallet()).connect_http(url).erased()
    }

    /// The same over WebSocket.
    pub(crate) async fn ws(&self) -> DynProvider {
        let connect = WsConnect::new(self.chain().ws_url());
        ProviderBuilder::new().wallet(wallet()).connect_ws(connect).await.unwrap().erased()
    }
}

fn wallet() -> EthereumWallet {
    let mut signers = genesis::dev_signers().unwrap().into_iter();
    let mut wallet = EthereumWallet::from(signers.next().unwrap());
    for signer in signers {
        wallet.register_signer(signer);
    }
    wallet
}

/// Asks until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let start = Instant::now();
    while !ask().await {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
