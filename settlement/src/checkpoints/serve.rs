//! Validators' folders over HTTP, under the same names as on disk.

use std::path::PathBuf;

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::format::{ANNOUNCEMENT, LATEST_INDEX, METADATA, REORG_FLAG};

/// Serves `<storage>/<domain>/<tier>/<file>` at `/<domain>/<tier>/<file>`. Only the names of the layout
/// are answered, so nothing else in the folder can be had.
pub fn routes(storage: PathBuf) -> Router {
    Router::new().route("/{domain}/{tier}/{file}", get(file)).with_state(storage)
}

async fn file(
    State(storage): State<PathBuf>,
    Path((domain, tier, file)): Path<(u32, String, String)>,
) -> Response {
    if !matches!(tier.as_str(), "instant" | "finalized" | "espresso") || !is_published(&file) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let path = storage.join(domain.to_string()).join(tier).join(file);
    match tokio::fs::read(&path).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            StatusCode::NOT_FOUND.into_response()
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "cannot read a published file");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn is_published(name: &str) -> bool {
    let index_in = |prefix: &str, suffix: &str| {
        name.strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
            .is_some_and(|index| index.parse::<u32>().is_ok())
    };
    [ANNOUNCEMENT, LATEST_INDEX, METADATA, REORG_FLAG].contains(&name)
        || index_in("", "_with_id.json")
        || index_in("reorg_evidence_", ".json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_layout_are_served() {
        for name in ["index.json", "announcement.json", "0_with_id.json", "reorg_evidence_7.json"] {
            assert!(is_published(name), "{name}");
        }
        for name in [".lease", "..", "../secret", "a_with_id.json", ".1_with_id.json.tmp", ""] {
            assert!(!is_published(name), "{name}");
        }
    }
}
