//! The operator's API: who may use it, what it changes at once, and what it refuses.

use alloy::primitives::{B256, U256};
use protocol::ids::IntentHash;
use reqwest::Method;
use serde_json::{Value, json};
use solver::{Handle, order::State};

use crate::{
    invariants,
    world::{FIRST, SECOND, Settle, TT, USER, World, eventually, until},
};

/// Every route that there is.
const ROUTES: [(&str, &str); 13] = [
    ("GET", "/v1/status"),
    ("POST", "/v1/pause"),
    ("POST", "/v1/drain"),
    ("POST", "/v1/resume"),
    ("GET", "/v1/limits"),
    ("PUT", "/v1/limits"),
    ("GET", "/v1/lists"),
    ("PUT", "/v1/lists"),
    ("POST", "/v1/reload"),
    ("GET", "/v1/intents/0x00"),
    ("GET", "/v1/report.csv"),
    ("GET", "/v1/report.svg"),
    ("GET", "/v1/report.csv?since=1"),
];

/// One request: status and body of its answer.
async fn ask(
    solver: &Handle,
    (method, path): (&str, &str),
    authorization: Option<&str>,
    body: &str,
) -> (u16, String) {
    let url = format!("http://{}{path}", solver.admin_addr());
    let method: Method = method.parse().unwrap();
    let mut request = reqwest::Client::new().request(method, url);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The same with the operator's token.
async fn with_token(solver: &Handle, route: (&str, &str), body: &str) -> (u16, String) {
    ask(solver, route, Some("Bearer token"), body).await
}

async fn status(solver: &Handle) -> Value {
    let (status, text) = with_token(solver, ("GET", "/v1/status"), "").await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Publishes an intent that pays 110 for 100.
fn publish(world: &World) -> IntentHash {
    let tokens = |amount: u64| U256::from(amount * TT);
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let intent = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
    world.publish(FIRST, &intent)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_or_changed_without_the_operators_token() {
    let world = World::new().await;
    let solver = world.solver(8).await;
    let wrong = [None, Some("Bearer guess"), Some("Bearer "), Some("Bearer tokens"), Some("token")];
    for route in ROUTES {
        for authorization in wrong {
            let (status, text) = ask(&solver, route, authorization, "").await;
            assert_eq!(status, 401, "{route:?} with {authorization:?}: {text}");
            assert!(!text.contains("guess"), "{text}");
        }
    }
    assert_eq!(status(&solver).await["mode"], "running");
    solver.stop().await.unwrap();
    // Without a token in the configuration there is no such API at all.
    let config = world.config(8, |text| text.replace("admin_token = \"token\"\n", ""));
    let solver = solver::spawn(config).await.unwrap();
    for route in ROUTES {
        assert_eq!(with_token(&solver, route, "").await.0, 404, "{route:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_or_drained_solver_brings_home_what_is_out_and_begins_nothing() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let mut solver = world.solver(8).await;
    let (mut waiting, mut claimed) = (Vec::new(), Vec::new());
    for (path, mode, words) in
        [("/v1/pause", "paused", "has paused"), ("/v1/drain", "draining", "is draining")]
    {
        let out = publish(&world);
        until(&solver, out, State::Attesting, "").await;
        assert_eq!(with_token(&solver, ("POST", path), "").await, (200, mode.to_owned()));
        let held = publish(&world);
        until(&solver, held, State::Waiting, words).await;
        let told = status(&solver).await;
        assert_eq!((&told["mode"], &told["idle"]), (&json!(mode), &json!(false)));
        world.settle(&solver, &[out], &[State::Claimed]).await;
        eventually("idle", async || status(&solver).await["idle"] == true).await;
        // It stays so over a restart.
        solver.stop().await.unwrap();
        solver = world.solver(8).await;
        assert_eq!(status(&solver).await["mode"], mode);
        until(&solver, held, State::Waiting, words).await;
        let resumed = with_token(&solver, ("POST", "/v1/resume"), "").await;
        assert_eq!(resumed, (200, "running".to_owned()));
        waiting.push(held);
        claimed.push(out);
        world.settle(&solver, &waiting, &[State::Claimed]).await;
    }
    world.settle(&solver, &claimed, &[State::Claimed]).await;
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_lists_count_at_once_and_a_bad_body_changes_nothing() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let solver = world.solver(8).await;
    let get = async |path: &str| with_token(&solver, ("GET", path), "").await.1;
    let put = async |path: &str, body: &str| with_token(&solver, ("PUT", path), body).await.0;
    let (limits, lists) = (get("/v1/limits").await, get("/v1/lists").await);
    let full: Value = serde_json::from_str(&limits).unwrap();
    let changed = |key: &str, value: Value| {
        let mut body = full.clone();
        body[key] = value;
        body.to_string()
    };
    let bad = [
        ("{".to_owned(), 400),
        ("{}".to_owned(), 422),
        (changed("exposure", json!("much")), 400),
        (changed("exposure", json!(5)), 422),
        (changed("attempts", json!(-1)), 422),
        (changed("unknown", json!(1)), 422),
    ];
    for (body, status) in bad {
        assert_eq!(put("/v1/limits", &body).await, status, "{body}");
    }
    let bad = [("[]", 422), (r#"{"deny":["0x12"],"allow_creators":[],"allow_targets":[]}"#, 422)];
    for (body, status) in bad {
        assert_eq!(put("/v1/lists", body).await, status, "{body}");
    }
    assert_eq!((get("/v1/limits").await, get("/v1/lists").await), (limits, lists.clone()));

    // As much as half of an intent may be out.
    assert_eq!(put("/v1/limits", &changed("exposure", json!("50"))).await, 204);
    let held = publish(&world);
    until(&solver, held, State::Waiting, "exposure").await;
    assert_eq!(put("/v1/limits", &full.to_string()).await, 204);
    world.settle(&solver, &[held], &[State::Claimed]).await;

    let denied = json!({ "deny": [USER], "allow_creators": [], "allow_targets": [] });
    assert_eq!(put("/v1/lists", &denied.to_string()).await, 204);
    until(&solver, publish(&world), State::Refused, "lists").await;
    assert_eq!(put("/v1/lists", &lists).await, 204);
    world.settle(&solver, &[publish(&world)], &[State::Claimed]).await;
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said() {
    let world = World::new().await;
    let solver = world.solver(8).await;
    // The configuration of this solver came from no file.
    assert_eq!(with_token(&solver, ("POST", "/v1/reload"), "").await.0, 409);
    assert_eq!(with_token(&solver, ("GET", "/v1/intents/0x12"), "").await.0, 400);
    let unknown = format!("/v1/intents/{}", B256::repeat_byte(1));
    assert_eq!(with_token(&solver, ("GET", &unknown), "").await.0, 404);
    assert_eq!(with_token(&solver, ("GET", "/v1/report.csv?since=then"), "").await.0, 400);
    assert_eq!(with_token(&solver, ("GET", "/v1/pause"), "").await.0, 405);
}
