use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use alloy::primitives::Address;
use api::aggregator::{AmountRequest, Preference, QuoteRequest};
use chain::{Manifest, manifest::FORMAT};
use eyre::{OptionExt, bail};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::sleep,
};

use super::provider::BRIDGE;

pub(super) const ORIGIN: u64 = 700_001;
pub(super) const DESTINATION: u64 = 700_002;
pub(super) const TOKEN: Address = Address::repeat_byte(0xaa);

/// How an aggregator is configured.
#[derive(Debug)]
pub(super) struct Setup<'a> {
    pub(super) providers: &'a [String],
    /// How long offers are kept.
    pub(super) keep: &'a str,
    /// Requests that are worked on at once, and as many in the queue; as by default when `None`.
    pub(super) places: Option<usize>,
    /// A database in this folder.
    pub(super) folder: Option<PathBuf>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self { providers: &[], keep: "0s", places: None, folder: None }
    }
}

/// An aggregator that runs in a process of its own; killed with the value.
#[derive(Debug)]
pub(super) struct Aggregator {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Aggregator {
    pub(super) async fn start(setup: &Setup<'_>) -> eyre::Result<Self> {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir()?;
        let (port, admin) = (free_port().await?, free_port().await?);
        let config = folder.path().join("aggregator.toml");
        fs::write(&config, config_text(setup, &folder, port, admin)?)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["aggregator", "--config"])
            .arg(&config)
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut started = Self { child, port, _folder: folder };
        started.wait().await?;
        Ok(started)
    }

    async fn wait(&mut self) -> eyre::Result<()> {
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the aggregator ended: {status}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("the aggregator does not listen")
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Its port.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Where quotes are asked for.
    pub(super) fn quotes(&self) -> String {
        format!("http://127.0.0.1:{}/v1/quotes", self.port)
    }
}

fn config_text(setup: &Setup<'_>, folder: &TempDir, port: u16, admin: u16) -> eyre::Result<String> {
    let manifest = folder.path().join("manifest.json");
    // No chain: what is measured is the way from a request to its quotes.
    let none = Manifest {
        format: FORMAT,
        metalayer: env!("CARGO_PKG_VERSION").into(),
        hyperlane: None,
        chains: Default::default(),
    };
    none.save(&manifest)?;
    let database =
        setup.folder.clone().unwrap_or_else(|| folder.path().to_owned()).join("bench.db");
    let path = |path: &std::path::Path| path.to_str().map(str::to_owned).ok_or_eyre("odd path");
    let mut text = format!(
        "listen = \"127.0.0.1:{port}\"\nadmin = \"127.0.0.1:{admin}\"\nmanifest = {:?}\n\
         database = \"sqlite:{}\"\nintegrity_key = \"a key of the bench and of nobody else\"\n\
         [limits]\nmax_quote_life = \"48h\"\n\
         [cache]\noffers = \"{}\"\n[patience]\ndeadline = \"600ms\"\nenough = 99\n\
         [admission]\nanonymous_per_second = 0\nstreams = 1000000\nstreams_each = 1000000\n{}",
        path(&manifest)?,
        path(&database)?,
        setup.keep,
        setup.places.map_or_else(String::new, |places| {
            format!("concurrency = {places}\nqueue = {places}\n")
        }),
    );
    for chain in [ORIGIN, DESTINATION] {
        text += &format!(
            "[[tokens]]\nchain_id = {chain}\naddress = \"{TOKEN}\"\nsymbol = \"USDX\"\n\
             decimals = 6\nmicro_usd = 1000000\n"
        );
    }
    for (index, url) in setup.providers.iter().enumerate() {
        text += &format!(
            "[[providers]]\nname = \"provider-{index}\"\nurl = \"{url}\"\n\
             [[providers.contracts]]\nchain_id = {ORIGIN}\naddress = \"{BRIDGE}\"\n"
        );
    }
    Ok(text)
}

async fn free_port() -> eyre::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

/// The body of a quote request.
pub(super) fn request() -> String {
    let request = QuoteRequest {
        origin_chain_id: ORIGIN,
        origin_token: TOKEN,
        destination_chain_id: DESTINATION,
        destination_token: TOKEN,
        amount: AmountRequest::ExactInput(100_000_000.into()),
        sender: Some(Address::repeat_byte(7)),
        recipient: None,
        refund_address: None,
        preference: Preference::Recommended,
        security: None,
        slippage_bps: 50,
        gasless: false,
        calls: Vec::new(),
        providers: Vec::new(),
    };
    serde_json::to_string(&request).unwrap_or_default()
}
