use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use alloy::primitives::{B256, Bytes, U256};
use api::{
    Client,
    aggregator::{Order, OrderState, Quote, Security, Step, SubmitOrderResponse},
};
use chain::Manifest;
use eyre::{OptionExt, WrapErr, bail, ensure};
use protocol::ids::ChainId;
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    Output, amounts, local, output, refund,
    transfer::{Account, Resolved, System, Transfer},
    wallet::{Call, Wallet},
};

/// Pause between two looks at the order.
const LOOK: Duration = Duration::from_millis(100);
/// How long the aggregator is given to see the transaction that was sent.
const ANNOUNCE_WITHIN: Duration = Duration::from_secs(600);
/// After this time without a fill a person is told how long it can take.
const LATE: Duration = Duration::from_secs(60);
/// How long after a refund the aggregator is given to see it.
const REFUND_WITHIN: Duration = Duration::from_secs(300);

#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    system: System,

    /// Give up following after this time; the transfer goes on. Without it until the transfer has ended: paid, or
    /// refunded once its deadline has passed.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,

    /// Stop following when the money has arrived, before the solver is paid.
    #[arg(long)]
    until_filled: bool,
}

/// The result as JSON.
#[derive(Serialize)]
struct Sent<'a> {
    order: &'a Order,
    provider: &'a str,
    amount_in: String,
    amount_out: String,
    cost: Option<String>,
    filled_after_seconds: Option<f64>,
    seconds: f64,
}

impl Send {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let client = self.system.client()?;
        let signer = self.account.signer()?;
        let transfer = self.transfer.resolve(&client, signer.address()).await?;
        let manifest = self.system.manifest()?;
        let quote = transfer.quotes(&client).await?.swap_remove(0);
        announce(&transfer, &quote);

        let origin = ChainId(transfer.request.origin_chain_id);
        let (_, chain) =
            manifest.by_chain_id(origin).ok_or_eyre("the manifest lacks the origin")?;
        let wallet = Wallet::new(signer, local::client(chain)?);
        let token = transfer.token_in.address;
        let held = wallet.balance_of(token).await?;
        ensure!(
            held >= quote.amount_in.0,
            "{} has {} on chain {origin}, the transfer takes {}",
            wallet.address(),
            amounts::shown(held, &transfer.token_in),
            amounts::shown(quote.amount_in.0, &transfer.token_in)
        );
        let begun = Instant::now();
        let done = execute(&wallet, &quote).await?;
        let submitted = self.announce_order(&client, &quote, &done).await?;
        let mut follow = Follow { begun, shown: 0, filled_after: None, is_told: false };
        let order = follow.until_end(&client, submitted.id, &self).await?;
        if order.state == OrderState::Refundable {
            Output::remark("nobody filled it in time; taking the money back");
            take_back(&wallet, &manifest, &order).await?;
            let refunded = follow.until_refunded(&client, submitted.id, &self).await?;
            return self.report(output, &transfer, &quote, &refunded, &follow);
        }
        self.report(output, &transfer, &quote, &order, &follow)
    }

    /// Tells the aggregator of the transaction, or hands it the signature. Its node may be behind ours
    /// for a moment.
    async fn announce_order(
        &self,
        client: &Client,
        quote: &Quote,
        done: &Done,
    ) -> eyre::Result<SubmitOrderResponse> {
        let begun = Instant::now();
        loop {
            let submitted = match done {
                Done::Sent(hash) => client.submit(quote.clone(), Some(*hash)).await,
                Done::Signed(signature) => {
                    client.submit_signed(quote.clone(), signature.clone()).await
                }
            };
            match submitted {
                Ok(submitted) => return Ok(submitted),
                Err(error)
                    if error.passes()
                        && begun.elapsed() < self.timeout.unwrap_or(ANNOUNCE_WITHIN) =>
                {
                    sleep(LOOK).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn report(
        &self,
        output: Output,
        transfer: &Resolved,
        quote: &Quote,
        order: &Order,
        follow: &Follow,
    ) -> eyre::Result<ExitCode> {
        let arrived = is_filled(order.state);
        // Only where both tokens are the same money is the difference a cost.
        let is_same = transfer.token_in.symbol == transfer.token_out.symbol
            && transfer.token_in.decimals == transfer.token_out.decimals;
        let cost = is_same
            .then(|| quote.amount_in.0.checked_sub(quote.amount_out.0))
            .flatten()
            .map(|cost: U256| amounts::shown(cost, &transfer.token_in));
        let sent = Sent {
            order,
            provider: &quote.provider,
            amount_in: amounts::shown(quote.amount_in.0, &transfer.token_in),
            amount_out: amounts::shown(quote.amount_out.0, &transfer.token_out),
            cost: cost.clone(),
            filled_after_seconds: follow.filled_after.map(|after| after.as_secs_f64()),
            seconds: follow.begun.elapsed().as_secs_f64(),
        };
        let mut text = match follow.filled_after {
            Some(after) => format!(
                "{} arrived on chain {} after {:.1} s",
                sent.amount_out,
                order.destination_chain_id,
                after.as_secs_f64()
            ),
            None if order.state == OrderState::Refunded => format!(
                "nothing arrived; {} are back on chain {}, less the gas",
                sent.amount_in, order.origin_chain_id
            ),
            None => format!("nothing arrived: {}", order.state.name()),
        };
        if let Some(cost) = cost.filter(|_| arrived) {
            text += &format!("; it cost {cost}");
        }
        text += &format!("\norder {}", order.id);
        output.result(&sent, text)?;
        Ok(if arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn announce(transfer: &Resolved, quote: &Quote) {
    let tier = quote.security.tier.map_or("its own", security_name);
    Output::remark(format_args!(
        "{} quotes {} for {}, about {} s, {tier} security",
        quote.provider,
        amounts::shown(quote.amount_out.0, &transfer.token_out),
        amounts::shown(quote.amount_in.0, &transfer.token_in),
        quote.time.seconds,
    ));
}

/// What opens the order.
enum Done {
    /// This transaction.
    Sent(B256),
    /// A solver, with this signature.
    Signed(Bytes),
}

/// Takes the reward of an order back to its creator.
pub(super) async fn take_back(
    wallet: &Wallet,
    manifest: &Manifest,
    order: &Order,
) -> eyre::Result<()> {
    let opened = opening(order).ok_or_eyre("no transaction is known to have opened it")?;
    let receipt = wallet.mined(opened).await?;
    let hash = refund::refund(wallet, manifest, &receipt).await?;
    Output::remark(format_args!("{:<12} chain {}  {hash}", "refund", order.origin_chain_id));
    Ok(())
}

/// The transaction that published the order, as the chain holds it now.
fn opening(order: &Order) -> Option<B256> {
    let mut events = order.events.iter().filter(|event| !event.removed);
    events.find(|event| event.state == OrderState::Published)?.transaction
}

/// Signs and sends every step; what the last one made.
async fn execute(wallet: &Wallet, quote: &Quote) -> eyre::Result<Done> {
    let mut last = None;
    for step in &quote.steps {
        match step {
            Step::Transaction(step) => {
                let call = Call {
                    to: step.to,
                    data: step.data.clone(),
                    value: step.value.0,
                    // A limit from a simulation before an earlier step may be too low.
                    gas_limit: step.gas_limit.filter(|_| quote.steps.len() == 1),
                };
                let receipt =
                    wallet.send(call).await.wrap_err_with(|| format!("step {:?}", step.id))?;
                Output::remark(format_args!(
                    "{:<12} chain {}  {}",
                    step.id, step.chain_id, receipt.transaction_hash
                ));
                last = Some(Done::Sent(receipt.transaction_hash));
            }
            Step::Signature(step) => {
                last = Some(Done::Signed(wallet.sign_typed_data(&step.typed_data)?));
                Output::remark(format_args!("{:<12} signed", step.id));
            }
        }
    }
    last.ok_or_eyre("the quote has no steps")
}

/// What a person has been shown of an order.
struct Follow {
    begun: Instant,
    shown: usize,
    filled_after: Option<Duration>,
    /// Whether it was told how long a late fill can take.
    is_told: bool,
}

impl Follow {
    /// Shows every event as it happens, until the order moves no more.
    async fn until_end(&mut self, client: &Client, id: B256, send: &Send) -> eyre::Result<Order> {
        loop {
            if let Some(order) = client.order(id).await? {
                self.show(&order);
                let is_end = match order.state {
                    OrderState::Settled
                    | OrderState::Refundable
                    | OrderState::Refunded
                    | OrderState::Failed => true,
                    OrderState::Filled | OrderState::Proving | OrderState::Proven => {
                        send.until_filled
                    }
                    OrderState::Pending | OrderState::Published | OrderState::Funded => false,
                };
                if is_end {
                    return Ok(order);
                }
                if send.timeout.is_some_and(|timeout| self.begun.elapsed() > timeout) {
                    bail!(
                        "order {id} is still {}; `metalayer status {id}` shows it, and `metalayer refund {id}` takes \
                         the money back once it can be refunded",
                        order.state.name()
                    );
                }
                self.tell_how_long(&order);
            }
            sleep(LOOK).await;
        }
    }

    /// Shows every event as it happens, until the money is back.
    async fn until_refunded(
        &mut self,
        client: &Client,
        id: B256,
        send: &Send,
    ) -> eyre::Result<Order> {
        let begun = Instant::now();
        loop {
            if let Some(order) = client.order(id).await? {
                self.show(&order);
                if order.state == OrderState::Refunded {
                    return Ok(order);
                }
            }
            if begun.elapsed() > send.timeout.unwrap_or(REFUND_WITHIN) {
                bail!("the refund of order {id} was sent and is not seen yet");
            }
            sleep(LOOK).await;
        }
    }

    /// Tells once, when a fill is late, until when there may be one.
    fn tell_how_long(&mut self, order: &Order) {
        if self.is_told || self.filled_after.is_some() || self.begun.elapsed() < LATE {
            return;
        }
        self.is_told = true;
        let Some(deadline) = order.deadline else { return };
        Output::remark(format_args!(
            "nobody has filled it yet; if nobody does, the money comes back after {} (stopping here loses nothing: \
             `metalayer refund {}` does it later)",
            output::time(deadline),
            order.id
        ));
    }

    fn show(&mut self, order: &Order) {
        for event in order.events.iter().skip(self.shown) {
            let transaction = event.transaction.map_or_else(String::new, |hash| hash.to_string());
            let chain = event.chain_id.map_or_else(String::new, |id| format!("chain {id}"));
            Output::remark(format_args!(
                "{:>6.1} s  {:<10} {chain}  {transaction}",
                self.begun.elapsed().as_secs_f64(),
                event.state.name(),
            ));
        }
        self.shown = order.events.len();
        if is_filled(order.state) {
            self.filled_after.get_or_insert_with(|| self.begun.elapsed());
        }
    }
}

pub(super) const fn security_name(security: Security) -> &'static str {
    match security {
        Security::Instant => "instant",
        Security::Finalized => "finalized",
    }
}

const fn is_filled(state: OrderState) -> bool {
    matches!(
        state,
        OrderState::Filled | OrderState::Proving | OrderState::Proven | OrderState::Settled
    )
}
