//! The steps of a quote, and what is out of our hands once one was begun.

use std::{fmt, time::Duration};

use alloy::primitives::{Bytes, TxHash};
use api::aggregator::{Quote, Step, TransactionStep};
use eyre::{OptionExt, WrapErr, bail};
use service::clock::Clock;
use tokio::{pin, time::timeout};

use crate::{
    Output,
    wallet::{Call, Undelivered, Wallet},
};

/// How long before its expiry a quote is not taken any more: what opens the order must be mined.
const MARGIN: Duration = Duration::from_secs(3);
/// After this time without a block a person is told that it is waited for.
const LATE: Duration = Duration::from_secs(60);

/// A quote that is being paid for, and everything that was sent and signed for it.
#[derive(Debug)]
pub(super) struct Payment {
    quote: Quote,
    /// Transactions that nodes may have, with the ids of their steps.
    sent: Vec<(String, TxHash)>,
    signature: Option<Bytes>,
    /// Whether money may leave the account by it.
    is_made: bool,
}

/// What opens the order.
#[derive(Debug, Clone)]
pub(super) enum Opening {
    /// This transaction, which is mined.
    Sent(TxHash),
    /// A solver, with this signature.
    Signed(Bytes),
}

impl Payment {
    /// Nothing is sent yet.
    pub(super) const fn new(quote: Quote) -> Self {
        Self { quote, sent: Vec::new(), signature: None, is_made: false }
    }

    pub(super) const fn quote(&self) -> &Quote {
        &self.quote
    }

    /// Takes another quote instead. What was sent for the first stays in mind.
    pub(super) fn renew(&mut self, quote: Quote) {
        self.quote = quote;
    }

    /// Whether the quote expires before what opens its order could be mined.
    pub(super) fn is_late(&self) -> bool {
        Clock::system().unix() + MARGIN.as_secs() >= self.quote.expires_at
    }

    /// Every transaction that was sent, in order.
    pub(super) fn transactions(&self) -> Vec<TxHash> {
        self.sent.iter().map(|(_, hash)| *hash).collect()
    }

    /// What opens the order, once [`Self::pay`] has made it.
    pub(super) fn opening(&self) -> Option<Opening> {
        match &self.signature {
            Some(signature) => Some(Opening::Signed(signature.clone())),
            None => self.sent.last().map(|(_, hash)| Opening::Sent(*hash)),
        }
    }

    /// Says which order it will be and sends every step but the last, which pays.
    ///
    /// # Errors
    /// A step is refused, reverts or is not mined in time.
    pub(super) async fn prepare(&mut self, wallet: &Wallet, within: Duration) -> eyre::Result<()> {
        if let Some(id) = self.quote.order_id {
            Output::remark(format_args!("{:<12} chain {}  {id}", "order", wallet.chain_id()));
        }
        let steps = self.quote.steps.clone();
        let (_, before) = steps.split_last().ok_or_eyre("the quote has no steps")?;
        for step in before {
            let Step::Transaction(step) = step else { bail!("a signature comes last") };
            self.send(step, wallet, within).await?;
        }
        Ok(())
    }

    /// Signs or sends the last step, and waits until it is mined.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub(super) async fn pay(&mut self, wallet: &Wallet, within: Duration) -> eyre::Result<()> {
        match self.quote.steps.last().cloned().ok_or_eyre("the quote has no steps")? {
            Step::Transaction(step) => {
                let before = self.sent.len();
                let outcome = self.send(&step, wallet, within).await;
                self.is_made = self.sent.len() > before;
                outcome
            }
            Step::Signature(step) => {
                self.signature = Some(wallet.sign_typed_data(&step.typed_data)?);
                self.is_made = true;
                Output::remark(format_args!("{:<12} signed", step.id));
                Ok(())
            }
        }
    }

    async fn send(
        &mut self,
        step: &TransactionStep,
        wallet: &Wallet,
        within: Duration,
    ) -> eyre::Result<()> {
        let what = || format!("step {:?}", step.id);
        let (to, data, value) = (step.to, step.data.clone(), step.value.0);
        // Our own node says how much gas it takes: the aggregator's may know less, or lie.
        let call = Call { to, data, value, gas_limit: None };
        let signed = wallet.prepare(call).await.wrap_err_with(what)?;
        // Before any node has it: whoever is stopped from here on can look for it.
        Output::remark(format_args!("{:<12} chain {}  {}", step.id, step.chain_id, signed.hash));
        self.sent.push((step.id.clone(), signed.hash));
        let delivering = wallet.deliver(&signed, within);
        pin!(delivering);
        let soon = timeout(LATE, delivering.as_mut()).await;
        let delivered = match soon {
            Ok(delivered) => delivered,
            Err(_) => {
                Output::remark(format_args!("it is not mined after {LATE:?}; waiting for it"));
                delivering.await
            }
        };
        // Where one node refuses it, another may have it, whose answer was lost.
        if let Err(Undelivered::Reverted(_)) = &delivered {
            self.sent.pop();
        }
        delivered.wrap_err_with(what)?;
        Ok(())
    }

    /// The error, and where everything is that was sent or signed before it.
    pub(super) fn unfinished(&self, cause: eyre::Report) -> eyre::Report {
        if self.sent.is_empty() && self.signature.is_none() {
            return cause;
        }
        cause.wrap_err(self.to_string())
    }
}

/// Where everything is, and what to do next.
impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quote.order_id {
            _ if !self.is_made => write!(f, "nothing is paid; what was sent is an approval")?,
            Some(id) => write!(
                f,
                "order {id} may be under way; `metalayer status {id}` shows it, and `metalayer refund {id}` takes the \
                 money back once it can be refunded"
            )?,
            None => write!(f, "the money is with {}, which alone follows it", self.quote.provider)?,
        }
        for (step, hash) in &self.sent {
            write!(f, "\n  {step}: transaction {hash}")?;
        }
        if self.signature.is_some() {
            write!(
                f,
                "\n  a solver may open it until its quote expires: sending again may pay twice"
            )?;
        }
        Ok(())
    }
}
