//! What the operator has switched, kept across restarts.

use std::{fmt, str::FromStr};

use chain::db::RowExt;

use super::{Error, Store};

/// What the solver takes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything that pays.
    #[default]
    Running,
    /// Nothing new; what waits keeps waiting; what is filled is proven and claimed.
    Paused,
    /// Nothing new, ever: what is undecided is left alone until everything in flight is home.
    Draining,
}

/// A word that names no mode.
#[derive(Debug, thiserror::Error)]
#[error("{given:?} is no mode: expected running, paused or draining")]
pub struct UnknownMode {
    /// The word.
    pub given: String,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Draining => "draining",
        })
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(word: &str) -> Result<Self, UnknownMode> {
        [Self::Running, Self::Paused, Self::Draining]
            .into_iter()
            .find(|mode| mode.to_string() == word)
            .ok_or_else(|| UnknownMode { given: word.into() })
    }
}

impl Store {
    /// The mode set last.
    pub async fn mode(&self) -> Result<Mode, Error> {
        let row = sqlx::query("SELECT value FROM switches WHERE name = 'mode'")
            .fetch_optional(self.db.pool())
            .await?;
        let Some(row) = row else { return Ok(Mode::default()) };
        row.text("value")?.parse().map_err(|_| Error::Malformed { what: "mode" })
    }

    /// Sets the mode.
    pub async fn set_mode(&self, mode: Mode) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO switches (name, value) VALUES ('mode', $1) \
             ON CONFLICT (name) DO UPDATE SET value = $1",
        )
        .bind(mode.to_string())
        .execute(self.db.pool())
        .await?;
        Ok(())
    }
}
