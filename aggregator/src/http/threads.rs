//! The threads of the API: one a core, each with a runtime of its own, so that a quote begins and
//! ends where its connection is. Waking another thread would cost a third of what a quote does.

use std::{
    convert::Infallible,
    io,
    net::{self, SocketAddr},
    num::NonZero,
    thread,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use service::tasks::Spawner;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::mpsc,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

/// Connections that may wait for one thread.
const WAITING: usize = 1_024;
/// Pause after the system gave no connection, as when every file descriptor is in use.
const RESPITE: Duration = Duration::from_millis(100);
/// How long a connection may lie idle, or take over the head of a request. Load balancers close
/// idle connections after 60 s: if we did so first, they would send requests into closed ones.
const IDLE: Duration = Duration::from_secs(75);

/// A connection that was accepted, and who is at its other end.
type Accepted = (net::TcpStream, SocketAddr);

/// The API's threads. They live as long as this, after the last request too: what other parts keep,
/// such as connections to a database, may have been opened on them.
#[derive(Debug)]
pub struct Threads {
    address: SocketAddr,
    _gone: DropGuard,
}

impl Threads {
    /// Serves what `router` answers at `address` over HTTP/1.1, until `tasks` shut down.
    ///
    /// # Errors
    /// The address cannot be bound, or the system gives no threads.
    pub async fn serve(address: SocketAddr, router: &Router, tasks: &Spawner) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (address, gone) = (listener.local_addr()?, CancellationToken::new());
        let mut threads = Vec::new();
        for index in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            let (hand, connections) = mpsc::channel(WAITING);
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let serving = serve(connections, router.clone(), tasks.shutdown());
            let (ended, gone) = (CancellationToken::new(), gone.clone());
            let served = ended.clone().drop_guard();
            let run = move || run(&runtime, serving, served, &gone);
            thread::Builder::new().name(format!("api-{index}")).spawn(run)?;
            tasks.spawn(format!("api thread {index}"), ended.cancelled_owned());
            threads.push(hand);
        }
        tasks.spawn("api", accept(listener, threads, tasks.shutdown()));
        Ok(Self { address, _gone: gone.drop_guard() })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Hands connections to the threads in turn.
async fn accept(
    listener: TcpListener,
    threads: Vec<mpsc::Sender<Accepted>>,
    shutdown: CancellationToken,
) {
    for thread in threads.iter().cycle() {
        let handing = async {
            match listener.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer)))
            {
                // A thread that is gone ends the service by itself.
                Ok(accepted) => drop(thread.send(accepted).await),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(RESPITE).await;
                }
            }
        };
        if shutdown.run_until_cancelled(handing).await.is_none() {
            return;
        }
    }
}

/// One thread: `serving`, at whose end (or when it panics) `served` goes, and what it leaves behind
/// until all is `gone`.
fn run(
    runtime: &Runtime,
    serving: impl Future<Output = ()>,
    served: DropGuard,
    gone: &CancellationToken,
) {
    runtime.block_on(gone.run_until_cancelled(async {
        serving.await;
        drop(served);
        gone.cancelled().await;
    }));
}

/// Serves connections until `shutdown`, and finishes the requests in flight then.
async fn serve(
    mut connections: mpsc::Receiver<Accepted>,
    router: Router,
    shutdown: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE);
    let graceful = GracefulShutdown::new();
    while let Some(Some((stream, peer))) = shutdown.run_until_cancelled(connections.recv()).await {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot serve a connection");
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection collects what it sends");
        }
        let router = router.clone();
        let service = service_fn(move |request| answer(router.clone(), request, peer));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection broke");
            }
        });
    }
    graceful.shutdown().await;
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request.map(Body::new)).await
}
