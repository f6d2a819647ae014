use std::{process::ExitCode, time::Duration};

use chain::{ChainClient, client::ClientOptions};
use eyre::{OptionExt, WrapErr, bail};
use serde_json::Value;
use url::Url;

use crate::Output;

/// Longest wait for an answer.
const WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// Where a role tells its health, such as http://127.0.0.1:9100/health.
    #[arg(required_unless_present = "rpc")]
    url: Option<Url>,

    /// Ask a chain's JSON-RPC instead.
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    rpc: Option<Url>,
}

impl Health {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        if let Some(rpc) = self.rpc {
            let options = ClientOptions { timeout: WITHIN, retries: 0, ..ClientOptions::default() };
            let chain = ChainClient::connect(&[rpc], options).await?.chain_id().0;
            output.result(&serde_json::json!({ "chain_id": chain }), format!("chain {chain}"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let url = self.url.ok_or_eyre("give a URL")?;
        let client = reqwest::Client::builder().timeout(WITHIN).build()?;
        let response = client.get(url.clone()).send().await.wrap_err("no answer")?;
        let status = response.status();
        let report = response.text().await?;
        if !status.is_success() {
            bail!("{url} answers {status}: {report}");
        }
        let value = serde_json::from_str::<Value>(&report).unwrap_or(Value::String(report.clone()));
        let degraded = value.get("status").is_some_and(|status| status == "degraded");
        output.result(&value, if degraded { "degraded" } else { "healthy" })?;
        Ok(ExitCode::SUCCESS)
    }
}
