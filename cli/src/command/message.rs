use std::process::ExitCode;

use alloy::primitives::B256;
use eyre::OptionExt;
use settlement::relayer::status::{Explanation, explain};
use url::Url;

use crate::{Output, local::Pointer};

#[derive(Debug, clap::Args)]
pub(crate) struct Message {
    /// Id of the message: the mailbox's or the router's.
    id: B256,

    /// Base URL of the relayer; that of the system `metalayer up` started last by default.
    #[arg(long, value_name = "URL", env = "METALAYER_RELAYER")]
    relayer: Option<Url>,
}

impl Message {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let base = match self.relayer {
            Some(url) => url,
            None => Pointer::load()
                .ok_or_eyre("no local system is up: start `metalayer up`, or give --relayer")?
                .relayer
                .parse()?,
        };
        let explanations = explain(&base, self.id).await?;
        let text: Vec<_> = explanations.iter().map(describe).collect();
        output.result(&explanations, text.join("\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(message: &Explanation) -> String {
    let mut text = format!(
        "message {} is {}: {}\n  dispatched on {} in block {} by {}",
        message.mailbox_id,
        message.state,
        message.reason,
        message.origin,
        message.origin_block,
        message.dispatch_transaction
    );
    if let Some(transaction) = message.process_transaction {
        text += &format!("\n  delivered on {} by {transaction}", message.destination);
    }
    if let Some(millis) = message.delivery_millis {
        text += &format!("\n  after {:.1} s", millis as f64 / 1_000.0);
    }
    text
}
