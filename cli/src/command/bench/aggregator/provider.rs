use std::{
    process::{ExitCode, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aggregator::provider::{Ask, HttpOffer, Offers};
use alloy::primitives::{Address, Bytes};
use api::aggregator::AmountRequest;
use eyre::{OptionExt, WrapErr};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Instant, sleep_until},
};

/// How long a mock provider thinks.
const THINKS: Duration = Duration::from_millis(20);
/// Bytes of calldata in its offer: the answer is 2.5 KB long with it.
const CALLDATA: usize = 1_112;
/// Longest request that is read.
const LONGEST: usize = 64 * 1024;

/// The contract that mock providers have called.
pub(super) const BRIDGE: Address = Address::repeat_byte(0xd0);

/// A provider that answers every question after 20 ms with the same offer of 2.5 KB. Started by
/// the bench as a process of its own, so that its cost is not the aggregator's.
#[derive(Debug, clap::Args)]
pub(crate) struct Provider {}

impl Provider {
    /// Prints its port on stdout and answers until it is killed: in one thread, so that it takes as
    /// little as can be of the machine that is measured.
    pub(crate) async fn run(self) -> eyre::Result<ExitCode> {
        let answering = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(answer_all())
        });
        let ended = tokio::task::spawn_blocking(|| answering.join()).await?;
        ended.map_err(|_| eyre::eyre!("the mock provider panicked"))?
    }
}

async fn answer_all() -> eyre::Result<ExitCode> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let mut stdout = tokio::io::stdout();
    stdout.write_all(format!("{port}\n").as_bytes()).await?;
    stdout.flush().await?;
    let answer: &'static [u8] = Box::leak(answer()?.into_boxed_slice());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that breaks is the other side's business.
        tokio::spawn(async move { drop(serve(stream, answer).await) });
    }
}

/// Reads requests with a `content-length` one after another, and answers each.
async fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut held = Vec::with_capacity(4_096);
    loop {
        let end = loop {
            if let Some(end) = request_end(&held) {
                break end;
            }
            if held.len() > LONGEST || stream.read_buf(&mut held).await? == 0 {
                return Ok(());
            }
        };
        held.drain(..end);
        sleep_until(Instant::now() + THINKS).await;
        stream.write_all(answer).await?;
    }
}

/// Where the first request in these bytes ends, once it is whole.
fn request_end(held: &[u8]) -> Option<usize> {
    let head = held.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(held.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let end = head + length.unwrap_or(0);
    (held.len() >= end).then_some(end)
}

fn answer() -> eyre::Result<Vec<u8>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let offer = HttpOffer {
        amount_in: 100_000_000.into(),
        amount_out: 99_900_000.into(),
        min_amount_out: 99_900_000.into(),
        seconds: 5,
        liquidity: None,
        expires_at: now + 86_400,
        spender: BRIDGE,
        chain_id: super::process::ORIGIN,
        to: BRIDGE,
        data: Bytes::from(vec![0xab; CALLDATA]),
        value: 0.into(),
    };
    let body = serde_json::to_vec(&Offers { offers: vec![offer], minimum: None })?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Ok([head.into_bytes(), body].concat())
}

/// What the aggregator asks a provider, for the measurement of a provider alone.
pub(super) fn question() -> String {
    let ask = Ask {
        origin_chain_id: super::process::ORIGIN,
        origin_token: super::process::TOKEN,
        destination_chain_id: super::process::DESTINATION,
        destination_token: super::process::TOKEN,
        amount: AmountRequest::ExactInput(100_000_000.into()),
        recipient: Address::repeat_byte(7),
        slippage_bps: 50,
    };
    serde_json::to_string(&ask).unwrap_or_default()
}

/// A provider that runs; killed with the value.
#[derive(Debug)]
pub(super) struct Mock {
    port: u16,
    _child: Child,
}

impl Mock {
    pub(super) async fn start(count: usize) -> eyre::Result<Vec<Self>> {
        let mut mocks = Vec::with_capacity(count);
        for _ in 0..count {
            let mut child = Command::new(std::env::current_exe()?)
                .args(["bench", "mock-provider"])
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let stdout = child.stdout.take().ok_or_eyre("no stdout")?;
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).await?;
            let port = line.trim().parse().wrap_err("the mock provider names no port")?;
            mocks.push(Self { port, _child: child });
        }
        Ok(mocks)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_where_their_length_says() {
        let request = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST";
        assert_eq!(request_end(request), Some(request.len() - 4));
        assert_eq!(request_end(&request[..request.len() - 6]), None);
        assert_eq!(request_end(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn an_answer_has_the_size_that_the_figures_say() {
        let length = answer().unwrap().len();
        assert!((2_450..2_650).contains(&length), "{length}");
    }
}
