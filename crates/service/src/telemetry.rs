//! Logs: to stderr, for people or for machines.

use std::{io::IsTerminal, str::FromStr};

use tracing_subscriber::{
    EnvFilter, fmt::time::SystemTime, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Environment variable with the log filter, in `tracing`'s directive syntax.
pub const FILTER_VARIABLE: &str = "METALAYER_LOG";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One readable line an event, coloured on a terminal.
    #[default]
    Human,
    /// One JSON object an event.
    Json,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not in `tracing`'s directive syntax.
    #[error(
        "{FILTER_VARIABLE}: expected directives such as \"info,solver=debug\", given {given:?}: {source}"
    )]
    Filter {
        /// The variable's value.
        given: String,
        /// What the parser says.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A subscriber is installed already.
    #[error("logging is set up already: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends the logs of this process to stderr, filtered by [`FILTER_VARIABLE`] or else by `default`.
///
/// # Errors
/// [`TelemetryError`] for a malformed filter, or when called twice.
pub fn init(format: Format, default: &str) -> Result<(), TelemetryError> {
    let directives = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::from_str(&directives)
        .map_err(|source| TelemetryError::Filter { given: directives, source })?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_timer(SystemTime);
    match format {
        Format::Human => registry.with(lines).try_init()?,
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(UnknownFormat { given: other.to_owned() }),
        }
    }
}

/// Not a name of a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected \"human\" or \"json\", given {given:?}")]
pub struct UnknownFormat {
    given: String,
}
