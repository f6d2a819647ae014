//! An order on its way, until it has ended.

use std::time::{Duration, Instant};

use alloy::primitives::B256;
use api::{
    Client, ClientError,
    aggregator::{Order, OrderState},
};
use eyre::bail;
use tokio::time::sleep;

use super::payment::{Opening, Payment};
use crate::{Output, output};

/// Pause between two looks at the order.
const LOOK: Duration = Duration::from_millis(100);
/// Pause after an answer that failed and names no other.
const PAUSE: Duration = Duration::from_millis(250);
/// The aggregator's wish to be left alone is followed up to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After this time without a fill a person is told how long it can take.
const LATE: Duration = Duration::from_secs(60);
/// After this time without an answer a person is told that it is waited for.
const SILENCE: Duration = Duration::from_secs(3);

/// Follows an order, and shows a person what becomes of it. An aggregator that does not answer is
/// waited for: the order goes on without it.
#[derive(Debug)]
pub(super) struct Follow<'a> {
    client: &'a Client,
    begun: Instant,
    /// When to give up; never when there is none.
    deadline: Option<Instant>,
    shown: usize,
    pub(super) filled_after: Option<Duration>,
    /// Whether it was told how long a late fill can take.
    is_told: bool,
    /// Since when there is no answer.
    silent_since: Option<Instant>,
    /// Whether it was told that there is no answer.
    is_silence_told: bool,
}

impl<'a> Follow<'a> {
    /// Follows from now on, for so long.
    pub(super) fn new(client: &'a Client, within: Option<Duration>) -> Self {
        let mut follow = Self {
            client,
            begun: Instant::now(),
            deadline: None,
            shown: 0,
            filled_after: None,
            is_told: false,
            silent_since: None,
            is_silence_told: false,
        };
        follow.give_up_after(within);
        follow
    }

    /// Gives up so long after now.
    pub(super) fn give_up_after(&mut self, within: Option<Duration>) {
        // Beyond what can be counted is never.
        self.deadline = within.and_then(|within| Instant::now().checked_add(within));
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Tells the aggregator of the transaction, or hands it the signature, until it has it. Its node
    /// may be behind ours for a moment; telling it twice does no harm.
    ///
    /// # Errors
    /// It refuses a signature, or the time is over.
    pub(super) async fn announce(&mut self, payment: &Payment, id: B256) -> eyre::Result<()> {
        let quote = payment.quote();
        loop {
            let answer = match payment.opening() {
                None => bail!("nothing opens the order"),
                Some(Opening::Sent(hash)) => self.client.submit(quote.clone(), Some(hash)).await,
                Some(Opening::Signed(signature)) => {
                    self.client.submit_signed(quote.clone(), signature).await
                }
            };
            let Err(error) = answer else {
                self.heard();
                return Ok(());
            };
            if error.passes() {
                self.wait_out(&error, "not announced").await?;
            } else if self.may_be_open(payment, id).await {
                // The chain decides, whatever the aggregator thinks of the quote.
                Output::remark(format_args!("{error}; following what the chain shows"));
                return Ok(());
            } else {
                return Err(error.into());
            }
        }
    }

    /// Whether an order that the aggregator refuses may be open: its transaction is mined, or its
    /// signature was handed on before and the answer was lost.
    async fn may_be_open(&self, payment: &Payment, id: B256) -> bool {
        match payment.opening() {
            Some(Opening::Sent(_)) => true,
            _ if self.silent_since.is_none() => false,
            _ => !matches!(self.client.order(id).await, Ok(None)),
        }
    }

    /// Shows every event as it happens, until the order has come to its end.
    ///
    /// # Errors
    /// The aggregator refuses the question for good, or the time is over.
    pub(super) async fn until(
        &mut self,
        id: B256,
        is_end: impl Fn(&Order) -> bool,
    ) -> eyre::Result<Order> {
        loop {
            match self.client.order(id).await {
                Ok(Some(order)) => {
                    self.heard();
                    self.show(&order);
                    if is_end(&order) {
                        return Ok(order);
                    }
                    self.in_time(order.state.name())?;
                    self.tell_how_long(&order);
                    sleep(LOOK).await;
                }
                Ok(None) => {
                    self.heard();
                    self.in_time("not seen by the aggregator")?;
                    self.tell("the aggregator has not seen the order yet; waiting for it");
                    sleep(LOOK).await;
                }
                Err(error) if error.passes() => self.wait_out(&error, "without an answer").await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits as long as the aggregator asks for.
    async fn wait_out(&mut self, error: &ClientError, state: &str) -> eyre::Result<()> {
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        if since.elapsed() > SILENCE && !self.is_silence_told {
            self.is_silence_told = true;
            Output::remark(format_args!("{error}; the transfer goes on, waiting for an answer"));
        }
        self.in_time(state)?;
        let mut pause = error.retry_after().unwrap_or(PAUSE).clamp(PAUSE, LONGEST_PAUSE);
        if let Some(deadline) = self.deadline {
            pause = pause.min(deadline.saturating_duration_since(Instant::now()) + LOOK);
        }
        sleep(pause).await;
        Ok(())
    }

    fn heard(&mut self) {
        self.silent_since = None;
        if std::mem::take(&mut self.is_silence_told) {
            Output::remark("it answers again");
        }
    }

    fn in_time(&self, state: &str) -> eyre::Result<()> {
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            bail!("after {:.1} s it is still {state}", self.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Tells once, when a fill is late, until when there may be one.
    fn tell_how_long(&mut self, order: &Order) {
        if self.filled_after.is_some() {
            return;
        }
        let Some(deadline) = order.deadline else { return };
        self.tell(&format!(
            "nobody has filled it yet; if nobody does, the money comes back after {} (stopping here loses nothing: \
             `metalayer refund {}` does it later)",
            output::time(deadline),
            order.id
        ));
    }

    /// Tells a person why nothing happens, once and only when that has lasted.
    fn tell(&mut self, why: &str) {
        if !self.is_told && self.elapsed() > LATE {
            self.is_told = true;
            Output::remark(why);
        }
    }

    fn show(&mut self, order: &Order) {
        for event in order.events.iter().skip(self.shown) {
            let transaction = event.transaction.map_or_else(String::new, |hash| hash.to_string());
            let chain = event.chain_id.map_or_else(String::new, |id| format!("chain {id}"));
            Output::remark(format_args!(
                "{:>6.1} s  {:<10} {chain}  {transaction}",
                self.elapsed().as_secs_f64(),
                event.state.name(),
            ));
        }
        self.shown = order.events.len();
        if is_filled(order.state) {
            let elapsed = self.begun.elapsed();
            self.filled_after.get_or_insert(elapsed);
        }
    }
}

/// Whether the money has arrived.
pub(super) const fn is_filled(state: OrderState) -> bool {
    matches!(
        state,
        OrderState::Filled | OrderState::Proving | OrderState::Proven | OrderState::Settled
    )
}
