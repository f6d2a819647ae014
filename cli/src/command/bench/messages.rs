mod agents;
mod load;
mod network;

use std::{process::ExitCode, time::Duration};

use serde::Serialize;
use stylus_program::Programs;

use self::{
    agents::{Agents, Usage},
    load::{Delivered, Load},
    network::Network,
};
use crate::{Output, output::Table};

/// Longest wait for everything that was dispatched to be delivered.
const DELIVERED_WITHIN: Duration = Duration::from_secs(600);

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Messages {
    /// Messages that are dispatched as fast as the chain takes them.
    #[arg(long, default_value_t = 10_000)]
    messages: u32,

    /// Messages that are dispatched at an even pace before that.
    #[arg(long, default_value_t = 1_500)]
    paced: u32,

    /// The even pace, in messages a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,

    /// Leaves that the origin's tree holds before anything starts, as if so many messages had been
    /// sent before.
    #[arg(long, default_value_t = 1_000_000)]
    history: u32,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report {
    history: u32,
    starts: Vec<Start>,
    paced: Phase,
    flood: Phase,
}

#[derive(Serialize)]
struct Start {
    agent: String,
    /// From the start of the process until it says that it works.
    seconds: f64,
    resident_bytes: u64,
}

#[derive(Serialize)]
struct Phase {
    messages: u32,
    /// From the first dispatch to the last.
    dispatching_seconds: f64,
    /// From the first dispatch to the last delivery.
    seconds: f64,
    per_second: f64,
    /// From handing the dispatching transaction to a node to the block that delivers the message.
    p50_seconds: f64,
    p99_seconds: f64,
    slowest_seconds: f64,
    agents: Vec<Cost>,
}

#[derive(Serialize)]
struct Cost {
    agent: String,
    cpu_seconds_per_1000: f64,
    peak_bytes: u64,
}

impl Messages {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        tokio::task::spawn_blocking(Programs::load_or_build).await??;
        let folder = tempfile::Builder::new().prefix("metalayer-bench-").tempdir()?;
        Output::remark("starting 3 chains and deploying the contracts");
        let mut network = Network::start(folder.path()).await?;
        if self.history > 0 {
            Output::remark(format_args!("inventing {} messages", self.history));
            network.age(self.history).await?;
        }
        let mut agents = Agents::new(folder.path())?;
        let measured = self.measure(&network, &mut agents).await;
        agents.stop().await?;
        let report = measured?;
        network.stop().await;
        output.result(&report, table(&report))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self, network: &Network, agents: &mut Agents) -> eyre::Result<Report> {
        let mut starts = Vec::new();
        for name in network.write_configs()? {
            let took = agents.start(&name).await?;
            let resident_bytes = agents.usage(&name)?.resident_bytes;
            starts.push(Start { agent: name.name, seconds: took.as_secs_f64(), resident_bytes });
        }
        let load = Load::new(network).await?;
        Output::remark("delivering a few messages to warm up");
        load.dispatch(20, Some(self.rate)).await?.delivered(DELIVERED_WITHIN).await?;
        let (paced, rate) = (self.paced, self.rate);
        Output::remark(format_args!("dispatching {paced} messages at {rate} a second"));
        let paced = phase(&load, agents, (paced, Some(rate))).await?;
        Output::remark(format_args!("dispatching {} messages at once", self.messages));
        let flood = phase(&load, agents, (self.messages, None)).await?;
        Ok(Report { history: self.history, starts, paced, flood })
    }
}

async fn phase(
    load: &Load,
    agents: &Agents,
    (messages, rate): (u32, Option<u32>),
) -> eyre::Result<Phase> {
    let before = agents.usages()?;
    let dispatched = load.dispatch(messages, rate).await?;
    let dispatching_seconds = dispatched.took.as_secs_f64();
    let Delivered { mut latencies, took } = dispatched.delivered(DELIVERED_WITHIN).await?;
    let after = agents.usages()?;
    latencies.sort_unstable();
    let quantile = |percent: usize| {
        let position = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(position).map_or(0.0, Duration::as_secs_f64)
    };
    let cost = |((agent, before), (_, after)): ((String, Usage), (String, Usage))| Cost {
        agent,
        cpu_seconds_per_1000: (after.cpu_seconds - before.cpu_seconds) * 1_000.0
            / f64::from(messages.max(1)),
        peak_bytes: after.peak_bytes,
    };
    Ok(Phase {
        messages,
        dispatching_seconds,
        seconds: took.as_secs_f64(),
        per_second: f64::from(messages) / took.as_secs_f64(),
        p50_seconds: quantile(50),
        p99_seconds: quantile(99),
        slowest_seconds: quantile(100),
        agents: before.into_iter().zip(after).map(cost).collect(),
    })
}

fn table(report: &Report) -> Table {
    const MIB: f64 = 1_048_576.0;
    let mut table = Table::new(["measured", "result"]);
    let mut row = |measured: String, result: String| table.row([measured, result]);
    for Start { agent, seconds, resident_bytes } in &report.starts {
        let resident = *resident_bytes as f64 / MIB; // Exact to 2^53 bytes.
        row(
            format!("start of {agent} with {} leaves", report.history),
            format!("{seconds:.2} s, {resident:.0} MiB"),
        );
    }
    for (name, phase) in [("paced", &report.paced), ("all at once", &report.flood)] {
        let count = phase.messages;
        row(format!("{count} messages, {name}: dispatched in"), seconds(phase.dispatching_seconds));
        row(format!("{name}: delivered in"), seconds(phase.seconds));
        row(format!("{name}: rate"), format!("{:.0} messages/s", phase.per_second));
        row(format!("{name}: p50 from dispatch to delivery"), seconds(phase.p50_seconds));
        row(format!("{name}: p99"), seconds(phase.p99_seconds));
        row(format!("{name}: slowest"), seconds(phase.slowest_seconds));
        for Cost { agent, cpu_seconds_per_1000, peak_bytes } in &phase.agents {
            row(
                format!("{name}: {agent}, CPU for 1,000 messages; peak memory so far"),
                format!("{cpu_seconds_per_1000:.2} s; {:.0} MiB", *peak_bytes as f64 / MIB),
            );
        }
    }
    table
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}
