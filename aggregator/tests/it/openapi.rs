//! The API's description is the one that the TypeScript client was made from.

use std::path::PathBuf;

#[test]
fn the_description_is_the_committed_one() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clients/typescript/openapi.json");
    let text = aggregator::http::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("METALAYER_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(text == committed, "run this test with METALAYER_UPDATE=1, then `npm run generate`");
}
