//! The aggregator under load from outside, each part a process of its own.

mod answering;
mod load;
mod process;
mod provider;
mod streams;

use std::{process::ExitCode, time::Duration};

use eyre::WrapErr;
use serde::Serialize;

use self::{
    load::{Load, Measured},
    process::{Aggregator, Setup},
    provider::Mock,
};
use crate::{Output, output::Table};

pub(crate) use provider::Provider;

/// Connections of the measurements; 32 is where added latency is told.
const CONNECTIONS: [u32; 5] = [32, 64, 128, 256, 512];
/// Connections of a provider alone; at 1,024 it shows that it is not what is measured.
const ALONE: [u32; 3] = [32, 512, 1_024];
/// Places of the measurement that turns requests away, fewer than its connections.
const PLACES: usize = 64;
/// Providers of the measurements.
const PROVIDERS: [usize; 3] = [1, 5, 8];

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct AggregatorBench {
    /// How long each point takes.
    #[arg(long, value_name = "DURATION", default_value = "8s", value_parser = humantime::parse_duration)]
    time: Duration,

    /// Order streams that are open at once.
    #[arg(long, default_value_t = 5_000)]
    streams: usize,

    /// Only these numbers of providers.
    #[arg(long, value_delimiter = ',')]
    providers: Vec<usize>,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report {
    /// A provider without an aggregator: what is more than this at 32 connections is added.
    providers_alone: Vec<Measured>,
    points: Vec<Point>,
    hanging: Vec<f64>,
    streams: Option<streams::Streams>,
}

#[derive(Serialize)]
struct Point {
    what: String,
    providers: usize,
    #[serde(flatten)]
    measured: Measured,
}

impl AggregatorBench {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        load::require_wrk()?;
        let time = self.time;
        let counts = if self.providers.is_empty() { &PROVIDERS[..] } else { &self.providers };
        let most = counts.iter().copied().max().unwrap_or(1);
        let mocks = Mock::start(most).await?;
        let first = mocks.first().map(Mock::url).unwrap_or_default();
        Output::remark("a provider alone");
        let mut providers_alone = Vec::new();
        for connections in ALONE {
            let (url, body) = (first.clone(), provider::question());
            let alone = Load { url, body, connections, time, quotes: 0 };
            providers_alone.push(alone.measure(None).await?);
        }

        let mut points = Vec::new();
        for &count in counts {
            let urls: Vec<_> = mocks.iter().take(count).map(Mock::url).collect();
            points.extend(self.points(&urls).await?);
        }
        let hanging = hanging(mocks.first().map(Mock::url)).await?;
        let streams = match self.streams {
            0 => None,
            count => Some(streams::open(count).await.wrap_err("order streams")?),
        };
        let report = Report { providers_alone, points, hanging, streams };
        output.result(&report, table(&report))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn points(&self, urls: &[String]) -> eyre::Result<Vec<Point>> {
        let (time, providers) = (self.time, urls.len());
        let mut points = Vec::new();
        let fresh = Aggregator::start(&Setup { providers: urls, ..Setup::default() }).await?;
        for connections in CONNECTIONS {
            Output::remark(format_args!("{providers} providers, {connections} connections"));
            let (url, body) = (fresh.quotes(), process::request());
            let load = Load { url, body, connections, time, quotes: providers };
            let measured = load.measure(Some(fresh.id())).await?;
            points.push(Point { what: "asked each time".into(), providers, measured });
        }
        drop(fresh);
        let setup = Setup { providers: urls, keep: "1h", ..Setup::default() };
        let cached = Aggregator::start(&setup).await?;
        let (url, body) = (cached.quotes(), process::request());
        let load = Load { url, body, connections: 64, time, quotes: providers };
        let measured = load.measure(Some(cached.id())).await?;
        points.push(Point { what: "from the cache".into(), providers, measured });
        drop(cached);
        // More connections than places: the rest is turned away, at once and by name.
        let setup = Setup { providers: urls, places: Some(PLACES), ..Setup::default() };
        let small = Aggregator::start(&setup).await?;
        let (url, body) = (small.quotes(), process::request());
        let load = Load { url, body, connections: 512, time, quotes: providers };
        let measured = load.measure(Some(small.id())).await?;
        points.push(Point {
            what: format!("{PLACES} places, and as many in the queue"),
            providers,
            measured,
        });
        Ok(points)
    }
}

/// Seconds of quotes, one after the other, with one good provider and one that hangs.
async fn hanging(good: Option<String>) -> eyre::Result<Vec<f64>> {
    let hole = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let mut urls: Vec<_> = good.into_iter().collect();
    urls.push(format!("http://{}/", hole.local_addr()?));
    let aggregator = Aggregator::start(&Setup { providers: &urls, ..Setup::default() }).await?;
    let http = reqwest::Client::new();
    let mut seconds = Vec::new();
    for _ in 0..10 {
        let begun = std::time::Instant::now();
        let asked = http.post(aggregator.quotes()).header("content-type", "application/json");
        asked.body(process::request()).send().await?.error_for_status()?.bytes().await?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

fn table(report: &Report) -> Table {
    let mut table = Table::new([
        "measured",
        "connections",
        "good/s",
        "refused/s",
        "short/s",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "MiB",
    ]);
    let mut row = |what: String, it: &Measured| {
        let optional = |value: Option<f64>| value.map_or("-".to_owned(), |it| format!("{it:.3}"));
        table.row([
            what,
            it.connections.to_string(),
            format!("{:.0}", it.good_per_second),
            format!("{:.0}", it.refused_per_second),
            format!("{:.0}", it.short_per_second),
            format!("{:.1}", it.p50_ms),
            format!("{:.1}", it.p99_ms),
            optional(it.cpu_ms_each),
            it.resident_mib.map_or("-".to_owned(), |it| format!("{it:.0}")),
        ]);
    };
    for alone in &report.providers_alone {
        row("a provider alone".into(), alone);
    }
    for point in &report.points {
        row(format!("{} providers, {}", point.providers, point.what), &point.measured);
    }
    for (index, seconds) in report.hanging.iter().enumerate() {
        let what = format!("one of two providers hangs, quote {}", index + 1);
        let blank = || "-".to_owned();
        let time = format!("{:.1}", seconds * 1e3);
        let rest = [blank(), blank(), blank(), time, blank(), blank(), blank()];
        let [a, b, c, d, e, f, g] = rest;
        table.row([what, "1".into(), a, b, c, d, e, f, g]);
    }
    if let Some(streams) = &report.streams {
        let blank = || "-".to_owned();
        let what = format!("{} order streams, open in {:.1} s", streams.open, streams.seconds);
        let memory = streams.resident_mib.map_or_else(blank, |it| format!("{it:.0}"));
        let open = streams.open.to_string();
        table.row([what, open, blank(), blank(), blank(), blank(), blank(), blank(), memory]);
    }
    table
}
