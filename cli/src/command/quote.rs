use std::process::ExitCode;

use api::aggregator::Quote;
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
        output.result(&Quotes { quotes: &quotes }, table(&transfer, &quotes))?;
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
