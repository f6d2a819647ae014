//! Providers on loopback that answer, and misbehave, as told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aggregator::provider::{Ask, HttpOffer, HttpQuotes, Offers};
use alloy::primitives::{Address, Bytes, U256, address};
use api::aggregator::AmountRequest;
use axum::{
    Json, Router, body::Body, extract::State, http::StatusCode, response::IntoResponse,
    routing::post,
};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

pub(crate) const CHAIN_A: u64 = 700_001;
pub(crate) const CHAIN_B: u64 = 700_002;
/// The only contract that test providers may have called.
pub(crate) const BRIDGE: Address = address!("0x00000000000000000000000000000000000000d0");

/// How a provider behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Offers a fair price at once.
    Fair,
    /// As `Fair`, after a while.
    Slow(Duration),
    /// Takes the request and never answers.
    Hang,
    /// Answers 500.
    Broken,
    /// Answers JSON of another kind.
    WrongSchema,
    /// Offers ten times the input.
    AbsurdPrice,
    /// Offers a transaction for another chain.
    WrongChain,
    /// Offers a transaction that would drain what was approved.
    ForeignTarget,
    /// Offers less than the slippage allows.
    LowMinimum,
    /// Offers what has expired.
    Expired,
    /// Offers what stands for a year.
    Standing,
    /// Offers for another input than the request's.
    WrongInput,
    /// Wants native currency for an order in tokens.
    ExcessValue,
    /// As `Fair`, with so many offers.
    Many(usize),
    /// As `Fair`, and gives the money back to whom the request names.
    Refunding,
    /// Answers a megabyte.
    Oversized,
    /// Breaks the connection off in the middle.
    Dropped,
    /// Moves larger amounts only.
    Minimum(u64),
}

/// A provider on loopback; dropping it closes its port.
#[derive(Debug)]
pub(crate) struct Standin {
    pub(crate) provider: HttpQuotes,
    url: Url,
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Standin {
    pub(crate) async fn start(name: &str, behaviour: Behaviour) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let router = Router::new()
            .route("/quotes", post(answer))
            .with_state((behaviour, Arc::clone(&asked)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/quotes", listener.local_addr().unwrap());
        let url: Url = url.parse().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let provider = HttpQuotes::new(name, &url).unwrap();
        Self { provider, url, asked, server }
    }

    /// Where it answers.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.asked)
    }

    /// The provider; its server runs until the test's runtime ends.
    pub(crate) fn into_provider(self) -> HttpQuotes {
        drop(self.server);
        self.provider
    }
}

type Told = (Behaviour, Arc<AtomicUsize>);

async fn answer(
    State((behaviour, asked)): State<Told>,
    Json(ask): Json<Ask>,
) -> axum::response::Response {
    asked.fetch_add(1, Ordering::Relaxed);
    let offer = |change: fn(&mut HttpOffer)| {
        let mut offer = fair(&ask);
        change(&mut offer);
        Json(Offers { offers: vec![offer], minimum: None }).into_response()
    };
    match behaviour {
        Behaviour::Fair => offer(|_| ()),
        Behaviour::Slow(wait) => {
            tokio::time::sleep(wait).await;
            offer(|_| ())
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Behaviour::WrongSchema => Json(serde_json::json!({ "offers": "many" })).into_response(),
        Behaviour::AbsurdPrice => offer(|offer| {
            offer.amount_out = (offer.amount_in.0 * U256::from(10)).into();
            offer.min_amount_out = offer.amount_out;
        }),
        Behaviour::WrongChain => offer(|offer| offer.chain_id = 1),
        Behaviour::ForeignTarget => offer(|offer| offer.spender = Address::repeat_byte(0x66)),
        Behaviour::LowMinimum => offer(|offer| offer.min_amount_out = 1.into()),
        Behaviour::Expired => offer(|offer| offer.expires_at -= 3_600),
        Behaviour::Standing => offer(|offer| offer.expires_at += 365 * 86_400),
        Behaviour::WrongInput => {
            offer(|offer| offer.amount_in = (offer.amount_in.0 + U256::from(1)).into())
        }
        Behaviour::ExcessValue => offer(|offer| offer.value = 1.into()),
        Behaviour::Many(count) => {
            Json(Offers { offers: vec![fair(&ask); count], minimum: None }).into_response()
        }
        Behaviour::Refunding => {
            let refund_address = Some(ask.refund_address);
            let offers = vec![HttpOffer { refund_address, ..fair(&ask) }];
            Json(Offers { offers, minimum: None }).into_response()
        }
        Behaviour::Oversized => vec![b' '; 1 << 20].into_response(),
        Behaviour::Dropped => {
            let parts = [Ok("{\"offers\":["), Err(std::io::Error::other("gone"))];
            Body::from_stream(futures::stream::iter(parts)).into_response()
        }
        Behaviour::Minimum(minimum) => {
            Json(Offers { offers: Vec::new(), minimum: Some(minimum.into()) }).into_response()
        }
    }
}

fn fair(ask: &Ask) -> HttpOffer {
    let thousand = U256::from(1_000);
    let (amount_in, amount_out) = match ask.amount {
        AmountRequest::ExactInput(amount) => (amount.0, amount.0 * U256::from(999) / thousand),
        AmountRequest::ExactOutput(amount) => (amount.0 * U256::from(1_001) / thousand, amount.0),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    HttpOffer {
        amount_in: amount_in.into(),
        amount_out: amount_out.into(),
        min_amount_out: amount_out.into(),
        seconds: 5,
        liquidity: None,
        expires_at: now + 60,
        spender: BRIDGE,
        chain_id: ask.origin_chain_id,
        to: BRIDGE,
        data: Bytes::from_static(&[1, 2, 3, 4]),
        value: 0.into(),
        native_fee: 0.into(),
        refund_address: None,
    }
}
