//! Solvers that sign what no honest one does, beside an honest one: theirs are the better offers.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use alloy::{
    primitives::{B256, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use api::{
    aggregator::{self as wire, AmountRequest, UnavailableReason},
    solver::{Quote, QuoteRequest, QuoteResponse, SignedQuote},
};
use axum::{Json, Router, extract::State, routing::post};
use tokio::net::TcpListener;

use crate::{
    databases, limits,
    providers::{CHAIN_A, CHAIN_B},
    system::{INBOX, PROVER, SOURCE, Stage, client, unix},
};

/// A millionth of an ether.
const SENT: u64 = 1_000_000_000_000;
/// Every question is answered before the patience is over, and one failure is enough.
const PATIENT: &str = "[patience]\ndeadline = \"60s\"\nenough_by = \"50s\"\n\
                       [breaker]\nfailures = 1\nopen_for = \"600s\"\n";

/// What a solver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conduct {
    /// Keeps a thousandth.
    Honest,
    /// Pays out ten times what it gets.
    AbsurdOutput,
    /// Wants another input than the request's.
    WrongInput,
    /// Offers what has expired.
    Expired,
    /// Stands by its offer for a year.
    StandsLong,
    /// Keeps the escrow for ever.
    LocksEscrow,
    /// The escrow ends with the route: nobody could prove a fill.
    NoTimeToProve,
    /// The route ends with the quote: nobody could fill.
    NoTimeToFill,
    /// Takes the question and never answers.
    Hangs,
}

/// A solver on loopback.
#[derive(Debug)]
struct Solver {
    name: &'static str,
    conduct: Conduct,
    asked: AtomicUsize,
    url: String,
}

impl Solver {
    async fn start(name: &'static str, conduct: Conduct) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let solver = Arc::new(Self { name, conduct, asked: AtomicUsize::new(0), url });
        let router =
            Router::new().route("/v1/quotes", post(quotes)).with_state(Arc::clone(&solver));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        solver
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

async fn quotes(
    State(solver): State<Arc<Solver>>,
    Json(request): Json<QuoteRequest>,
) -> Json<QuoteResponse> {
    solver.asked.fetch_add(1, SeqCst);
    if solver.conduct == Conduct::Hangs {
        pending::<()>().await;
    }
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(9)).unwrap();
    let mut quote = honest(&request, &signer);
    if solver.conduct != Conduct::Honest {
        quote.amount_out = quote.amount_in;
    }
    match solver.conduct {
        Conduct::Honest | Conduct::Hangs => {}
        Conduct::AbsurdOutput => quote.amount_out = (quote.amount_in.0 * U256::from(10)).into(),
        Conduct::WrongInput => quote.amount_in = (quote.amount_in.0 - U256::from(1)).into(),
        Conduct::Expired => quote.expires_at = unix() - 1,
        Conduct::StandsLong => quote.expires_at += 365 * 86_400,
        Conduct::LocksEscrow => quote.reward_deadline = u64::MAX,
        Conduct::NoTimeToProve => quote.reward_deadline = quote.route_deadline,
        Conduct::NoTimeToFill => quote.route_deadline = quote.expires_at,
    }
    let signature = signer.sign_hash_sync(&quote.digest()).unwrap().as_bytes().to_vec().into();
    let quotes = vec![SignedQuote { quote, signature, costs: None }];
    Json(QuoteResponse { quotes, unavailable: Vec::new() })
}

fn honest(request: &QuoteRequest, signer: &PrivateKeySigner) -> Quote {
    let AmountRequest::ExactInput(amount_in) = request.amount else { panic!("an exact input") };
    let amount_out = (amount_in.0 * U256::from(999) / U256::from(1_000)).into();
    Quote {
        id: B256::random(),
        solver: signer.address(),
        origin_chain_id: CHAIN_A,
        origin_token: request.origin_token,
        amount_in,
        destination_chain_id: CHAIN_B,
        destination_token: request.destination_token,
        amount_out,
        security: wire::Security::Instant,
        intent_source: SOURCE,
        prover: PROVER,
        inbox: INBOX,
        route_deadline: unix() + 630,
        reward_deadline: unix() + 30_000,
        fill_seconds: 1,
        available: amount_out,
        expires_at: unix() + 30,
        gasless: request.gasless,
    }
}

/// What an aggregator of these solvers answers to so many questions.
async fn answers(
    stage: &Stage,
    solvers: &[&Solver],
    patience: &str,
    questions: usize,
) -> Vec<wire::QuoteResponse> {
    let mut more = patience.to_owned();
    for Solver { name, url, .. } in solvers {
        more += &format!("[[solvers]]\nname = \"{name}\"\nurl = \"{url}\"\n");
    }
    let database = databases::sqlite();
    let aggregator = stage.aggregator(&database.url, "main", &more).await;
    let request = limits::request(AmountRequest::ExactInput(SENT.into()));
    let mut answers = Vec::with_capacity(questions);
    for _ in 0..questions {
        answers.push(client(&aggregator).quote(&request).await.unwrap());
    }
    aggregator.stop().await.unwrap();
    answers
}

/// Who offers the quotes of an answer.
fn names(answer: &wire::QuoteResponse) -> Vec<&str> {
    answer.quotes.iter().filter_map(|quote| quote.solver.as_deref()).collect()
}

#[tokio::test]
async fn a_bad_offer_displaces_no_good_one_and_who_made_it_is_left_alone() {
    let stage = Stage::set().await;
    for conduct in [
        Conduct::AbsurdOutput,
        Conduct::WrongInput,
        Conduct::Expired,
        Conduct::StandsLong,
        Conduct::LocksEscrow,
        Conduct::NoTimeToProve,
        Conduct::NoTimeToFill,
    ] {
        let bad = Solver::start("bad", conduct).await;
        let honest = Solver::start("honest", Conduct::Honest).await;
        for answer in answers(&stage, &[&bad, &honest], PATIENT, 2).await {
            assert_eq!(names(&answer), ["honest"], "{conduct:?}");
        }
        assert_eq!((bad.asked(), honest.asked()), (1, 2), "{conduct:?}");

        let alone = answers(&stage, &[&bad], PATIENT, 1).await;
        assert!(alone[0].quotes.is_empty(), "{conduct:?}");
        let none = &alone[0].unavailable[0];
        assert_eq!(none.reason, UnavailableReason::Rejected, "{conduct:?}");
        assert!(none.message.starts_with("bad: "), "{conduct:?}: {}", none.message);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_solver_when_others_have_offered_enough() {
    let stage = Stage::set().await;
    let hanging = Solver::start("hanging", Conduct::Hangs).await;
    let honest = Solver::start("honest", Conduct::Honest).await;
    let patience = "[patience]\ndeadline = \"100s\"\nenough = 1\nenough_by = \"0s\"\n";
    let answers = answers(&stage, &[&hanging, &honest], patience, 1).await;
    assert_eq!(names(&answers[0]), ["honest"]);
    assert!(answers[0].elapsed_ms < 60_000, "{}", answers[0].elapsed_ms);
}
