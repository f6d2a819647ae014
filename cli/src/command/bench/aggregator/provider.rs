use std::{
    net::TcpListener,
    process::{ExitCode, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use aggregator::provider::{Ask, HttpOffer, Offers};
use alloy::primitives::{Address, Bytes};
use api::aggregator::AmountRequest;
use eyre::{OptionExt, WrapErr};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use super::answering;

/// Bytes of calldata in its offer: the answer is 2.5 KB long with it.
const CALLDATA: usize = 1_112;

/// The contract that mock providers have called.
pub(super) const BRIDGE: Address = Address::repeat_byte(0xd0);

/// A provider that answers every question after 20 ms with the same offer of 2.5 KB. Started by
/// the bench as a process of its own, so that its cost is not the aggregator's.
#[derive(Debug, clap::Args)]
pub(crate) struct Provider {}

impl Provider {
    /// Prints its port on stdout and answers until it is killed.
    pub(crate) async fn run(self) -> eyre::Result<ExitCode> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let mut stdout = tokio::io::stdout();
        stdout.write_all(format!("{port}\n").as_bytes()).await?;
        stdout.flush().await?;
        let answer = answer()?;
        tokio::task::spawn_blocking(move || answering::answer_all(&listener, &answer)).await??;
        Ok(ExitCode::SUCCESS)
    }
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
        native_fee: 0.into(),
        refund_address: None,
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
        sender: Some(Address::repeat_byte(7)),
        recipient: Address::repeat_byte(7),
        refund_address: Address::repeat_byte(7),
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
    fn an_answer_has_the_size_that_the_figures_say() {
        let length = answer().unwrap().len();
        assert!((2_450..2_650).contains(&length), "{length}");
    }
}
