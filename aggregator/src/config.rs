use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use alloy::primitives::Address;
use api::aggregator::RouteLimit;
use prices::{Price, PricesConfig};
use service::{
    config::{FromToml, Section},
    secret::Secret,
};
use url::Url;

use crate::{
    cache::Lifetimes,
    http::{AdmissionConfig, ApiKey, Scope, StreamLimits},
    provider::{Asking, BreakerConfig, Recipients},
    quoting::{Limits, Patience, Simulations},
    webhooks::WebhookConfig,
};

/// Where the API listens unless the configuration says otherwise.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8_080);
/// Largest request body: a request with sixteen calls of 8 KiB fits, in hexadecimal.
const MAX_BODY: usize = 512 * 1024;

/// The aggregator's configuration file; `examples/aggregator.toml` shows every key.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the API listens; port 0 takes any.
    pub listen: SocketAddr,
    /// Where `/metrics` and `/health` for operators are.
    pub admin: SocketAddr,
    /// The deployment.
    pub manifest: PathBuf,
    /// `sqlite:<path>` or `postgres://…`.
    pub database: String,
    /// Name of this instance; differs between instances that share a database.
    pub instance: String,
    /// Key of the quote ids, the same on every instance; at least 32 characters.
    pub integrity_key: Secret,
    /// How long providers are waited for.
    pub patience: Patience,
    /// When a provider is left alone.
    pub breaker: BreakerConfig,
    /// Questions to one provider at once.
    pub provider_concurrency: usize,
    /// How many steps are simulated at once.
    pub simulations: Simulations,
    /// Bounds on value and time.
    pub limits: Limits,
    /// Whether orders may be signed instead of sent.
    pub gasless: bool,
    /// How long answers are kept.
    pub cache: Lifetimes,
    /// How changed orders are told.
    pub webhooks: WebhookConfig,
    /// Who may ask how much.
    pub admission: AdmissionConfig,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Origins of pages that may call the API.
    pub cors_origins: Vec<String>,
    /// Where prices that tokens name come from, and when they are believed.
    pub prices: Option<PricesConfig>,
    /// Tokens that can be moved.
    pub tokens: Vec<TokenConfig>,
    /// Our solvers.
    pub solvers: Vec<SolverConfig>,
    /// Other quoting services.
    pub providers: Vec<ProviderConfig>,
    /// What may be moved on which routes.
    pub routes: Vec<RouteLimit>,
}

/// A token of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its address; zero for the native currency.
    pub address: Address,
    /// Its symbol.
    pub symbol: String,
    /// How many decimals its amounts have.
    pub decimals: u8,
    /// What it is worth.
    pub price: TokenPrice,
    /// Whether an allowance must be set to zero before it is set anew.
    pub reset_approval: bool,
}

/// What a token is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPrice {
    /// Nobody says.
    Unknown,
    /// Always this, for development and tests.
    Fixed(Price),
    /// What `[prices]` says of this symbol.
    Market(String),
}

impl TokenPrice {
    /// The symbol, where the price comes from `[prices]`.
    pub fn symbol(&self) -> Option<&str> {
        match self {
            Self::Market(symbol) => Some(symbol),
            Self::Unknown | Self::Fixed(_) => None,
        }
    }
}

/// A solver of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolverConfig {
    /// Name in the logs.
    pub name: String,
    /// Base URL of its API.
    pub url: Url,
}

/// A quoting service that speaks the form of [`crate::provider::HttpQuotes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Name in answers.
    pub name: String,
    /// Where it is asked.
    pub url: Url,
    /// Its contracts, by chain: nothing else is called or approved for it.
    pub contracts: Vec<ContractConfig>,
    /// Whom it may be asked to pay.
    pub recipients: Recipients,
}

/// A contract of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContractConfig {
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its address.
    pub address: Address,
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Whose it is and what it allows.
    pub key: ApiKey,
}

impl FromToml for Config {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let listen =
            section.or_default("listen", LISTEN.into(), "an address such as 127.0.0.1:8080");
        let admin = section.required("admin", "an address such as 127.0.0.1:9100");
        let manifest = section.path("manifest");
        let database = section.required("database", "sqlite:<path> or postgres://user@host/name");
        let instance = section.or_default("instance", "main".to_owned(), "a name");
        let integrity_key = section.secret("integrity_key");
        if integrity_key.as_ref().is_some_and(|key| key.expose().len() < 32) {
            section.fault("integrity_key", "at least 32 characters", "fewer");
        }
        let patience = section.optional_section::<PatienceKeys>("patience");
        let breaker = section.optional_section::<BreakerKeys>("breaker");
        let provider_concurrency = section.or_default(
            "provider_concurrency",
            Asking::default().at_once,
            "a number of questions",
        );
        let simulations = section.optional_section::<SimulationKeys>("simulations");
        let limits = section.optional_section::<LimitKeys>("limits");
        let cache = section.optional_section::<CacheKeys>("cache");
        let webhooks = section.optional_section::<WebhookKeys>("webhooks");
        let admission = section.optional_section::<AdmissionKeys>("admission");
        let gasless = section.or_default("gasless", true, "true or false");
        let max_body = section.or_default("max_body", MAX_BODY, "a number of bytes");
        let cors_origins = section.list("cors_origins", "origins such as https://bridge.example");
        let prices = section.optional_section::<PricesConfig>("prices");
        let tokens = section.tables::<TokenConfig>("tokens");
        if prices.is_some() || !section.has("prices") {
            refuse_unknown_prices(section, tokens.as_deref().unwrap_or_default(), prices.as_ref());
        }
        let solvers = section.tables("solvers");
        let providers = section.tables("providers");
        let routes = section.tables::<RouteKeys>("routes");
        Some(Self {
            listen,
            admin: admin?,
            manifest: manifest?,
            database: database?,
            instance,
            integrity_key: integrity_key?,
            patience: patience.map_or_else(Patience::default, |keys| keys.0),
            breaker: breaker.map_or_else(BreakerConfig::default, |keys| keys.0),
            provider_concurrency,
            simulations: simulations.map_or_else(Simulations::default, |keys| keys.0),
            limits: limits.map_or_else(Limits::default, |keys| keys.0),
            gasless,
            cache: cache.map_or_else(Lifetimes::default, |keys| keys.0),
            webhooks: webhooks.map_or_else(WebhookConfig::default, |keys| keys.0),
            admission: admission.map_or_else(AdmissionConfig::default, |keys| keys.0),
            max_body,
            cors_origins,
            prices,
            tokens: tokens?,
            solvers: solvers?,
            providers: providers?,
            routes: routes?.into_iter().map(|keys| keys.0).collect(),
        })
    }
}

impl FromToml for TokenConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let chain_id = section.required("chain_id", "an EIP-155 chain id");
        let address = section.or_default("address", Address::ZERO, "an address, none for native");
        let symbol = section.required("symbol", "a symbol such as USDC");
        let decimals = section.required("decimals", "a number from 0 to 36");
        if decimals.is_some_and(|decimals: u8| decimals > 36) {
            section.fault("decimals", "a number from 0 to 36", "more");
        }
        let price = token_price(section);
        let reset_approval = section.or_default("reset_approval", false, "true or false");
        Some(Self {
            chain_id: chain_id?,
            address,
            symbol: symbol?,
            decimals: decimals?,
            price: price?,
            reset_approval,
        })
    }
}

/// The price of a token: the symbol of one, or the price itself, or nothing.
fn token_price(section: &mut Section<'_>) -> Option<TokenPrice> {
    let symbol = section.optional("price", "a symbol that [prices] knows");
    let micro_usd = section.optional("micro_usd", "millionths of a US dollar for one token");
    match (symbol, micro_usd) {
        (None, None) => Some(TokenPrice::Unknown),
        (Some(symbol), None) => Some(TokenPrice::Market(symbol)),
        (None, Some(micro_usd)) => {
            let price = Price::from_micro_usd(micro_usd).map(TokenPrice::Fixed);
            if price.is_none() {
                section.fault("micro_usd", "a number above 0", "0");
            }
            price
        }
        (Some(_), Some(_)) => {
            section.fault("price", "one of `price` and `micro_usd`", "both");
            None
        }
    }
}

/// A price that too few sources carry would never be believed.
fn refuse_unknown_prices(
    section: &mut Section<'_>,
    tokens: &[TokenConfig],
    prices: Option<&PricesConfig>,
) {
    let needed = prices.map_or(1, |prices| prices.limits.sources_needed());
    for (index, token) in tokens.iter().enumerate() {
        let Some(symbol) = token.price.symbol() else { continue };
        let given = prices.map_or(0, |prices| prices.carriers(symbol));
        if given < needed {
            section.fault(
                &format!("tokens.{index}.price"),
                &format!("a symbol that at least {needed} of prices.sources carry"),
                &format!("{symbol}, which {given} carry"),
            );
        }
    }
}

impl FromToml for SolverConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let name = section.required("name", "a name");
        let url = section.required("url", "a URL such as http://127.0.0.1:9200");
        Some(Self { name: name?, url: url? })
    }
}

impl FromToml for ProviderConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let name = section.required("name", "a name");
        let url = section.required("url", "a URL such as https://quotes.example/v1");
        let contracts = section.tables("contracts");
        let mut addresses = |key| section.list(key, "addresses").into_iter().collect();
        let recipients =
            Recipients { allow: addresses("allow_recipients"), deny: addresses("deny_recipients") };
        Some(Self { name: name?, url: url?, contracts: contracts?, recipients })
    }
}

impl FromToml for ContractConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let chain_id = section.required("chain_id", "an EIP-155 chain id");
        let address = section.required("address", "an address");
        Some(Self { chain_id: chain_id?, address: address? })
    }
}

struct PatienceKeys(Patience);

impl FromToml for PatienceKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = Patience::default();
        Some(Self(Patience {
            deadline: section.duration_or("deadline", default.deadline),
            enough: section.or_default("enough", default.enough, "a number of offers"),
            enough_by: section.duration_or("enough_by", default.enough_by),
            relax_every: section.duration_or("relax_every", default.relax_every),
        }))
    }
}

struct BreakerKeys(BreakerConfig);

impl FromToml for BreakerKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = BreakerConfig::default();
        let failures = section.or_default("failures", default.failures, "a number above 0");
        let open_for: Duration = section.duration_or("open_for", default.open_for);
        if failures == 0 {
            section.fault("failures", "a number above 0", "0");
            return None;
        }
        Some(Self(BreakerConfig { failures, open_for }))
    }
}

struct LimitKeys(Limits);

impl FromToml for LimitKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = Limits::default();
        Some(Self(Limits {
            max_gain: section.or_default("max_gain", default.max_gain, "a fraction such as 0.02"),
            max_loss: section.or_default("max_loss", default.max_loss, "a fraction such as 0.2"),
            dust_usd: section.or_default("dust_usd", default.dust_usd, "US dollars"),
            max_spread: section.or_default(
                "max_spread",
                default.max_spread,
                "a fraction such as 0.25",
            ),
            max_order_usd: section.optional("max_order_usd", "US dollars"),
            max_quote_life: section.duration_or("max_quote_life", default.max_quote_life),
            max_escrow: section.duration_or("max_escrow", default.max_escrow),
        }))
    }
}

struct SimulationKeys(Simulations);

impl FromToml for SimulationKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = Simulations::default();
        Some(Self(Simulations {
            at_once: section.or_default("at_once", default.at_once, "a number, 0 for none"),
            wait: section.duration_or("wait", default.wait),
            deadline: section.duration_or("deadline", default.deadline),
        }))
    }
}

struct RouteKeys(RouteLimit);

impl FromToml for RouteKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        const AMOUNT: &str = "decimal digits of the origin token's smallest unit";
        let limit = RouteLimit {
            origin_chain_id: section.optional("origin_chain_id", "an EIP-155 chain id"),
            destination_chain_id: section.optional("destination_chain_id", "an EIP-155 chain id"),
            origin_token: section.optional("origin_token", "an address, zero for native"),
            destination_token: section.optional("destination_token", "an address, zero for native"),
            min_amount: section.optional("min_amount", AMOUNT),
            max_amount: section.optional("max_amount", AMOUNT),
            min_usd: section.optional("min_usd", "US dollars"),
            max_usd: section.optional("max_usd", "US dollars"),
        };
        let amounts = limit.min_amount.is_some() || limit.max_amount.is_some();
        if amounts && (limit.origin_chain_id.is_none() || limit.origin_token.is_none()) {
            // An amount of one token is another sum of another.
            section.fault("origin_token", "a chain and a token, of which the amounts are", "none");
            return None;
        }
        if !amounts && limit.min_usd.is_none() && limit.max_usd.is_none() {
            section.fault("max_usd", "a minimum or a maximum", "none");
            return None;
        }
        Some(Self(limit))
    }
}

struct CacheKeys(Lifetimes);

impl FromToml for CacheKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = Lifetimes::default();
        Some(Self(Lifetimes {
            offers: section.duration_or("offers", default.offers),
            gas_prices: section.duration_or("gas_prices", default.gas_prices),
            accounts: section.duration_or("accounts", default.accounts),
        }))
    }
}

struct WebhookKeys(WebhookConfig);

impl FromToml for WebhookKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = WebhookConfig::default();
        let private = default.allow_private;
        Some(Self(WebhookConfig {
            allow_private: section.or_default("allow_private", private, "true or false"),
            timeout: section.duration_or("timeout", default.timeout),
            attempts: section.or_default("attempts", default.attempts, "a number"),
            first_retry: section.duration_or("first_retry", default.first_retry),
        }))
    }
}

struct AdmissionKeys(AdmissionConfig);

impl FromToml for AdmissionKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = AdmissionConfig::default();
        let anonymous = section.or_default("anonymous", default.anonymous, "true or false");
        let rate =
            section.or_default("anonymous_per_second", 50, "requests a second, 0 for no bound");
        let concurrency =
            section.or_default("concurrency", default.concurrency, "a number of requests");
        let queue = section.or_default("queue", default.queue, "a number of requests");
        let queue_for = section.duration_or("queue_for", default.queue_for);
        let body_within = section.duration_or("body_within", default.body_within);
        let streams = StreamLimits {
            all: section.or_default("streams", default.streams.all, "a number of streams"),
            each: section.or_default("streams_each", default.streams.each, "a number of streams"),
            life: section.duration_or("stream_life", default.streams.life),
        };
        let proxies = section.list::<IpAddr>("trusted_proxies", "IP addresses such as 10.0.0.1");
        let keys = section.tables::<KeyConfig>("keys")?;
        Some(Self(AdmissionConfig {
            anonymous_per_second: NonZeroU32::new(rate),
            anonymous,
            trusted_proxies: proxies.iter().map(IpAddr::to_canonical).collect(),
            keys: keys.into_iter().map(|key| (key.hash, key.key)).collect(),
            concurrency,
            queue,
            queue_for,
            body_within,
            streams,
        }))
    }
}

impl FromToml for KeyConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let name = section.required("name", "a name");
        let digest: Option<String> =
            section.required("sha256", "64 hexadecimal digits, the SHA-256 of the key");
        let scopes =
            section.required_list::<Scope>("scopes", "of `quotes`, `orders` and `webhooks`");
        let rate = section.or_default("per_second", 0, "requests a second, 0 for no bound");
        let mut hash = [0; 32];
        if let Some(digest) = &digest
            && hex::decode_to_slice(digest, &mut hash).is_err()
        {
            section.fault("sha256", "64 hexadecimal digits, the SHA-256 of the key", digest);
            return None;
        }
        digest?;
        let key = ApiKey { name: name?, scopes: scopes?, per_second: NonZeroU32::new(rate) };
        Some(Self { hash, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../examples/aggregator.toml");

    #[test]
    fn the_example_is_read() {
        let text = EXAMPLE.replace("env:AGGREGATOR_INTEGRITY_KEY", &"k".repeat(32));
        let config = service::config::parse::<Config>(&text).unwrap();
        assert_eq!(config.solvers.len(), 2);
        assert_eq!(config.tokens.len(), 2);
        assert!(config.tokens.iter().all(|token| token.price.symbol() == Some("ETH")));
        assert_eq!(config.patience, Patience::default());
        let most = Some(100_000.0);
        assert_eq!(config.limits, Limits { max_order_usd: most, ..Limits::default() });
        assert_eq!(config.providers[0].recipients, Recipients::default());
        assert_eq!(config.cache, Lifetimes::default());
        assert_eq!(config.webhooks, WebhookConfig::default());
        assert_eq!(config.admission.keys.len(), 1);
        assert_eq!(config.admission.streams, StreamLimits::default());
        assert_eq!(config.admission.body_within, AdmissionConfig::default().body_within);
    }

    #[test]
    fn proxies_are_trusted_by_address_alone() {
        let with = |proxies: &str| {
            let text = EXAMPLE.replace("env:AGGREGATOR_INTEGRITY_KEY", &"k".repeat(32));
            let text =
                text.replace("trusted_proxies = []", &format!("trusted_proxies = {proxies}"));
            service::config::parse::<Config>(&text)
        };
        assert!(with("[]").unwrap().admission.trusted_proxies.is_empty());
        let proxies = with(r#"["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"]"#).unwrap();
        assert_eq!(proxies.admission.trusted_proxies.len(), 2);
        let errors = with(r#"["10.0.0.0/8"]"#).unwrap_err();
        assert_eq!(errors.faults()[0].key, "admission.trusted_proxies");
    }

    #[test]
    fn a_token_has_one_price_and_sources_that_know_it() {
        let faults = |from: &str, to: &str| {
            let text = EXAMPLE.replace("env:AGGREGATOR_INTEGRITY_KEY", &"k".repeat(32));
            assert!(text.contains(from), "{from}");
            let text = text.replacen(from, to, 1);
            service::config::parse::<Config>(&text).unwrap_err().to_string()
        };
        let price = "price = \"ETH\"";
        for (from, to, key) in [
            (price, "price = \"ETH\"\nmicro_usd = 1", "tokens.0.price: "),
            (price, "price = \"BTC\"", "tokens.0.price: "),
            (price, "micro_usd = 0", "tokens.0.micro_usd: "),
            ("minimum_sources = 1", "minimum_sources = 2", "tokens.1.price: "),
            ("kind = \"fixed\"", "kind = \"guess\"", "prices.sources.0.kind: "),
        ] {
            let faults = faults(from, to);
            assert!(faults.contains(key), "{faults}");
        }
        let unread = faults("kind = \"fixed\"", "kind = \"guess\"");
        assert!(!unread.contains("tokens"), "who knows what they carry: {unread}");
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let text =
            "listen = \"nowhere\"\nintegrity_key = \"short\"\ncolour = 1\n[breaker]\nfailures = 0";
        let errors = service::config::parse::<Config>(text).unwrap_err();
        let keys: Vec<_> = errors.faults().iter().map(|fault| fault.key.as_str()).collect();
        for key in [
            "listen",
            "admin",
            "manifest",
            "database",
            "integrity_key",
            "breaker.failures",
            "colour",
        ] {
            assert!(keys.contains(&key), "{key} is missing in {keys:?}");
        }
    }
}
