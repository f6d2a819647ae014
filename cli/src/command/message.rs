use std::{path::PathBuf, process::ExitCode, time::Duration};

use alloy::primitives::B256;
use eyre::{OptionExt, bail};
use service::clock::Clock;
use settlement::relayer::status::{Explanation, explain};
use url::Url;

use crate::{Output, local::Pointer};

use super::role::{Life, Role};

/// The relayer, or a question to one that runs.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Relayer {
    #[command(subcommand)]
    question: Option<Question>,

    /// Its configuration file; the examples in the source tree show every key.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,

    #[command(flatten)]
    life: Life,
}

#[derive(Debug, clap::Subcommand)]
enum Question {
    /// Show what the relayer knows of a message, and what it still waits for.
    Message(Message),
}

impl Relayer {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        match (self.question, self.config) {
            (Some(Question::Message(message)), _) => message.run(output).await,
            (None, Some(config)) => Role::new(config, self.life).relayer().await,
            (None, None) => bail!("--config names the relayer's configuration file"),
        }
    }
}

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

/// Where it is, what it waits for, what failed, when it is tried again.
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
    match message.leaves.as_slice() {
        [] => text += "\n  not in the origin's tree",
        leaves => text += &format!("\n  in the origin's tree at {leaves:?}"),
    }
    text += &format!(", paid {} wei for its delivery", message.paid);
    if message.attempts > 0 {
        text += &format!("\n  {} attempts did not deliver it", message.attempts);
    }
    if message.state == "pending" {
        let at = Duration::from_millis(message.next_attempt_at);
        let wait = at.saturating_sub(Clock::system().since_epoch());
        text += &if wait.is_zero() {
            "\n  is tried again at once".to_owned()
        } else {
            format!("\n  is tried again in {:.1} s", wait.as_secs_f64())
        };
    }
    if let Some(transaction) = message.process_transaction {
        let block = message.process_block.unwrap_or_default();
        text +=
            &format!("\n  delivered on {} in block {block} by {transaction}", message.destination);
    }
    if let Some(millis) = message.delivery_millis {
        text += &format!("\n  after {:.1} s", millis as f64 / 1_000.0);
    }
    text
}
