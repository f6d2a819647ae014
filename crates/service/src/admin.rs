//! The operator's HTTP endpoint of a service: `/metrics`, `/health`, and routes of its own.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::OnceLock, time::Duration};

use axum::{Json, Router, extract::State as Shared, http::StatusCode, routing::get};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{
    health::{Health, State, Status},
    tasks::Spawner,
};

/// How often old samples of histograms are dropped.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why the endpoint could not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// The metrics recorder cannot be installed.
    #[error("cannot record metrics: {0}")]
    Recorder(#[from] BuildError),
}

/// Serves `/metrics` (Prometheus text), `/health` (503 when a part fails without which the service
/// cannot serve, else 200) and `routes` on `address` until `tasks` stop. Port 0 takes any; the bound
/// address is returned.
///
/// # Errors
/// [`AdminError`].
pub async fn serve(
    address: SocketAddr,
    health: Health,
    routes: Router,
    tasks: &Spawner,
) -> Result<SocketAddr, AdminError> {
    let metrics = recorder()?;
    let bind = |source| AdminError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    let upkeep = metrics.clone();
    let router = Router::new()
        .route("/health", get(report))
        .with_state(health)
        .route("/metrics", get(move || std::future::ready(metrics.render())))
        .merge(routes);

    let shutdown = tasks.shutdown();
    tasks.spawn("admin", async move {
        axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
    });
    let shutdown = tasks.shutdown();
    tasks.spawn("metrics upkeep", async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            upkeep.run_upkeep();
        }
    });
    Ok(bound)
}

/// Installs the recorder of metrics, for services that measure before they serve: what is measured earlier is lost.
///
/// # Errors
/// [`AdminError::Recorder`].
pub fn record() -> Result<(), AdminError> {
    recorder()?;
    Ok(())
}

/// The process-wide recorder, installed on first use: services in one process share it.
fn recorder() -> Result<PrometheusHandle, BuildError> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    static INSTALLING: Mutex<()> = Mutex::new(());

    let _installing = INSTALLING.lock();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new().install_recorder()?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}

#[derive(Debug, Serialize)]
struct Report {
    status: Status,
    components: BTreeMap<String, State>,
}

async fn report(Shared(health): Shared<Health>) -> (StatusCode, Json<Report>) {
    let status = health.status();
    let code = if status.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Report { status, components: health.components() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn health_follows_the_components_and_metrics_are_served() {
        let tasks = Tasks::new();
        let health = Health::default();
        let database = health.component("database");
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = serve(any, health.clone(), Router::new(), &tasks.spawner()).await.unwrap();
        let get = async |path: &str| reqwest::get(format!("http://{bound}{path}")).await.unwrap();

        let starting = get("/health").await;
        assert_eq!(starting.status().as_u16(), 503);
        let body: serde_json::Value = starting.json().await.unwrap();
        assert_eq!(body["components"]["database"]["reason"], "starting");
        database.ok();
        assert_eq!(get("/health").await.status().as_u16(), 200);
        database.degraded("read only");
        let degraded = get("/health").await;
        assert_eq!(degraded.status().as_u16(), 200);
        let body: serde_json::Value = degraded.json().await.unwrap();
        assert_eq!(body["status"], "degraded");
        assert_eq!(body["components"]["database"]["reason"], "read only");

        metrics::counter!("admin_test_total").increment(2);
        assert!(get("/metrics").await.text().await.unwrap().contains("admin_test_total 2"));

        drop(tasks);
        // Dropping the tasks frees the port.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while TcpListener::bind(bound).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline, "{bound} is still taken");
            tokio::task::yield_now().await;
        }
    }
}
