//! Folders of Hyperlane's validators in public buckets of Amazon S3 and Google Cloud Storage, read over HTTPS as
//! anyone may.
//!
//! | file | in S3 | in Google Cloud Storage |
//! |---|---|---|
//! | `<index>_with_id.json` | `checkpoint_<index>_with_id.json` | as in S3 |
//! | `index.json` | `checkpoint_latest_index.json` | `gcsLatestIndexKey` |
//! | `announcement.json` | the same | `gcsAnnouncementKey` |
//! | `metadata_latest.json` | the same | `gcsMetadataKey` |
//! | `reorg_flag.json` | the same | `gcsReorgFlagKey` |

use url::Url;

use super::format::{ANNOUNCEMENT, LATEST_INDEX, METADATA, REORG_FLAG};

/// Last part of an announced location in Google Cloud Storage.
const GCS_ANNOUNCEMENT: &str = "gcsAnnouncementKey";

/// A folder in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    store: Store,
    folder: Url,
}

/// Whose bucket it is: objects have other names in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    S3,
    Gcs,
}

impl Bucket {
    /// What follows `s3://`: `<bucket>/<region>[/<folder>…]`. `None` when it is not that.
    pub(super) fn s3(location: &str) -> Option<Self> {
        let mut parts = location.strip_suffix('/').unwrap_or(location).split('/');
        let (bucket, region) = (parts.next()?, parts.next()?);
        let is_region = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !is_bucket(bucket) || region.is_empty() || !region.bytes().all(is_region) {
            return None;
        }
        // The bucket as part of the path: as a name of a host, one with dots has no certificate.
        let base = format!("https://s3.{region}.amazonaws.com/{bucket}");
        Some(Self { store: Store::S3, folder: below(&base, parts)? })
    }

    /// What follows `gs://`: `<bucket>[/<folder>…][/gcsAnnouncementKey]`. `None` when it is not that.
    pub(super) fn gcs(location: &str) -> Option<Self> {
        let location = location.strip_suffix('/').unwrap_or(location);
        let mut parts: Vec<&str> = location.split('/').collect();
        parts.pop_if(|last| *last == GCS_ANNOUNCEMENT);
        let (bucket, folder) = parts.split_first()?;
        if !is_bucket(bucket) {
            return None;
        }
        let base = format!("https://storage.googleapis.com/{bucket}");
        Some(Self { store: Store::Gcs, folder: below(&base, folder.iter().copied())? })
    }

    /// Where the file is that is called `name` in a folder on a disk.
    pub fn object(&self, name: &str) -> Url {
        let mut url = self.folder.clone();
        url.set_path(&format!("{}/{}", self.folder.path(), self.key(name)));
        url
    }

    fn key(&self, name: &str) -> String {
        match (self.store, name) {
            (Store::S3, LATEST_INDEX) => "checkpoint_latest_index.json".to_owned(),
            (Store::Gcs, LATEST_INDEX) => "gcsLatestIndexKey".to_owned(),
            (Store::Gcs, ANNOUNCEMENT) => GCS_ANNOUNCEMENT.to_owned(),
            (Store::Gcs, METADATA) => "gcsMetadataKey".to_owned(),
            (Store::Gcs, REORG_FLAG) => "gcsReorgFlagKey".to_owned(),
            (Store::S3 | Store::Gcs, name) if name.ends_with("_with_id.json") => {
                format!("checkpoint_{name}")
            }
            (Store::S3 | Store::Gcs, name) => name.to_owned(),
        }
    }
}

/// The names that both stores allow: nothing in one means anything else in a URL.
fn is_bucket(name: &str) -> bool {
    let is_part = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    (3..=222).contains(&name.len()) && name.bytes().all(is_part) && !name.contains("..")
}

fn below<'a>(base: &str, folder: impl Iterator<Item = &'a str>) -> Option<Url> {
    let mut url = Url::parse(base).ok()?;
    {
        let mut path = url.path_segments_mut().ok()?;
        for part in folder {
            if matches!(part, "" | "." | "..") {
                return None;
            }
            path.push(part);
        }
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoints::format::checkpoint_name;

    #[test]
    fn a_location_in_s3_names_bucket_region_and_folder() {
        let bucket = Bucket::s3("hyperlane-mainnet3-arbitrum-validator-0/us-east-1").unwrap();
        let base = "https://s3.us-east-1.amazonaws.com/hyperlane-mainnet3-arbitrum-validator-0";
        for (name, key) in [
            (LATEST_INDEX, "checkpoint_latest_index.json"),
            (checkpoint_name(7).as_str(), "checkpoint_7_with_id.json"),
            (ANNOUNCEMENT, "announcement.json"),
            (METADATA, "metadata_latest.json"),
            (REORG_FLAG, "reorg_flag.json"),
        ] {
            assert_eq!(bucket.object(name).as_str(), format!("{base}/{key}"));
        }
        let inside = Bucket::s3("a.bucket/eu-west-2/some folder/42161/").unwrap();
        assert_eq!(
            inside.object(ANNOUNCEMENT).as_str(),
            "https://s3.eu-west-2.amazonaws.com/a.bucket/some%20folder/42161/announcement.json"
        );
    }

    #[test]
    fn a_location_in_google_cloud_storage_names_bucket_and_folder() {
        let base = "https://storage.googleapis.com/some-bucket";
        for location in ["some-bucket/arbitrum/gcsAnnouncementKey", "some-bucket/arbitrum"] {
            let bucket = Bucket::gcs(location).unwrap();
            for (name, key) in [
                (LATEST_INDEX, "gcsLatestIndexKey"),
                (checkpoint_name(7).as_str(), "checkpoint_7_with_id.json"),
                (ANNOUNCEMENT, "gcsAnnouncementKey"),
                (METADATA, "gcsMetadataKey"),
                (REORG_FLAG, "gcsReorgFlagKey"),
            ] {
                assert_eq!(bucket.object(name).as_str(), format!("{base}/arbitrum/{key}"));
            }
        }
        let whole = Bucket::gcs("some-bucket/gcsAnnouncementKey").unwrap();
        assert_eq!(whole.object(LATEST_INDEX).as_str(), format!("{base}/gcsLatestIndexKey"));
    }

    #[test]
    fn nothing_in_a_location_leads_to_another_host_or_out_of_the_bucket() {
        for location in [
            "",
            "bucket",
            "bucket/",
            "bucket//folder",
            "bucket/evil.example#/x",
            "bucket/us-east-1.evil.example",
            "user@host/us-east-1",
            "Bucket/us-east-1",
            "bucket/us-east-1/../other",
            "bucket/us-east-1//x",
        ] {
            assert_eq!(Bucket::s3(location), None, "{location}");
        }
        for location in ["", "gcsAnnouncementKey", "bu?ket/x", "bucket/../other", "bucket//x"] {
            assert_eq!(Bucket::gcs(location), None, "{location}");
        }
        let odd = Bucket::gcs("bucket/a?b#c").unwrap();
        assert_eq!(odd.object(METADATA).query(), None);
    }
}
