use std::process::ExitCode;

use alloy::primitives::Address;

use crate::{
    Output,
    output::{self, Table},
    transfer::{Account, System},
};

#[derive(Debug, clap::Args)]
pub(crate) struct History {
    /// Whose orders; the account's by default.
    #[arg(long, value_name = "ADDRESS")]
    of: Option<Address>,

    /// Continue after an earlier page.
    #[arg(long)]
    cursor: Option<String>,

    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    system: System,
}

impl History {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let creator = match self.of {
            Some(address) => address,
            None => self.account.signer()?.address(),
        };
        let client = self.system.client()?;
        let page = client.orders_of(creator, self.cursor.as_deref()).await?;
        let mut table = Table::new(["order", "state", "from", "to", "created"]);
        for order in &page.orders {
            table.row([
                order.id.to_string(),
                order.state.name().to_owned(),
                order.origin_chain_id.to_string(),
                order.destination_chain_id.to_string(),
                output::time(order.created_at),
            ]);
        }
        if page.orders.is_empty() {
            output.result(&page, format_args!("no orders of {creator}"))?;
        } else {
            output.result(&page, &table)?;
        }
        if let Some(cursor) = &page.next_cursor {
            Output::remark(format_args!("more with --cursor {cursor}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
