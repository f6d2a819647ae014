use std::fmt;

use chain::Manifest;
use devnet::genesis::DEV_ADDRESSES;
use serde::Serialize;

use url::Url;

use super::{
    keys::{Holder, Keyring},
    layout::{Layout, Role},
};

/// What a person needs to use the local system.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Screen {
    chains: Vec<ChainView>,
    api: String,
    api_docs: String,
    manifest: String,
    logs: String,
    metrics: Vec<RoleView>,
    accounts: Vec<AccountView>,
    /// How this program was called: what a person can type again.
    #[serde(skip)]
    program: String,
}

#[derive(Debug, Clone, Serialize)]
struct ChainView {
    chain_id: u64,
    name: String,
    rpc: String,
    intent_source: String,
    inbox: String,
    router: String,
    mailbox: String,
    prover_instant: String,
    prover_finalized: String,
    test_token: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct RoleView {
    role: String,
    url: String,
}

#[derive(Debug, Clone, Serialize)]
struct AccountView {
    /// How commands name it: an account's number, or a reference to its key.
    name: String,
    address: String,
}

/// Accounts of the mnemonic that no role uses.
const FREE_ACCOUNTS: std::ops::Range<usize> = 10..13;

impl Screen {
    pub(crate) fn new(layout: &Layout, manifest: &Manifest) -> eyre::Result<Self> {
        let rpcs = layout.rpcs()?;
        let chains = manifest.iter().map(|(name, chain)| {
            let rpc = rpcs.get(&chain.chain_id.0);
            ChainView {
                chain_id: chain.chain_id.0,
                name: name.to_owned(),
                rpc: rpc.map(shown).unwrap_or_default(),
                intent_source: chain.contracts.intent_source.to_string(),
                inbox: chain.contracts.inbox.to_string(),
                router: chain.contracts.router.to_string(),
                mailbox: chain.contracts.mailbox.to_string(),
                prover_instant: chain.contracts.meta_prover_instant.to_string(),
                prover_finalized: chain.contracts.meta_prover_finalized.to_string(),
                test_token: chain.contracts.test_token.map(|token| token.to_string()),
            }
        });
        let api = format!("http://{}", layout.ports.api());
        Ok(Self {
            chains: chains.collect(),
            api_docs: format!("{api}/docs"),
            api,
            manifest: layout.manifest().display().to_string(),
            logs: layout.logs().display().to_string(),
            metrics: Role::services()
                .map(|role| RoleView {
                    role: role.to_string(),
                    url: format!("http://{}/metrics", layout.admin(role)),
                })
                .collect(),
            accounts: accounts(&layout.keys)?,
            program: std::env::args().next().unwrap_or_else(|| "metalayer".to_owned()),
        })
    }
}

/// A URL as people write it, without anything secret that it may hold.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

fn accounts(keys: &Keyring) -> eyre::Result<Vec<AccountView>> {
    match keys {
        Keyring::Development => Ok(FREE_ACCOUNTS
            .filter_map(|index| {
                let address = DEV_ADDRESSES.get(index)?.to_string();
                Some(AccountView { name: format!("--account {index}"), address })
            })
            .collect()),
        Keyring::Files(_) => {
            let user = Holder::User(0);
            let name = format!("--key {}", keys.reference(user));
            Ok(vec![AccountView { name, address: keys.address(user)?.to_string() }])
        }
    }
}

impl fmt::Display for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nMetalayer is up.\n")?;
        for chain in &self.chains {
            writeln!(f, "chain {}          {}", chain.chain_id, chain.rpc)?;
            for (what, address) in [
                ("IntentSource", &chain.intent_source),
                ("Inbox", &chain.inbox),
                ("MetalayerRouter", &chain.router),
                ("Mailbox", &chain.mailbox),
                ("MetaProver (instant)", &chain.prover_instant),
                ("MetaProver (finalized)", &chain.prover_finalized),
            ] {
                writeln!(f, "  {what:<24}{address}")?;
            }
            if let Some(token) = &chain.test_token {
                writeln!(f, "  {:<24}{token}", "test token (TT)")?;
            }
        }
        writeln!(f, "\nAPI       {}  (documentation: {})", self.api, self.api_docs)?;
        writeln!(f, "manifest  {}", self.manifest)?;
        writeln!(f, "logs      {}", self.logs)?;
        writeln!(f, "\nfunded accounts; `send` uses the first")?;
        for account in &self.accounts {
            writeln!(f, "  {}  {}", account.address, account.name)?;
        }
        let ids: Vec<_> = self.chains.iter().map(|chain| chain.chain_id.to_string()).collect();
        if let [origin, destination, ..] = ids.as_slice() {
            let program = &self.program;
            writeln!(f, "\ntry, in another terminal")?;
            writeln!(f, "  {program} send 0.1 ETH --from {origin} --to {destination}")?;
            if self.chains.iter().all(|chain| chain.test_token.is_some()) {
                writeln!(
                    f,
                    "  {program} send 25 TT --from {destination} --to {origin} --cheapest"
                )?;
            }
            writeln!(f, "  {program} history")?;
        }
        write!(f, "\nCtrl-C stops everything.")
    }
}
