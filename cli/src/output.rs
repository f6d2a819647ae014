use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::{Duration, SystemTime},
};

use eyre::Report;
use serde::Serialize;

/// Where results and remarks go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Writes the result of a command to stdout: `value` as JSON, or else `human`.
    ///
    /// # Errors
    /// stdout cannot be written, or the value has no JSON form.
    pub fn result(self, value: &impl Serialize, human: impl Display) -> eyre::Result<()> {
        if self.json {
            line(&serde_json::to_string(value)?)?
        } else {
            line(&human)?
        }
        Ok(())
    }

    /// Writes a remark for a person to stderr.
    pub fn remark(text: impl Display) {
        // A closed stderr is no reason to stop working.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Whether remarks are read by a person at a terminal.
    pub fn is_interactive() -> bool {
        io::stderr().is_terminal()
    }

    pub(crate) fn failure(report: &Report) {
        let mut texts = vec![report.to_string()];
        for cause in report.chain().skip(1).map(ToString::to_string) {
            // Many errors end their own message with that of their cause.
            if !texts.iter().any(|text| text.contains(&cause)) {
                texts.push(cause);
            }
        }
        Self::remark(format_args!("error: {}", texts.join("\n  because: ")));
    }
}

/// Seconds since 1970 as people write them.
pub(crate) fn time(seconds: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    at.map_or_else(|| seconds.to_string(), |at| humantime::format_rfc3339_seconds(at).to_string())
}

/// Rows under headings, in columns as wide as their widest cell.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned).to_vec()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let text = cells.collect::<Vec<_>>().join("  ");
            write!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

fn line(text: &impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["name", "bytes"]);
        table.row(["intent-source".to_owned(), "7".to_owned()]);
        assert_eq!(table.to_string(), "name           bytes\nintent-source  7");
    }
}
