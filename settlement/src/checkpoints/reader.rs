//! A validator's folder as others see it: the side that reads.

use std::{io, path::PathBuf};

use tokio::io::AsyncReadExt as _;
use url::Url;

use super::{
    format::{self, ANNOUNCEMENT, LATEST_INDEX, Malformed, REORG_FLAG, SignedCheckpoint},
    location::{Location, bounded_body},
};

/// Largest file that is read: real ones are below 1 KiB.
const MAX_FILE: usize = 64 * 1024;

/// Why a file could not be read. An absent file is not an error.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What it answered.
        source: io::Error,
    },
    /// The server could not be reached in time, or the connection broke.
    #[error("{url}: {source}")]
    Http {
        /// The file asked for.
        url: Url,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The server answered with something other than the file or "not found".
    #[error("{url}: status {status}, expected 200 or 404")]
    Status {
        /// The file asked for.
        url: Url,
        /// The status given.
        status: u16,
    },
    /// The file is larger than any real one.
    #[error("{name} is larger than 65536 bytes")]
    TooLarge {
        /// The file's name.
        name: String,
    },
    /// The bytes are not the file they should be.
    #[error("{name}: {source}")]
    Malformed {
        /// The file's name.
        name: String,
        /// What is wrong.
        source: Malformed,
    },
}

/// Reads one validator's folder for one chain and one tier.
#[derive(Debug, Clone)]
pub struct Reader {
    location: Location,
    client: reqwest::Client,
}

impl Reader {
    /// A reader of `location` that fetches with `client` (see [`super::location::http_client`]).
    pub fn new(location: Location, client: reqwest::Client) -> Self {
        Self { location, client }
    }

    /// Where it reads.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The highest index the validator published.
    ///
    /// # Errors
    /// [`ReadError`] when it cannot be known.
    pub async fn latest_index(&self) -> Result<Option<u32>, ReadError> {
        let Some(bytes) = self.read(LATEST_INDEX).await? else { return Ok(None) };
        format::parse_index(&bytes)
            .map(Some)
            .map_err(|source| ReadError::Malformed { name: LATEST_INDEX.to_owned(), source })
    }

    /// The checkpoint the validator published at `index`; its signer is not checked.
    ///
    /// # Errors
    /// [`ReadError`] when there is one that cannot be had.
    pub async fn checkpoint(&self, index: u32) -> Result<Option<SignedCheckpoint>, ReadError> {
        let name = format::checkpoint_name(index);
        let Some(bytes) = self.read(&name).await? else { return Ok(None) };
        SignedCheckpoint::from_json(&bytes)
            .map(Some)
            .map_err(|source| ReadError::Malformed { name, source })
    }

    /// Whether the validator raised its reorg flag.
    ///
    /// # Errors
    /// [`ReadError`] when it cannot be known.
    pub async fn has_reorg_flag(&self) -> Result<bool, ReadError> {
        Ok(self.read(REORG_FLAG).await?.is_some())
    }

    /// The bytes of the announcement file.
    ///
    /// # Errors
    /// [`ReadError`] when there is one that cannot be had.
    pub async fn announcement(&self) -> Result<Option<Vec<u8>>, ReadError> {
        self.read(ANNOUNCEMENT).await
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        match &self.location {
            Location::File(folder) => read_file(folder.join(name), name).await,
            Location::Http(base) => {
                let mut url = base.clone();
                url.set_path(&format!("{}{name}", base.path()));
                self.fetch(url, name, &[404]).await
            }
            // Whoever may not list a bucket is told of an absent object that it must not be read.
            Location::Bucket(bucket) => {
                self.fetch(bucket.object(name), name, &[401, 403, 404]).await
            }
        }
    }

    /// Fetches a file; statuses in `absent` say that there is none.
    async fn fetch(
        &self,
        url: Url,
        name: &str,
        absent: &[u16],
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let failed = |source| ReadError::Http { url: url.clone(), source };
        let response = self.client.get(url.clone()).send().await.map_err(failed)?;
        match response.status().as_u16() {
            200 => {}
            status if absent.contains(&status) => return Ok(None),
            status => return Err(ReadError::Status { url, status }),
        }
        match bounded_body(response, MAX_FILE).await.map_err(failed)? {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(ReadError::TooLarge { name: name.to_owned() }),
        }
    }
}

async fn read_file(path: PathBuf, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let failed = |source| ReadError::Io { path: path.clone(), source };
    let file = match tokio::fs::File::open(&path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let mut bytes = Vec::new();
    let limit = MAX_FILE as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() > MAX_FILE {
        return Err(ReadError::TooLarge { name: name.to_owned() });
    }
    Ok(Some(bytes))
}
