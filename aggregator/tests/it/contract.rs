//! The API against its own description: requests made up by `schemathesis`.

use std::{io::Write, process::Command};

use crate::{
    databases::{self, needs},
    system::{Stage, quote, unix},
};

/// Path of the tool.
const TOOL: &str = "METALAYER_TEST_SCHEMATHESIS";
/// Requests for each operation: a thousand in all, ten thousand in the long form.
const EACH: (u32, u32) = (120, 1_200);

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_answered_with_an_error_of_ours_or_an_undocumented_status() {
    let Some(tool) = needs::given(TOOL) else { return };
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", "").await;
    // Something to be found.
    let id = alloy::primitives::B256::repeat_byte(1);
    let sent = stage.publish(id, unix() + 600);
    crate::system::client(&aggregator).submit(quote(id, unix() + 600), Some(sent)).await.unwrap();
    let each = if std::env::var_os("METALAYER_LONG").is_some() { EACH.1 } else { EACH.0 };
    let url = format!("http://{}/openapi.json", aggregator.address());
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(tool);
    run.current_dir(folder.path())
        .args(["run", &url, "--max-examples", &each.to_string(), "--seed", "7"])
        .args(["--phases", "fuzzing", "--no-color", "--continue-on-failure"])
        .args(["--generation-database", "none", "--header", "x-api-key: wallet"])
        // A stream of an order that is never final would not end.
        .args(["--exclude-path", "/v1/orders/{id}/stream", "--suppress-health-check", "all"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"]);
    let output = tokio::task::spawn_blocking(move || run.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    std::io::stderr().write_all(printed.as_bytes()).unwrap();
    aggregator.stop().await.unwrap();
}
