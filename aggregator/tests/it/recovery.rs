//! A solver that is back is asked at once; one that was never away is not.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use api::{
    Client,
    aggregator::{AmountRequest, UnavailableReason},
    solver::{NoQuote, NoQuoteReason, QuoteResponse},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::net::TcpListener;

use crate::{
    databases,
    limits::request,
    system::{Stage, client, until},
};

/// How a solver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// Its proxy answers for it.
    Away,
    /// Takes questions and answers none.
    Hangs,
    /// Has nothing to offer.
    Declines,
}

/// A solver on loopback.
#[derive(Debug)]
struct Solver {
    mood: Mutex<Mood>,
    asked: AtomicUsize,
    looked_for: AtomicUsize,
}

impl Solver {
    /// The solver, and what makes it one of an aggregator's.
    async fn start(mood: Mood) -> (Arc<Self>, String) {
        let solver = Arc::new(Self {
            mood: Mutex::new(mood),
            asked: AtomicUsize::new(0),
            looked_for: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/v1/quotes", post(quotes))
            .route("/health", get(health))
            .with_state(Arc::clone(&solver));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (solver, format!("[[solvers]]\nname = \"solver-1\"\nurl = \"http://{url}\"\n"))
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    /// Waits until it was looked for so often.
    async fn is_looked_for(&self, times: usize) {
        until("the solver to be looked for", async || {
            (self.looked_for.load(SeqCst) >= times).then_some(())
        })
        .await;
    }
}

async fn quotes(State(solver): State<Arc<Solver>>) -> Response {
    solver.asked.fetch_add(1, SeqCst);
    match solver.mood() {
        Mood::Away => StatusCode::BAD_GATEWAY.into_response(),
        Mood::Hangs => pending().await,
        Mood::Declines => {
            let none = NoQuote {
                security: None,
                reason: NoQuoteReason::NoRoute,
                message: "nothing to offer".into(),
                minimum: None,
            };
            Json(QuoteResponse { quotes: Vec::new(), unavailable: vec![none] }).into_response()
        }
    }
}

/// Solvers have no such path: whoever is there says so.
async fn health(State(solver): State<Arc<Solver>>) -> StatusCode {
    let status = match solver.mood() {
        Mood::Away => StatusCode::BAD_GATEWAY,
        Mood::Hangs | Mood::Declines => StatusCode::NOT_FOUND,
    };
    solver.looked_for.fetch_add(1, SeqCst);
    status
}

/// Why nobody quotes.
async fn declined(client: &Client) -> UnavailableReason {
    let amount = AmountRequest::ExactInput(1_000_000.into());
    client.quote(&request(amount)).await.unwrap().unavailable[0].reason
}

/// Opens at the first failure, for longer than any test takes.
const BREAKER: &str = "[breaker]\nfailures = 1\nopen_for = \"600s\"\n";

#[tokio::test]
async fn a_solver_that_comes_back_is_asked_before_its_time() {
    let (solver, configured) = Solver::start(Mood::Away).await;
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let more = format!("[patience]\ndeadline = \"60s\"\n{BREAKER}{configured}");
    let aggregator = stage.aggregator(&database.url, "main", &more).await;
    let client = client(&aggregator);

    assert_eq!(declined(&client).await, UnavailableReason::Error);
    assert_eq!(declined(&client).await, UnavailableReason::CircuitOpen);
    solver.is_looked_for(1).await;
    assert_eq!(solver.asked.load(SeqCst), 1);
    *solver.mood.lock().unwrap() = Mood::Declines;
    until("the solver to be asked again", async || {
        (declined(&client).await == UnavailableReason::NoRoute).then_some(())
    })
    .await;
    aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_solver_that_only_hangs_is_not_asked_before_its_time() {
    let (solver, configured) = Solver::start(Mood::Hangs).await;
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let more = format!("[patience]\ndeadline = \"500ms\"\n{BREAKER}{configured}");
    let aggregator = stage.aggregator(&database.url, "main", &more).await;
    let client = client(&aggregator);

    assert_eq!(declined(&client).await, UnavailableReason::Timeout);
    solver.is_looked_for(3).await;
    assert_eq!(declined(&client).await, UnavailableReason::CircuitOpen);
    assert_eq!(solver.asked.load(SeqCst), 1);
    aggregator.stop().await.unwrap();
}
