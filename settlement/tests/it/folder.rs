//! The folder that validators write and relayers read.

use alloy::{
    primitives::B256,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use protocol::{
    checkpoint::Checkpoint,
    ids::{Domain, MailboxMessageId},
    signable::Signable as _,
};
use settlement::checkpoints::{
    FetchPolicy, Folder, FolderError, Location, Reader, SignedCheckpoint,
    folder::FolderError::InUse, location, serve,
};

const LOCAL: FetchPolicy = FetchPolicy { allow_file: true, allow_private: true };

fn signed(index: u32) -> SignedCheckpoint {
    let checkpoint = Checkpoint {
        origin: Domain(7),
        merkle_tree_hook: B256::repeat_byte(1),
        root: B256::with_last_byte(index as u8),
        index,
        message_id: MailboxMessageId(B256::repeat_byte(9)),
    };
    let key = PrivateKeySigner::from_bytes(&B256::repeat_byte(3)).unwrap();
    let signature = key.sign_hash_sync(&checkpoint.digest()).unwrap();
    SignedCheckpoint { checkpoint, signature }
}

async fn serve_storage(storage: std::path::PathBuf) -> (std::net::SocketAddr, impl Sized) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move { axum::serve(listener, serve::routes(storage)).await });
    (address, server)
}

#[tokio::test]
async fn what_is_published_is_read_the_same_from_disk_and_over_http() {
    let storage = tempfile::tempdir().unwrap();
    let folder = Folder::open(storage.path().join("7/instant")).unwrap();
    let (address, _server) = serve_storage(storage.path().to_owned()).await;
    let client = location::http_client(LOCAL).unwrap();
    let readers = [
        format!("file://{}/7/instant", storage.path().display()),
        format!("http://{address}/7/instant"),
    ]
    .map(|text| Reader::new(Location::parse(&text, LOCAL).unwrap(), client.clone()));

    for reader in &readers {
        assert_eq!(reader.latest_index().await.unwrap(), None);
        assert!(reader.checkpoint(0).await.unwrap().is_none());
    }
    folder.publish(&[signed(0), signed(1), signed(2)]).unwrap();
    for reader in &readers {
        assert_eq!(reader.latest_index().await.unwrap(), Some(2));
        assert_eq!(reader.checkpoint(1).await.unwrap(), Some(signed(1)));
        assert!(!reader.has_reorg_flag().await.unwrap());
    }
    folder.truncate(Some(0)).unwrap();
    for reader in &readers {
        assert_eq!(reader.latest_index().await.unwrap(), Some(0));
        assert!(reader.checkpoint(1).await.unwrap().is_none());
        assert!(reader.checkpoint(0).await.unwrap().is_some());
    }
    folder.truncate(None).unwrap();
    assert_eq!(folder.latest_index().unwrap(), None);
}

#[test]
fn a_folder_has_one_writer() {
    let storage = tempfile::tempdir().unwrap();
    let folder = Folder::open(storage.path()).unwrap();
    assert!(matches!(Folder::open(storage.path()), Err(InUse { .. })));
    drop(folder);
    Folder::open(storage.path()).unwrap();
}

#[test]
fn evidence_of_several_reorgs_at_one_index_is_all_kept() {
    let storage = tempfile::tempdir().unwrap();
    let folder = Folder::open(storage.path()).unwrap();
    for root in ["a", "b", "a"] {
        folder.keep_evidence(4, serde_json::json!({ "root": root })).unwrap();
    }
    let kept = std::fs::read(storage.path().join("reorg_evidence_4.json")).unwrap();
    let kept: Vec<serde_json::Value> = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept.len(), 2);
    assert!(!folder.has_reorg_flag());
}

#[test]
fn a_damaged_index_is_an_error_and_not_a_fresh_start() {
    let storage = tempfile::tempdir().unwrap();
    let folder = Folder::open(storage.path()).unwrap();
    std::fs::write(storage.path().join("index.json"), "12x").unwrap();
    assert!(matches!(folder.latest_index(), Err(FolderError::Malformed { .. })));
}
