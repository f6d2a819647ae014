use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use api::{
    Client,
    aggregator::{AmountRequest, Preference, Quote, QuoteRequest, Security, Token},
};
use chain::{KeySource, Manifest};
use clap::ValueEnum;
use eyre::{OptionExt, bail, ensure};
use url::Url;

use crate::{
    amounts,
    local::{self, Pointer},
};

/// Where the aggregator listens unless told otherwise.
const API: &str = "http://127.0.0.1:8080";
/// First account of the development mnemonic that no role of the local system uses.
const FREE_ACCOUNT: u32 = 10;

/// Which system to talk to.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct System {
    /// Base URL of the aggregator; that of the system `metalayer up` started last by default.
    #[arg(long, value_name = "URL", env = "METALAYER_API")]
    api: Option<Url>,

    /// Deployment manifest; that of the system `metalayer up` started last by default.
    #[arg(long, value_name = "FILE", env = "METALAYER_MANIFEST")]
    manifest: Option<std::path::PathBuf>,
}

/// Whose money.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Account {
    /// Key to sign with: env:NAME, file:PATH or keystore:PATH?password=env:NAME.
    #[arg(long, value_name = "KEY", env = "METALAYER_KEY", hide_env_values = true)]
    key: Option<KeySource>,

    /// Account of the development mnemonic to sign with, for development chains; the first that no
    /// role uses by default.
    #[arg(long, value_name = "INDEX", conflicts_with = "key")]
    account: Option<u32>,
}

/// What to move, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Transfer {
    /// How much to send, in whole tokens.
    amount: String,

    /// Symbol or address of the token.
    #[arg(default_value = "ETH")]
    token: String,

    /// Chain id that the money leaves; the first chain by default.
    #[arg(long, value_name = "CHAIN")]
    from: Option<u64>,

    /// Chain id where it arrives; the second chain by default.
    #[arg(long, value_name = "CHAIN")]
    to: Option<u64>,

    /// Symbol or address of the token that arrives; the same symbol by default.
    #[arg(long, value_name = "TOKEN")]
    receive: Option<String>,

    /// Who receives; the sender by default.
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<Address>,

    /// Only quotes of this provider. One whose transfers are not followed is trusted with the amount by naming it.
    #[arg(long)]
    provider: Option<String>,

    /// How sure the settlement must be before the solver is paid.
    #[arg(long)]
    security: Option<SecurityArg>,

    /// Sign an order instead of sending it: a solver opens it and pays the origin's gas. For tokens.
    #[arg(long)]
    gasless: bool,

    /// Favour the largest output.
    #[arg(long, group = "preference")]
    cheapest: bool,

    /// Favour the shortest time.
    #[arg(long, group = "preference")]
    fastest: bool,

    /// Favour the strongest security.
    #[arg(long, group = "preference")]
    safest: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SecurityArg {
    Instant,
    Finalized,
}

/// What a transfer means on the chains at hand.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) request: QuoteRequest,
    pub(crate) token_in: Token,
    pub(crate) token_out: Token,
}

impl System {
    /// A client of the aggregator.
    pub(crate) fn client(&self) -> eyre::Result<Client> {
        let url = match &self.api {
            Some(url) => url.clone(),
            None => {
                Pointer::load().map_or_else(|| API.to_owned(), |pointer| pointer.api).parse()?
            }
        };
        Ok(Client::new(url)?)
    }

    /// The deployment manifest.
    pub(crate) fn manifest(&self) -> eyre::Result<Manifest> {
        let path = match &self.manifest {
            Some(path) => path.clone(),
            None => {
                Pointer::load()
                    .ok_or_eyre("no local system is up: start `metalayer up`, or give --manifest")?
                    .manifest
            }
        };
        Ok(Manifest::load(path)?)
    }
}

impl Account {
    pub(crate) fn signer(&self) -> eyre::Result<PrivateKeySigner> {
        let own = Pointer::load().and_then(|system| system.key);
        match (&self.key, self.account, own) {
            (Some(key), _, _) => Ok(key.load()?),
            (None, Some(index), _) => local::account(index),
            (None, None, Some(key)) => Ok(key.parse::<KeySource>()?.load()?),
            (None, None, None) => local::account(FREE_ACCOUNT),
        }
    }
}

impl Transfer {
    /// Looks chains and tokens up.
    pub(crate) async fn resolve(&self, client: &Client, sender: Address) -> eyre::Result<Resolved> {
        let chains = client.chains().await?.chains;
        let mut ids: Vec<_> = chains.iter().map(|chain| chain.chain_id).collect();
        ids.sort_unstable();
        let pick = |given: Option<u64>, other: Option<u64>| {
            given.or_else(|| ids.iter().copied().find(|id| Some(*id) != other))
        };
        let origin = pick(self.from, self.to).ok_or_eyre("the aggregator serves no chain")?;
        let destination =
            pick(self.to, Some(origin)).ok_or_eyre("the aggregator serves one chain only")?;
        for id in [origin, destination] {
            if !ids.contains(&id) {
                bail!("no chain {id}; the aggregator serves {ids:?}");
            }
        }
        let tokens = client.tokens().await?.tokens;
        let token_in = find(&tokens, origin, &self.token)?;
        let wanted = self.receive.as_ref().unwrap_or(&token_in.symbol);
        let token_out = find(&tokens, destination, wanted)?;
        let amount = amounts::parsed(&self.amount, &token_in)?;
        if let Some(provider) = &self.provider {
            require_provider(client, provider).await?;
        }
        let request = QuoteRequest {
            origin_chain_id: origin,
            origin_token: token_in.address,
            destination_chain_id: destination,
            destination_token: token_out.address,
            amount: AmountRequest::ExactInput(amount.into()),
            sender: Some(sender),
            recipient: self.recipient,
            refund_address: None,
            preference: self.preference(),
            security: self.security.map(|security| match security {
                SecurityArg::Instant => Security::Instant,
                SecurityArg::Finalized => Security::Finalized,
            }),
            slippage_bps: 50,
            gasless: self.gasless,
            calls: Vec::new(),
            providers: self.provider.iter().cloned().collect(),
        };
        Ok(Resolved { request, token_in, token_out })
    }

    const fn preference(&self) -> Preference {
        match (self.cheapest, self.fastest, self.safest) {
            (true, _, _) => Preference::Cheapest,
            (_, true, _) => Preference::Fastest,
            (_, _, true) => Preference::Safest,
            (false, false, false) => Preference::Recommended,
        }
    }
}

impl Resolved {
    /// Whether what arrives is the money that is sent, so that amounts can be compared.
    pub(crate) fn is_same_money(&self) -> bool {
        self.token_in.symbol == self.token_out.symbol
            && self.token_in.decimals == self.token_out.decimals
    }

    /// Ranked quotes, at least one.
    ///
    /// # Errors
    /// Nobody quotes: with every provider's reason.
    pub(crate) async fn quotes(&self, client: &Client) -> eyre::Result<Vec<Quote>> {
        let response = client.quote(&self.request).await?;
        if response.quotes.is_empty() {
            let reasons: Vec<_> = response
                .unavailable
                .iter()
                .map(|provider| format!("{}: {}", provider.provider, provider.message))
                .collect();
            bail!("nobody quotes this transfer\n{}", reasons.join("\n"));
        }
        Ok(response.quotes)
    }
}

async fn require_provider(client: &Client, name: &str) -> eyre::Result<()> {
    let providers = client.providers().await?.providers;
    let known: Vec<_> = providers.iter().map(|provider| provider.name.as_str()).collect();
    ensure!(known.contains(&name), "no provider {name:?}; there are {}", known.join(", "));
    Ok(())
}

fn find(tokens: &[Token], chain_id: u64, name: &str) -> eyre::Result<Token> {
    let address: Option<Address> = name.parse().ok();
    let mut here = tokens.iter().filter(|token| token.chain_id == chain_id);
    let matches =
        |token: &&Token| token.symbol.eq_ignore_ascii_case(name) || Some(token.address) == address;
    here.clone().find(matches).cloned().ok_or_else(|| {
        let known: Vec<_> = here.by_ref().map(|token| token.symbol.as_str()).collect();
        eyre::eyre!("no token {name:?} on chain {chain_id}; there are {}", known.join(", "))
    })
}
