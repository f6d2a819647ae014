//! Deciding with recorded answers: how fast the solver is when the chains cost nothing.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::header, response::IntoResponse};
use eyre::ensure;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::world::{DESTINATION, ORIGIN, World};

/// How long all decisions may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) decided: usize,
    pub(super) per_second: f64,
}

/// Lets a solver decide every intent twice, dry: once to record what the chains answer, once with
/// these answers and fresh books.
pub(super) async fn decide(world: &World, count: u32) -> eyre::Result<Outcome> {
    let first = world.chain(ORIGIN)?.head().number() + 1;
    for index in 0..count {
        let intent = world.intent(&format!("decision {index}"))?;
        tokio::task::block_in_place(|| world.publish(intent))?;
    }
    let recorders =
        [Recorder::start(world, ORIGIN).await?, Recorder::start(world, DESTINATION).await?];
    let mut per_second = 0.0;
    for pass in ["record", "replay"] {
        per_second = self::pass(world, &recorders, pass, count, first).await?;
    }
    Ok(Outcome { decided: usize::try_from(count)?, per_second })
}

/// One pass with fresh books: decisions a second.
async fn pass(
    world: &World,
    recorders: &[Recorder; 2],
    name: &str,
    count: u32,
    first: u64,
) -> eyre::Result<f64> {
    // Only what was published for this: the deployment's first block is set to the first of these.
    let mut manifest = world.manifest.clone();
    manifest
        .chains
        .values_mut()
        .filter(|c| c.chain_id.0 == ORIGIN)
        .for_each(|c| c.start_block = first);
    manifest.chains.values_mut().for_each(|c| c.ws.clear());
    let path = world.config(name, |text| {
        let mut text = format!("dry_run = true\n{text}");
        for recorder in recorders {
            let key = format!("[chains.{}]\n", recorder.chain);
            let rpc = format!("{key}rpc = [\"http://{}\"]\n", recorder.address);
            text = text.replace(&key, &rpc);
        }
        text
    })?;
    let own_manifest = path.with_file_name("manifest.json");
    manifest.save(&own_manifest)?;
    let mut config: solver::Config = service::config::load(&path)?;
    config.manifest = own_manifest;
    let begun = Instant::now();
    let solver = solver::spawn(config).await?;
    loop {
        let waiting = solver.store().census().await?;
        let decided: u64 = waiting
            .iter()
            .filter(|(state, _)| *state == solver::order::State::Waiting)
            .map(|(_, n)| n)
            .sum();
        if decided >= u64::from(count) {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "only {decided} of {count} were decided");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed();
    solver.stop().await?;
    Ok(f64::from(count) / took.as_secs_f64())
}

/// A node's answers: asked once, then given from memory.
struct Recorder {
    chain: u64,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Memory {
    node: String,
    client: reqwest::Client,
    answers: Arc<Mutex<HashMap<String, Value>>>,
}

impl Recorder {
    async fn start(world: &World, chain: u64) -> eyre::Result<Self> {
        let handle = world.network.chain(chain).ok_or_else(|| eyre::eyre!("no such chain"))?;
        let memory = Memory {
            node: handle.http_url(),
            client: reqwest::Client::new(),
            answers: Arc::default(),
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer).with_state(memory);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "recorder");
            }
        });
        Ok(Self { chain, address, task })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(memory): State<Memory>, body: Bytes) -> impl IntoResponse {
    let json = [(header::CONTENT_TYPE, "application/json")];
    let Ok(mut request) = serde_json::from_slice::<Value>(&body) else {
        return (json, String::new());
    };
    let id = request["id"].take();
    let question = format!("{} {}", request["method"], request["params"]);
    let known = memory.answers.lock().get(&question).cloned();
    let mut answer = match known {
        Some(answer) => answer,
        None => {
            let asked = memory.client.post(&memory.node).json(&json!({
                "jsonrpc": "2.0", "id": 1, "method": request["method"], "params": request["params"],
            }));
            let answer = async { asked.send().await?.json::<Value>().await };
            let Ok(answer) = answer.await else { return (json, String::new()) };
            memory.answers.lock().insert(question, answer.clone());
            answer
        }
    };
    answer["id"] = id;
    (json, answer.to_string())
}
