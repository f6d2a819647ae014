use std::process::ExitCode;

use alloy::primitives::B256;
use api::aggregator::{Order, OrderState};
use eyre::{OptionExt, bail};
use protocol::ids::ChainId;

use super::send::take_back;
use crate::{
    Output, local, output,
    transfer::{Account, System},
    wallet::Wallet,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Refund {
    /// Id of the order (the intent hash).
    id: B256,

    #[command(flatten)]
    account: Account,

    #[command(flatten)]
    system: System,
}

impl Refund {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let client = self.system.client()?;
        let order = client.order(self.id).await?;
        let order = order.ok_or_eyre("the aggregator has seen no such order")?;
        can_be_refunded(&order)?;
        let manifest = self.system.manifest()?;
        let (_, chain) = manifest
            .by_chain_id(ChainId(order.origin_chain_id))
            .ok_or_eyre("the manifest lacks the origin")?;
        // Anybody may send it: the money goes to whoever published the order.
        let wallet = Wallet::new(self.account.signer()?, local::client(chain)?);
        take_back(&wallet, &manifest, &order).await?;
        let creator = order.creator.map_or_else(|| "its creator".to_owned(), |it| it.to_string());
        let text = format!("order {} is refunded to {creator}", order.id);
        output.result(&order, text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn can_be_refunded(order: &Order) -> eyre::Result<()> {
    let state = order.state.name();
    match order.state {
        OrderState::Refundable => Ok(()),
        OrderState::Pending | OrderState::Published | OrderState::Funded => match order.deadline {
            Some(deadline) => bail!(
                "order {} is {state}: it can be refunded after {}, if nobody fills it before",
                order.id,
                output::time(deadline)
            ),
            None => {
                bail!("order {} is {state}: nothing of it has been seen on the chain", order.id)
            }
        },
        OrderState::Filled | OrderState::Proving | OrderState::Proven | OrderState::Settled => {
            bail!(
                "order {} is {state}: the money has arrived, there is nothing to refund",
                order.id
            )
        }
        OrderState::Refunded | OrderState::Failed => {
            bail!("order {} is {state}: there is nothing left to refund", order.id)
        }
    }
}
