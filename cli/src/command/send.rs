mod follow;
mod payment;
mod terms;

use std::{process::ExitCode, time::Duration};

use alloy::{
    primitives::{B256, TxHash},
    rpc::types::BlockNumberOrTag,
};
use api::{
    Client,
    aggregator::{Order, OrderState, Quote, Security, Token},
};
use chain::{ChainClient, Manifest, manifest::ChainManifest};
use eyre::{OptionExt, bail, ensure};
use protocol::{abi::erc20, ids::ChainId};
use serde::Serialize;
use service::clock::Clock;

use self::{
    follow::{Follow, is_filled},
    payment::{Opening, Payment},
    terms::Terms,
};
use crate::{
    Output, amounts, local, refund,
    transfer::{Account, Resolved, System, Transfer},
    wallet::Wallet,
};

/// How long after a refund the aggregator is given to see it.
const REFUND_WITHIN: Duration = Duration::from_secs(300);
/// How long after its quote's expiry a signed order may show that it was opened in time.
const OPENED_WITHIN: Duration = Duration::from_secs(60);
/// Decimals of native currency on every EVM chain.
const NATIVE_DECIMALS: u8 = 18;

#[derive(Debug, clap::Args)]
pub(crate) struct Send {
    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    system: System,

    /// The least that must arrive, in whole tokens. Without it no quote is taken that loses more than a tenth.
    #[arg(long, value_name = "AMOUNT")]
    min_receive: Option<String>,

    /// Give up following after this time; the transfer goes on. Without it until the transfer has ended: paid, or
    /// refunded once its deadline has passed.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,

    /// Stop following when the money has arrived, before the solver is paid.
    #[arg(long)]
    until_filled: bool,
}

/// Everything that sending needs.
struct Sending<'a> {
    options: &'a Send,
    client: &'a Client,
    manifest: &'a Manifest,
    wallet: &'a Wallet,
    terms: Terms<'a>,
}

/// The result as JSON.
#[derive(Serialize)]
struct Sent<'a> {
    /// None of a provider that follows its transfers itself.
    order: Option<&'a Order>,
    provider: &'a str,
    transactions: Vec<TxHash>,
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
        let min_receive = self.min_receive.as_ref();
        let min_receive =
            min_receive.map(|text| amounts::parsed(text, &transfer.token_out)).transpose()?;
        let manifest = self.system.manifest()?;
        let origin = chain_of(&manifest, transfer.request.origin_chain_id)?;
        let destination = chain_of(&manifest, transfer.request.destination_chain_id)?;
        for (token, chain) in [(&transfer.token_in, origin), (&transfer.token_out, destination)] {
            check_decimals(token, &local::client(chain)?).await?;
        }
        let wallet = Wallet::new(signer, local::client(origin)?);
        let sender = wallet.address();
        let terms = Terms {
            transfer: &transfer,
            sender,
            origin,
            destination,
            min_receive,
            clock: Clock::system(),
        };
        let sending = Sending {
            options: &self,
            client: &client,
            manifest: &manifest,
            wallet: &wallet,
            terms,
        };

        let quote = sending.quote().await?;
        sending.can_afford(&quote).await?;
        let mut payment = Payment::new(quote);
        let mut follow = Follow::new(&client, self.timeout);
        let order = sending.carry_out(&mut payment, &mut follow).await;
        let order = order.map_err(|cause| payment.unfinished(cause))?;
        report(output, &transfer, &payment, order.as_ref(), &follow)
    }
}

impl Sending<'_> {
    /// The best quote that the person agrees to.
    async fn quote(&self) -> eyre::Result<Quote> {
        let transfer = self.terms.transfer;
        let mut refusals = Vec::new();
        for quote in transfer.quotes(self.client).await? {
            match self.terms.check(&quote) {
                Ok(()) => {
                    announce(transfer, &quote);
                    return Ok(quote);
                }
                Err(refusal) => refusals.push(format!("{}: {refusal:#}", quote.provider)),
            }
        }
        bail!("no quote is one to sign for\n{}", refusals.join("\n"))
    }

    async fn can_afford(&self, quote: &Quote) -> eyre::Result<()> {
        let token = &self.terms.transfer.token_in;
        let held = self.wallet.balance_of(token.address).await?;
        ensure!(
            held >= quote.amount_in.0,
            "{} has {} on chain {}, the transfer takes {}",
            self.wallet.address(),
            amounts::shown(held, token),
            self.wallet.chain_id(),
            amounts::shown(quote.amount_in.0, token)
        );
        Ok(())
    }

    /// Pays, and follows the order until it has ended. There is none of a provider that follows its
    /// transfers itself.
    async fn carry_out(
        &self,
        payment: &mut Payment,
        follow: &mut Follow<'_>,
    ) -> eyre::Result<Option<Order>> {
        let within = self.options.timeout.unwrap_or(Duration::MAX);
        payment.prepare(self.wallet, within).await?;
        if payment.is_late() {
            // An escrow for a quote that has expired would wait for nobody.
            let quote = self.no_worse_than(payment.quote()).await?;
            payment.renew(quote);
            payment.prepare(self.wallet, within).await?;
            ensure!(
                !payment.is_late(),
                "quotes expire before they can be taken; is this machine's clock right?"
            );
        }
        payment.pay(self.wallet, within).await?;
        let Some(id) = payment.quote().order_id else { return Ok(None) };
        follow.announce(payment, id).await?;
        let order = follow.until(id, |order| self.is_end(payment, order)).await?;
        if order.state != OrderState::Refundable {
            return Ok(Some(order));
        }
        Output::remark("nobody filled it in time; taking the money back");
        take_back(self.wallet, self.manifest, &order).await?;
        follow.give_up_after(Some(self.options.timeout.unwrap_or(REFUND_WITHIN)));
        let order = follow.until(id, |order| order.state == OrderState::Refunded).await?;
        Ok(Some(order))
    }

    /// A new quote in place of one that expires before it can be taken.
    async fn no_worse_than(&self, old: &Quote) -> eyre::Result<Quote> {
        Output::remark("the quote has expired before it could be taken; asking for another");
        let new = self.quote().await?;
        let transfer = self.terms.transfer;
        ensure!(
            new.amount_in <= old.amount_in && new.min_amount_out >= old.min_amount_out,
            "the quote has expired, and the new one is worse: {} for {}; send again to take it",
            amounts::shown(new.min_amount_out.0, &transfer.token_out),
            amounts::shown(new.amount_in.0, &transfer.token_in)
        );
        Ok(new)
    }

    /// Whether the order moves no more, or is not to be followed further.
    fn is_end(&self, payment: &Payment, order: &Order) -> bool {
        match order.state {
            OrderState::Settled | OrderState::Refundable | OrderState::Refunded => true,
            OrderState::Filled | OrderState::Proving | OrderState::Proven => {
                self.options.until_filled
            }
            OrderState::Pending | OrderState::Published | OrderState::Funded => false,
            // The aggregator says so of whatever it has not seen on the chain in time. It will see a
            // transaction that is mined, and what a solver has opened at the last moment.
            OrderState::Failed => match payment.opening() {
                Some(Opening::Sent(_)) => false,
                Some(Opening::Signed(_)) | None => {
                    let until = payment.quote().expires_at.saturating_add(OPENED_WITHIN.as_secs());
                    Clock::system().unix() > until
                }
            },
        }
    }
}

fn report(
    output: Output,
    transfer: &Resolved,
    payment: &Payment,
    order: Option<&Order>,
    follow: &Follow<'_>,
) -> eyre::Result<ExitCode> {
    let quote = payment.quote();
    // Only where both tokens are the same money is the difference a cost.
    let cost = quote.amount_in.0.checked_sub(quote.amount_out.0);
    let cost = cost.filter(|_| transfer.is_same_money());
    let sent = Sent {
        order,
        provider: &quote.provider,
        transactions: payment.transactions(),
        amount_in: amounts::shown(quote.amount_in.0, &transfer.token_in),
        amount_out: amounts::shown(quote.amount_out.0, &transfer.token_out),
        cost: cost.map(|cost| amounts::shown(cost, &transfer.token_in)),
        filled_after_seconds: follow.filled_after.map(|after| after.as_secs_f64()),
        seconds: follow.elapsed().as_secs_f64(),
    };
    let has_failed = order.is_some_and(|order| !is_filled(order.state));
    output.result(&sent, outcome(&sent, follow))?;
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What became of it, for people.
fn outcome(sent: &Sent<'_>, follow: &Follow<'_>) -> String {
    let Some(order) = sent.order else {
        let hashes: Vec<_> = sent.transactions.iter().map(ToString::to_string).collect();
        return format!(
            "{} are with {}, which follows the transfer itself\ntransaction {}",
            sent.amount_in,
            sent.provider,
            hashes.join("\ntransaction ")
        );
    };
    let text = match (follow.filled_after, order.state) {
        (Some(after), _) => {
            let cost = sent.cost.as_ref().filter(|_| is_filled(order.state));
            let cost = cost.map_or_else(String::new, |cost| format!("; it cost {cost}"));
            let (amount, chain) = (&sent.amount_out, order.destination_chain_id);
            format!("{amount} arrived on chain {chain} after {:.1} s{cost}", after.as_secs_f64())
        }
        (None, OrderState::Refunded) => format!(
            "nothing arrived; {} are back on chain {}, less the gas",
            sent.amount_in, order.origin_chain_id
        ),
        (None, state) => match &order.failure {
            Some(reason) => format!("nothing arrived: {}, {reason}", state.name()),
            None => format!("nothing arrived: {}", state.name()),
        },
    };
    format!("{text}\norder {}", order.id)
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

/// Amounts mean what the person wrote only with the decimals that the token itself has.
async fn check_decimals(token: &Token, client: &ChainClient) -> eyre::Result<()> {
    let decimals = match token.address.is_zero() {
        true => NATIVE_DECIMALS,
        false => {
            client.call(token.address, &erc20::decimalsCall {}, BlockNumberOrTag::Latest).await?
        }
    };
    ensure!(
        decimals == token.decimals,
        "{} on chain {} has {decimals} decimals, the aggregator says {}",
        token.symbol,
        token.chain_id,
        token.decimals
    );
    Ok(())
}

fn chain_of(manifest: &Manifest, id: u64) -> eyre::Result<&ChainManifest> {
    let found = manifest.by_chain_id(ChainId(id)).map(|(_, chain)| chain);
    found.ok_or_else(|| eyre::eyre!("the manifest lacks chain {id}"))
}

/// Takes the reward of an order back to its creator.
pub(super) async fn take_back(
    wallet: &Wallet,
    manifest: &Manifest,
    order: &Order,
) -> eyre::Result<()> {
    let opened = opening(order).ok_or_eyre("no transaction is known to have opened it")?;
    let receipt = wallet.mined(opened).await?;
    let hash = refund::refund(wallet, manifest, &receipt, order.id).await?;
    Output::remark(format_args!("{:<12} chain {}  {hash}", "refund", order.origin_chain_id));
    Ok(())
}

/// The transaction that published the order, as the chain holds it now.
fn opening(order: &Order) -> Option<B256> {
    let mut events = order.events.iter().filter(|event| !event.removed);
    events.find(|event| event.state == OrderState::Published)?.transaction
}

pub(super) const fn security_name(security: Security) -> &'static str {
    match security {
        Security::Instant => "instant",
        Security::Finalized => "finalized",
    }
}
