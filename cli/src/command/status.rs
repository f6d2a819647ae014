use std::process::ExitCode;

use alloy::primitives::B256;
use api::aggregator::Order;
use eyre::{OptionExt, bail};

use crate::{
    Output,
    output::{self, Table},
    transfer::System,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Id of the order (the intent hash), or hash of a transaction that took part in it.
    id: B256,

    #[command(flatten)]
    system: System,
}

impl Status {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let client = self.system.client()?;
        let order = match client.order(self.id).await? {
            Some(order) => order,
            None => {
                let mut orders = client.orders_of_transaction(self.id).await?;
                if orders.len() > 1 {
                    let ids: Vec<_> = orders.iter().map(|order| order.id.to_string()).collect();
                    bail!("the transaction took part in several orders:\n{}", ids.join("\n"));
                }
                orders.pop().ok_or_eyre("the aggregator has seen no such order or transaction")?
            }
        };
        output.result(&order, describe(&order))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(order: &Order) -> String {
    let mut table = Table::new(["state", "chain", "block", "time", "transaction"]);
    for event in &order.events {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let removed = if event.removed { " (taken back)" } else { "" };
        table.row([
            format!("{}{removed}", event.state.name()),
            shown(event.chain_id.map(|id| id.to_string())),
            shown(event.block_number.map(|number| number.to_string())),
            output::time(event.at),
            shown(event.transaction.map(|hash| hash.to_string())),
        ]);
    }
    format!(
        "order {} is {}: chain {} to chain {}\n{table}",
        order.id,
        order.state.name(),
        order.origin_chain_id,
        order.destination_chain_id
    )
}
