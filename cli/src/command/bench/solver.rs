mod books;
mod load;
mod recorded;
mod world;

use std::{process::ExitCode, time::Duration};

use serde::Serialize;

use self::world::World;
use crate::{Output, output::Table};

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Solver {
    /// Intents offered a second, one measurement each.
    #[arg(long, value_delimiter = ',', default_value = "1,50,500")]
    rates: Vec<u32>,

    /// Seconds for which each rate is offered.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// Intents that are decided with recorded answers of the chains.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    decisions: u32,

    /// Quotes asked for, one after the other.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    quotes: u32,

    /// Past intents in the books of a solver whose memory is measured.
    #[arg(long, default_value_t = 1_000_000)]
    past: u32,

    /// Open intents in the books of a solver that is restarted.
    #[arg(long, default_value_t = 100_000)]
    open: u32,

    /// Seconds that a restarted solver runs before its memory is read.
    #[arg(long, default_value_t = 10)]
    settling: u32,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report {
    load: Vec<load::Outcome>,
    quotes: Times,
    decisions: recorded::Outcome,
    books: Vec<books::Outcome>,
    /// Average load of the machine over the minute before the end; absent where it does not tell.
    machine_load: Option<f64>,
}

/// How long something took, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Times {
    count: usize,
    p50: f64,
    p99: f64,
    longest: f64,
}

impl Times {
    fn of(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let at = |share: f64| {
            let last = samples.len().saturating_sub(1);
            let index = (last as f64 * share).round() as usize;
            samples.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        Self { count: samples.len(), p50: at(0.5), p99: at(0.99), longest: at(1.0) }
    }
}

impl Solver {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        Output::remark("starting two chains and deploying the contracts");
        let world = World::new().await?;
        let mut load = Vec::new();
        let solver = world.spawn("load", |text| text).await?;
        Output::remark(format_args!("asking for {} quotes", self.quotes));
        let quotes = load::quotes(&world, &solver, self.quotes).await?;
        for rate in self.rates {
            Output::remark(format_args!("offering {rate} intents a second"));
            load.push(load::offer(&world, &solver, rate, self.seconds).await?);
        }
        solver.stop().await?;
        Output::remark(format_args!("deciding {} intents", self.decisions));
        let decisions = recorded::decide(&world, self.decisions).await?;
        let mut books = Vec::new();
        let settling = Duration::from_secs(self.settling.into());
        for (past, open) in [(self.past, 0), (0, self.open)] {
            Output::remark(format_args!("restarting with {past} past and {open} open intents"));
            books.push(books::restart(&world, past, open, settling).await?);
        }
        let report = Report { load, quotes, decisions, books, machine_load: machine_load() };
        output.result(&report, table(&report))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn machine_load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(["measured", "p50", "p99", "longest", "of"]);
    let mut times = |what: String, times: &Times, of: String| {
        let shown = |milliseconds: f64| format!("{milliseconds:.1} ms");
        table.row([what, shown(times.p50), shown(times.p99), shown(times.longest), of]);
    };
    for load in &report.load {
        let what = format!("block to fill, {} offered a second", load.offered);
        let of = format!(
            "{} of {} filled, {:.0} published and {:.0} filled a second",
            load.fill.count, load.published, load.published_per_second, load.filled_per_second
        );
        times(what, &load.fill, of);
    }
    times(
        "quote of a token, both tiers".into(),
        &report.quotes,
        format!("{}", report.quotes.count),
    );
    let mut fact = |what: String, text: String| {
        table.row([what, text, String::new(), String::new(), String::new()]);
    };
    let decisions = &report.decisions;
    fact(
        format!("{} decisions with recorded answers", decisions.decided),
        format!("{:.0}/s", decisions.per_second),
    );
    for books in &report.books {
        let what = format!("restart with {} past, {} open intents", books.past, books.open);
        fact(what, format!("{:.2} s", books.ready_seconds));
        if let Some(bytes) = books.peak_bytes {
            fact("most memory until it has settled".into(), format!("{} MiB", bytes >> 20));
        }
    }
    if let Some(load) = report.machine_load {
        fact("load of the machine, last minute".into(), format!("{load:.1}"));
    }
    table
}
