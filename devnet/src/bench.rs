//! Measures a network: how soon it starts, how fast it answers, what it keeps in memory.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    network::TxSignerSync,
    primitives::{Address, B256, Bytes, TxKind, U256, hex},
    signers::local::{LocalSignerError, PrivateKeySigner},
};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::{JoinError, JoinSet},
};

use crate::{
    Chain, ChainConfig, ChainError, ChainHandle, Config, Transact,
    genesis::{self, DEV_ADDRESSES},
    server,
};

/// Connections that send at the same time, each for an account of its own.
const CONNECTIONS: usize = 8;
/// Most wei per gas that benchmark transactions offer.
const FEE_CAP: u128 = 10_000_000_000;

/// Why a measurement failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The network did not start.
    #[error(transparent)]
    Start(#[from] server::Error),
    /// The chain refused something.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The keys could not be derived.
    #[error(transparent)]
    Key(#[from] LocalSignerError),
    /// A transaction could not be signed.
    #[error("cannot sign: {0}")]
    Sign(#[from] alloy::signers::Error),
    /// The connection to the node failed.
    #[error("connection: {0}")]
    Connection(#[from] io::Error),
    /// A sender ended early.
    #[error("sender: {0}")]
    Sender(#[from] JoinError),
    /// The node refused a transaction.
    #[error("the node answered {0}")]
    Refused(String),
    /// A transaction is not in a block, or failed there.
    #[error("transaction {0} did not succeed")]
    Failed(B256),
}

/// The transaction that a measurement repeats.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// Who is called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
    /// Gas limit.
    pub gas: u64,
}

/// How many transactions went through in which time.
#[derive(Debug, Clone, Copy)]
pub struct Throughput {
    /// Sent, mined and successful.
    pub transactions: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

impl Throughput {
    /// Transactions a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.transactions as f64 / self.elapsed.as_secs_f64()
    }
}

/// How long calls of a program take inside the virtual machine.
#[derive(Debug, Clone, Copy)]
pub struct CallTimes {
    /// The first, which compiles the program.
    pub cold: Duration,
    /// The median of those after it.
    pub warm: Duration,
}

/// What many blocks leave behind.
#[derive(Debug, Clone, Copy)]
pub struct Footprint {
    /// Time to make them.
    pub elapsed: Duration,
    /// Resident memory of the whole process afterwards, in bytes; `None` where the system does not
    /// tell.
    pub resident: Option<u64>,
}

/// Time from nothing to `count` chains that answer.
///
/// # Errors
/// When they do not start.
pub async fn start(count: u64) -> Result<Duration, Error> {
    let begin = Instant::now();
    let network = server::spawn(Config::with_chains(count)).await?;
    let elapsed = begin.elapsed();
    network.stop().await;
    Ok(elapsed)
}

/// Times calls of `program` with `data` on top of the chain's head.
///
/// # Errors
/// When a call cannot be executed.
pub fn calls(chain: &Chain, program: Address, data: &Bytes) -> Result<CallTimes, Error> {
    const WARM: usize = 1_000;
    let call = || -> Result<Duration, Error> {
        let begin = Instant::now();
        chain.call(Transact::call(DEV_ADDRESSES[0], program, data.clone()))?;
        Ok(begin.elapsed())
    };
    let cold = call()?;
    let mut warm = (0..WARM).map(|_| call()).collect::<Result<Vec<_>, _>>()?;
    warm.sort_unstable();
    Ok(CallTimes { cold, warm: warm[WARM / 2] })
}

/// Sends `count` transactions over HTTP and waits for all answers, then checks every receipt.
///
/// The transactions are signed beforehand; the chain has to automine.
///
/// # Errors
/// When one of them does not get through or fails.
pub async fn throughput(chain: &ChainHandle, load: &Load, count: u64) -> Result<Throughput, Error> {
    let share = count.div_ceil(CONNECTIONS as u64);
    let mut prepared = Vec::new();
    for signer in genesis::dev_signers()?.iter().take(CONNECTIONS) {
        prepared.push(sign(&chain.chain(), signer, load, share)?);
    }
    let hashes: Vec<B256> = prepared.iter().flatten().map(|envelope| *envelope.tx_hash()).collect();
    let begin = Instant::now();
    let mut senders = JoinSet::new();
    for envelopes in prepared {
        senders.spawn(send(chain.address(), envelopes));
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    let elapsed = begin.elapsed();
    let chain = chain.chain();
    for hash in &hashes {
        if !chain.receipt(*hash).is_some_and(|receipt| receipt.success) {
            return Err(Error::Failed(*hash));
        }
    }
    Ok(Throughput { transactions: hashes.len() as u64, elapsed })
}

/// Makes `blocks` blocks with one transfer each on a chain that keeps `history` of them.
///
/// # Errors
/// When a transfer cannot be executed.
pub fn footprint(blocks: u64, history: u64) -> Result<Footprint, Error> {
    let chain = Chain::new(ChainConfig::default().history(history));
    let begin = Instant::now();
    for index in 0..blocks {
        // A thousand receivers: some state is touched again and some is not.
        let to = Address::left_padding_from(&(0x1000 + index % 1_000).to_be_bytes());
        chain.transact(Transact::call(DEV_ADDRESSES[0], to, []).value(U256::from(1)))?;
    }
    Ok(Footprint { elapsed: begin.elapsed(), resident: resident() })
}

fn sign(
    chain: &Chain,
    signer: &PrivateKeySigner,
    load: &Load,
    count: u64,
) -> Result<Vec<TxEnvelope>, Error> {
    let first = chain.nonce(signer.address());
    (first..first + count)
        .map(|nonce| {
            let mut tx = TxEip1559 {
                chain_id: chain.chain_id(),
                nonce,
                gas_limit: load.gas,
                max_fee_per_gas: FEE_CAP,
                max_priority_fee_per_gas: 0,
                to: TxKind::Call(load.to),
                value: load.value,
                access_list: Default::default(),
                input: load.data.clone(),
            };
            let signature = signer.sign_transaction_sync(&mut tx)?;
            Ok(tx.into_signed(signature).into())
        })
        .collect()
}

/// Posts transactions over one connection, one after the other.
async fn send(node: SocketAddr, transactions: Vec<TxEnvelope>) -> Result<(), Error> {
    let stream = TcpStream::connect(node).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    for transaction in transactions {
        let raw = hex::encode_prefixed(transaction.encoded_2718());
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["{raw}"]}}"#
        );
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {node}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes()).await?;
        let answer = read_response(&mut stream).await?;
        if !answer.contains("\"result\"") {
            return Err(Error::Refused(answer));
        }
    }
    Ok(())
}

/// Reads one response of an HTTP/1.1 connection and returns its body.
async fn read_response(stream: &mut BufReader<TcpStream>) -> Result<String, Error> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Resident memory of this process, in bytes, where Linux tells.
fn resident() -> Option<u64> {
    const PAGE: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}
