//! A deployment as a list of facts: what must be true on a chain, how to see whether it is, and what makes it so.
//!
//! `plan` lists the facts that do not hold, `apply` makes them hold step by step, `verify` demands all of them. There is one
//! list, so what is verified is what was meant to be deployed.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256, keccak256},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use chain::{ChainClient, client};
use protocol::abi::arbos::{ARB_WASM, ArbWasm};

/// Something that must be true on one chain.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What is true then, in words; names the fact in the journal, so it is unique on its chain.
    pub what: String,
    /// When it is looked after: a phase begins when all chains have finished the one before.
    pub phase: Phase,
    /// When within its phase: remedies of one step need nothing of one another and go out together.
    pub step: u8,
    /// How to see whether it is true.
    pub probe: Probe,
    /// What makes it true; nothing for facts that follow from others.
    pub remedy: Option<Remedy>,
}

/// The order of a deployment: nobody can send before everybody can receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Code at its address.
    Deploy,
    /// What makes the contracts of one chain a whole: hooks, default module, router's modules.
    Wire,
    /// What lets messages of the other chains in: modules, signers, accepted routers.
    Receive,
    /// What lets messages to the other chains out: tiers, prices.
    Send,
    /// Who owns it all in the end.
    HandOver,
}

/// How to see whether a fact holds.
#[derive(Clone, Debug)]
pub enum Probe {
    /// The account has code; with this hash, when one is given.
    Code {
        /// The account.
        at: Address,
        /// keccak256 of the code.
        hash: Option<B256>,
    },
    /// The program at this address is activated for the chain's Stylus version and has not expired.
    Activated {
        /// The program.
        program: Address,
    },
    /// A view answers exactly these bytes.
    Answers {
        /// The contract.
        to: Address,
        /// Its call data.
        call: Bytes,
        /// ABI-encoded answer.
        answer: Bytes,
    },
    /// A view answers anything but these bytes.
    AnswersNot {
        /// The contract.
        to: Address,
        /// Its call data.
        call: Bytes,
        /// ABI-encoded answer that is not wanted.
        answer: Bytes,
    },
    /// A view answers an array that holds this word.
    Lists {
        /// The contract.
        to: Address,
        /// Its call data.
        call: Bytes,
        /// The word.
        word: B256,
    },
    /// One of two holds.
    Either(Box<Self>, Box<Self>),
    /// A storage slot holds this word.
    Slot {
        /// The account.
        of: Address,
        /// The slot.
        slot: U256,
        /// The word.
        word: B256,
    },
}

/// The transaction that makes a fact true.
#[derive(Clone, Debug)]
pub struct Remedy {
    /// Who is called.
    pub to: Address,
    /// With what.
    pub data: Bytes,
    /// What is paid along.
    pub value: Value,
}

/// What a remedy pays.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    None,
    /// What activating this code costs now; too much is returned.
    Activation {
        /// The code.
        code: Bytes,
    },
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The fact holds.
    AsWanted,
    /// It does not: what is there instead.
    Otherwise(String),
}

impl Fact {
    /// A view that must answer `answer`, and the call that makes it so.
    pub fn view<C: SolCall>(
        phase: Phase,
        what: impl Into<String>,
        to: Address,
        call: &C,
        answer: Vec<u8>,
        remedy: Option<Vec<u8>>,
    ) -> Self {
        let remedy = remedy.map(|data| Remedy { to, data: data.into(), value: Value::None });
        let probe = Probe::Answers { to, call: call.abi_encode().into(), answer: answer.into() };
        Self { what: what.into(), phase, step: 0, probe, remedy }
    }

    /// The same fact in another step of its phase.
    #[must_use]
    pub fn at_step(self, step: u8) -> Self {
        Self { step, ..self }
    }
}

impl Probe {
    /// Looks at the chain.
    ///
    /// # Errors
    /// Only when the chain cannot be asked: a view that reverts is [`Seen::Otherwise`].
    pub async fn look(&self, client: &ChainClient) -> Result<Seen, client::Error> {
        match self {
            Self::Code { at, hash } => code(client, *at, *hash).await,
            Self::Activated { program } => activated(client, *program).await,
            Self::Answers { to, call, answer } => {
                let given = ask(client, *to, call).await?;
                Ok(match given {
                    Ok(given) if given == *answer => Seen::AsWanted,
                    Ok(given) => Seen::Otherwise(format!("answers {given}, expected {answer}")),
                    Err(revert) => Seen::Otherwise(revert),
                })
            }
            Self::AnswersNot { to, call, answer } => Ok(match ask(client, *to, call).await? {
                Ok(given) if given == *answer => Seen::Otherwise(format!("answers {given}")),
                Ok(_) => Seen::AsWanted,
                Err(revert) => Seen::Otherwise(revert),
            }),
            Self::Lists { to, call, word } => Ok(match ask(client, *to, call).await? {
                // An array of one-word items: offset, length, items.
                Ok(given) if given.chunks_exact(32).skip(2).any(|item| item == word) => {
                    Seen::AsWanted
                }
                Ok(given) => Seen::Otherwise(format!("lists {given}, without {word}")),
                Err(revert) => Seen::Otherwise(revert),
            }),
            Self::Either(first, second) => {
                let Seen::Otherwise(first) = Box::pin(first.look(client)).await? else {
                    return Ok(Seen::AsWanted);
                };
                Ok(match Box::pin(second.look(client)).await? {
                    Seen::AsWanted => Seen::AsWanted,
                    Seen::Otherwise(second) => Seen::Otherwise(format!("{first}, and {second}")),
                })
            }
            Self::Slot { of, slot, word } => {
                let given = client.storage(*of, *slot, BlockNumberOrTag::Latest).await?;
                Ok(if given == *word {
                    Seen::AsWanted
                } else {
                    Seen::Otherwise(format!("slot holds {given}, expected {word}"))
                })
            }
        }
    }
}

async fn code(
    client: &ChainClient,
    at: Address,
    hash: Option<B256>,
) -> Result<Seen, client::Error> {
    let code = client.code(at, BlockNumberOrTag::Latest).await?;
    if code.is_empty() {
        return Ok(Seen::Otherwise(format!("no code at {at}")));
    }
    let given = keccak256(&code);
    Ok(match hash {
        Some(hash) if hash != given => {
            Seen::Otherwise(format!("code at {at} has hash {given}, expected {hash}"))
        }
        _ => Seen::AsWanted,
    })
}

async fn activated(client: &ChainClient, program: Address) -> Result<Seen, client::Error> {
    let latest = BlockNumberOrTag::Latest;
    match client.call(ARB_WASM, &ArbWasm::programTimeLeftCall { program }, latest).await {
        Ok(_) => Ok(Seen::AsWanted),
        Err(client::Error::Reverted { revert, .. }) => {
            Ok(Seen::Otherwise(match revert.decode::<ArbWasm::ArbWasmErrors>() {
                Some(error) => format!("{program} cannot run: {error:?}"),
                None => format!("{program} cannot run: {revert}"),
            }))
        }
        Err(error) => Err(error),
    }
}

/// The answer of a view, or the revert in words.
async fn ask(
    client: &ChainClient,
    to: Address,
    call: &Bytes,
) -> Result<Result<Bytes, String>, client::Error> {
    let request = TransactionRequest::default().to(to).input(call.clone().into());
    match client.simulate(&request, BlockNumberOrTag::Latest).await {
        Ok(answer) => Ok(Ok(answer)),
        Err(client::Error::Reverted { revert, .. }) => Ok(Err(format!("{to} {revert}"))),
        Err(error) => Err(error),
    }
}
