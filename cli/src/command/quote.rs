use std::process::ExitCode;

use api::aggregator::{Fee, Quote, Token};
use serde::Serialize;

use crate::{
    Output, amounts,
    output::Table,
    transfer::{Account, Resolved, System, Transfer},
};

#[derive(Debug, clap::Args)]
pub(crate) struct QuoteCommand {
    #[command(flatten)]
    transfer: Transfer,
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    system: System,
}

/// The result as JSON.
#[derive(Serialize)]
struct Quotes<'a> {
    quotes: &'a [Quote],
}

impl QuoteCommand {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let client = self.system.client()?;
        let sender = self.account.signer()?.address();
        let transfer = self.transfer.resolve(&client, sender).await?;
        let quotes = transfer.quotes(&client).await?;
        let mut text = table(&transfer, &quotes).to_string();
        if let Some(best) = quotes.first() {
            text += &format!("\n\n{}", fees(&transfer, best));
        }
        output.result(&Quotes { quotes: &quotes }, text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn table(transfer: &Resolved, quotes: &[Quote]) -> Table {
    let mut table = Table::new(["provider", "spend", "receive", "at least", "time", "security"]);
    for quote in quotes {
        let tier = quote.security.tier;
        table.row([
            quote.provider.clone(),
            amounts::shown(quote.amount_in.0, &transfer.token_in),
            amounts::shown(quote.amount_out.0, &transfer.token_out),
            amounts::shown(quote.min_amount_out.0, &transfer.token_out),
            format!("{} s", quote.time.seconds),
            tier.map_or("-", super::send::security_name).to_owned(),
        ]);
    }
    table
}

/// What the first quote costs, and for what.
fn fees(transfer: &Resolved, quote: &Quote) -> Table {
    let mut table = Table::new(["fees of the first", "amount", "worth", ""]);
    for fee in &quote.fees {
        let effect = if fee.included { "taken off" } else { "on top" };
        table.row([
            fee.kind.name().replace('_', " "),
            amounts::shown(fee.amount.0, &token(transfer, fee)),
            fee.usd.map_or_else(|| "-".to_owned(), |usd| format!("{usd:.6} USD")),
            effect.to_owned(),
        ]);
    }
    table
}

/// The token of a fee: what is sent, or the currency that gas is paid in.
fn token(transfer: &Resolved, fee: &Fee) -> Token {
    let sent = &transfer.token_in;
    if (sent.chain_id, sent.address) == (fee.chain_id, fee.token) {
        return sent.clone();
    }
    // The native currency has 18 decimals on every EVM chain; of other tokens nothing is known here.
    let (symbol, decimals) = match fee.token.is_zero() {
        true => ("native".to_owned(), 18),
        false => (fee.token.to_string(), 0),
    };
    Token { chain_id: fee.chain_id, address: fee.token, symbol, decimals }
}
