use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use chain::Manifest;
use eyre::{WrapErr, bail};
use stylus_program::Programs;

use super::{
    chains::{give_test_tokens, mint_test_tokens, wait_for_chains},
    configs::Setting,
    deployment::deploy,
    healthy::{Endpoint, wait_until_healthy},
    keys::{Holder, write_once},
    layout::{FINALIZED_LAG, Layout, Role, SOLVERS},
    network::{External, Network},
    supervisor::{ChildSpec, Folders, Supervisor},
};

/// A block every quarter of a second, as Arbitrum chains make them.
const BLOCK_TIME: Duration = Duration::from_millis(250);
/// Longest wait for the chains to answer.
const CHAINS_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for every service to be healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(90);

/// The processes of a local system: chains, and what stands on them.
#[derive(Debug)]
pub(crate) struct System {
    layout: Layout,
    chains: Supervisor,
    services: Supervisor,
    /// Held as long as the system lives.
    _lock: File,
}

impl System {
    /// Takes the folder; starts nothing yet.
    ///
    /// # Errors
    /// The folder cannot be used, or another system uses it; a port is taken.
    pub(crate) fn new(layout: Layout) -> eyre::Result<Self> {
        let folder = layout.data().display().to_string();
        layout.create().wrap_err_with(|| format!("cannot use the data folder {folder}"))?;
        let lock = File::create(layout.data().join("lock")).wrap_err_with(|| folder.clone())?;
        if lock.try_lock().is_err() {
            bail!("another `metalayer up` uses {folder}: stop it, or choose another --data-dir");
        }
        layout.require_free_ports()?;
        let folders = Folders { logs: layout.logs(), pids: layout.pids() };
        Ok(Self {
            chains: Supervisor::new(folders.clone())?,
            services: Supervisor::new(folders)?,
            layout,
            _lock: lock,
        })
    }

    pub(crate) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Brings everything up, from nothing to healthy; `step` hears of what is done.
    pub(crate) async fn begin(&self, step: impl Fn(&str)) -> eyre::Result<Manifest> {
        let manifest = self.deploy(&step).await?;
        self.write_configs(&manifest)?;
        step("starting validators, relayer, solvers and aggregator");
        let mut endpoints = Vec::new();
        for role in Role::services() {
            self.services.start(self.child(role));
            endpoints.push(Endpoint { name: role.to_string(), admin: self.layout.admin(role) });
        }
        wait_until_healthy(&self.services, endpoints, HEALTHY_WITHIN, |name| {
            step(&format!("{name} is healthy"));
        })
        .await?;
        Ok(manifest)
    }

    /// Chains with the contracts, and nothing that serves them.
    pub(crate) async fn deploy(&self, step: impl Fn(&str)) -> eyre::Result<Manifest> {
        step("building the on-chain programs (a minute or two the first time)");
        tokio::task::spawn_blocking(Programs::load_or_build).await??;
        match &self.layout.network {
            Network::Embedded { chains } => {
                step(&format!("starting {chains} chains"));
                self.write_devnet(*chains)?;
                self.chains.start(self.child(Role::Devnet));
                wait_for_chains(&self.layout, &self.chains, CHAINS_WITHIN).await?;
                step("deploying the contracts");
                let manifest = deploy(&self.layout).await?;
                mint_test_tokens(&manifest).await?;
                Ok(manifest)
            }
            Network::External(external) => self.deploy_on(external, step).await,
        }
    }

    async fn deploy_on(&self, external: &External, step: impl Fn(&str)) -> eyre::Result<Manifest> {
        let keys = &self.layout.keys;
        let holders: Vec<_> = Holder::operators().chain([Holder::User(0)]).collect();
        step(&format!("checking {} chains and the funded account", external.chains.len()));
        external.check(keys, &holders).await?;
        step("paying into the keys of the roles");
        external.fund(keys, &holders).await?;
        step("deploying the contracts");
        let manifest = deploy(&self.layout).await?;
        let given = (0..SOLVERS).map(Holder::Solver).chain([Holder::User(0)]);
        let given = given.map(|holder| keys.address(holder)).collect::<eyre::Result<Vec<_>>>()?;
        give_test_tokens(&manifest, &external.funded.load()?, &given).await?;
        Ok(manifest)
    }

    /// Completes when a child cannot be kept alive at all.
    pub(crate) async fn failed(&self) {
        tokio::select! {
            () = self.chains.failed() => {}
            () = self.services.failed() => {}
        }
    }

    /// Stops the services and then the chains.
    pub(crate) async fn stop(self) -> eyre::Result<()> {
        let stopped = self.services.stop().await;
        let chains_stopped = self.chains.stop().await;
        stopped?;
        Ok(chains_stopped?)
    }

    fn write_configs(&self, manifest: &Manifest) -> eyre::Result<()> {
        let layout = &self.layout;
        let chains = layout.network.kind();
        let setting = Setting { chains, ..Setting::local(layout.keys.clone()) };
        let solvers = solver_urls(|role| format!("http://{}", layout.internal(role)));
        for role in Role::services() {
            let text = setting.config(role, &layout.place(role), manifest, &solvers);
            let mut text = text.unwrap_or_default();
            if matches!(role, Role::Solver(_)) {
                let token = layout.state(role).join("admin.token");
                write_once(&token).wrap_err_with(|| token.display().to_string())?;
                text = with_admin_token(&token, &text);
            }
            let path = layout.config(role);
            fs::write(&path, text).wrap_err_with(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn write_devnet(&self, chains: u16) -> eyre::Result<()> {
        let (host, port) = (self.layout.ports.host(), self.layout.ports.rpc_base());
        let state = self.layout.state(Role::Devnet);
        let path = self.layout.config(Role::Devnet);
        let text = devnet_config(chains, (&host.to_string(), port), &state.display().to_string());
        fs::write(&path, text).wrap_err_with(|| path.display().to_string())
    }

    fn child(&self, role: Role) -> ChildSpec {
        let arguments = vec![
            role.command().into(),
            "--config".into(),
            self.layout.config(role).into(),
            "--stop-with-stdin".into(),
        ];
        ChildSpec { name: role.to_string(), arguments }
    }
}

/// The configuration of a solver whose operator's API takes the token in this file.
pub(super) fn with_admin_token(file: &Path, config: &str) -> String {
    let token = toml::Value::String(format!("file:{}", file.display()));
    format!("admin_token = {token}\n{config}")
}

/// Names of the solvers, with the base URLs of their APIs.
pub(super) fn solver_urls(url: impl Fn(Role) -> String) -> Vec<(String, String)> {
    (0..SOLVERS).map(Role::Solver).map(|role| (role.to_string(), url(role))).collect()
}

/// Configuration file of the chains.
pub(super) fn devnet_config(chains: u16, (host, port): (&str, u16), data_dir: &str) -> String {
    let mut table = toml::Table::new();
    table.insert("chains".into(), i64::from(chains).into());
    table.insert("host".into(), host.into());
    table.insert("port_base".into(), i64::from(port).into());
    table.insert("block_time".into(), humantime::format_duration(BLOCK_TIME).to_string().into());
    table.insert("finalized_lag".into(), FINALIZED_LAG.cast_signed().into());
    table.insert("data_dir".into(), data_dir.into());
    table.to_string()
}
