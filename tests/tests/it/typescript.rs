use std::{
    path::Path,
    process::{Command, Stdio},
};

use e2e::{World, invariants, tools};
use eyre::{OptionExt, WrapErr, ensure};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_client_is_current_and_moves_money() -> eyre::Result<()> {
    let folder = tools::folder().join("../../clients/typescript").canonicalize()?;
    let tools = tools::install(&folder)?.join(".bin");
    let check = ["openapi.json", "-o", "src/schema.d.ts", "--check"];
    run(Command::new(tools.join("openapi-typescript")).args(check), &folder)?;
    run(&mut Command::new(tools.join("tsc")), &folder)?;
    run(Command::new("node").arg(folder.join("dist/test/patience.js")), &folder)?;

    let world = World::start().await?;
    let (from, to) = (world.origin(), world.destination());
    let (origin, destination) = (world.contracts(from)?, world.contracts(to)?);
    let given = json!({
        "api": world.api_url()?,
        "rpc": { from.to_string(): origin.rpc.first().ok_or_eyre("no RPC")? },
        "key": world.user(1)?.key(),
        "origin": from,
        "destination": to,
        "token_in": origin.contracts.test_token.ok_or_eyre("no test token")?,
        "token_out": destination.contracts.test_token.ok_or_eyre("no test token")?,
        "amount": "10000000",
    });
    let script = folder.join("dist/test/transfer.js");
    let moving = move || run(Command::new("node").arg(script).arg(given.to_string()), &folder);
    tokio::task::spawn_blocking(moving).await??;
    invariants::hold(&world).await
}

/// Runs a command to its end; what it printed is the error when it fails.
fn run(command: &mut Command, folder: &Path) -> eyre::Result<()> {
    let output = command.current_dir(folder).stdin(Stdio::null()).output();
    let output = output.wrap_err_with(|| format!("{command:?}"))?;
    let printed = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&printed));
    Ok(())
}
