use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aggregator::orders::{Announced, Orders};
use alloy::primitives::B256;
use chain::Db;
use eyre::ensure;
use protocol::ids::ChainId;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    load::resident_mib,
    process::{Aggregator, DESTINATION, ORIGIN, Setup},
};

/// Streams that were open at once.
#[derive(Debug, Serialize)]
pub(super) struct Streams {
    pub(super) open: usize,
    /// Until the last of them had told its order.
    pub(super) seconds: f64,
    pub(super) resident_mib: Option<f64>,
}

/// Opens so many streams of one order, and leaves them open together.
pub(super) async fn open(count: usize) -> eyre::Result<Streams> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().join("bench.db").display());
    let id = B256::repeat_byte(1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let order = Announced {
        id: id.into(),
        origin: ChainId(ORIGIN),
        destination: ChainId(DESTINATION),
        provider: "bench".into(),
        estimated: 5,
        transaction: None,
        mined: None,
        expires: (now + Duration::from_secs(86_400)).as_secs(),
    };
    Orders::open(Db::open(&url).await?).await?.announce(&order, now).await?;
    let setup = Setup { folder: Some(folder.path().to_owned()), ..Setup::default() };
    let aggregator = Aggregator::start(&setup).await?;
    let begun = Instant::now();
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        streams.push(follow(aggregator.port(), id).await?);
    }
    let (open, seconds) = (streams.len(), begun.elapsed().as_secs_f64());
    Ok(Streams { open, seconds, resident_mib: resident_mib(aggregator.id()) })
}

/// A stream that has told its order.
async fn follow(port: u16, id: B256) -> eyre::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET /v1/orders/{id}/stream HTTP/1.1\r\nhost: bench\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    while !text.windows(12).any(|window| window == b"event: order") {
        ensure!(stream.read_buf(&mut text).await? > 0, "the stream ended");
    }
    Ok(stream)
}
