//! The command line.

mod isolation;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::isolation::{NoisyNeighbourOptions, OverloadOptions, PassivationsOptions};
use crate::entry::Entry;
use crate::workload::Workload;

/// Durable commands per second, beside what the disk can do at all.
#[derive(Debug, Parser)]
#[command(name = "load", bin_name = "cargo load", version, max_term_width = 110)]
pub(crate) struct Options {
    /// Worker threads of the async runtime.
    #[arg(long, global = true, default_value_t = 2, value_name = "N")]
    pub(crate) workers: usize,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put the runtime under load, then check that the journal holds exactly what was acknowledged
    Run(RunOptions),
    /// The same clients on the raw limit: one writer thread, a growing file, one sync per batch
    Limit(LimitOptions),
    /// How fast aggregates come back from the journal
    Recover(RecoverOptions),
    /// What an idle aggregate in memory costs
    Memory(MemoryOptions),
    /// Ten times more than can be done: what is refused, what is done, and what it costs
    Overload(OverloadOptions),
    /// What neighbours notice of an aggregate that is slow, flooded, long or broken
    NoisyNeighbour(NoisyNeighbourOptions),
    /// Aggregates come into memory and go again, so many times, under load; nothing may be lost
    Passivations(PassivationsOptions),
    /// The tables of RESULTS.md, from the JSON files of benches/results.sh
    Table(TableOptions),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) load: LoadOptions,
    /// Where events go
    #[arg(long, value_enum, default_value_t = JournalKind::Sled)]
    pub(crate) journal: JournalKind,
    /// What an acknowledgement promises (sled only)
    #[arg(long, value_enum, default_value_t = DurabilityKind::Fsync)]
    pub(crate) durability: DurabilityKind,
    /// Rounds on the raw limit between those on the journal; print the ratio
    #[arg(long)]
    pub(crate) with_limit: bool,
    /// Rounds on the in-memory journal between those on the journal; print the ratio
    #[arg(long)]
    pub(crate) with_memory: bool,
    /// Aggregates kept in memory at most; by default the runtime's own limit, and for `cold` a tenth of all
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) resident: Option<u32>,
    /// Names that the registrations of `claims` race for; as many as --aggregates: nobody races
    #[arg(long, value_name = "N", default_value = "10000", value_parser = count)]
    pub(crate) names: u32,
    /// Every command has an idempotency key of its own
    #[arg(long)]
    pub(crate) idempotent: bool,
    /// Rounds of commands without keys between those of --idempotent; print the ratio
    #[arg(long, requires = "idempotent")]
    pub(crate) with_plain: bool,
    /// Sled's cache in MiB; by default the journal's own
    #[arg(long, value_name = "MIB")]
    pub(crate) cache: Option<u64>,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LimitOptions {
    #[command(flatten)]
    pub(crate) load: LoadOptions,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// What the clients do.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoadOptions {
    /// How commands spread over the aggregates
    #[arg(long, value_enum, default_value_t = Workload::Uniform)]
    pub(crate) workload: Workload,
    /// How many aggregates there are
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count)]
    pub(crate) aggregates: u32,
    /// Clients, each of which waits for one answer at a time; with --rate, unanswered operations at most
    #[arg(long, value_name = "N", default_value = "4096", value_parser = count)]
    pub(crate) in_flight: u32,
    /// Measured seconds, all rounds of one kind together
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Rounds; by default 5 with --with-limit, --with-memory or --with-plain, else 1
    #[arg(long, value_name = "R", value_parser = count)]
    pub(crate) rounds: Option<u32>,
    /// Seconds of load before the first round, not measured
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) warmup: Duration,
    /// Bytes of an event's encoded payload
    #[arg(long, value_name = "B", default_value = "80", value_parser = event_bytes)]
    pub(crate) event_bytes: u32,
    /// Open loop: operations per second, started on time whether or not earlier ones were answered
    #[arg(long, value_name = "R", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RecoverOptions {
    /// Events in each of the logs that are written for this
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count)]
    pub(crate) events: u32,
    /// Aggregates asked for at a time
    #[arg(long, value_name = "N", default_value = "1024", value_parser = count)]
    pub(crate) in_flight: u32,
    /// Bytes of an event's encoded payload
    #[arg(long, value_name = "B", default_value = "80", value_parser = event_bytes)]
    pub(crate) event_bytes: u32,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct MemoryOptions {
    /// Aggregates in memory
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count)]
    pub(crate) resident: u32,
    /// Aggregates of the second scenario, of which 50,000 stay in memory; 0 leaves it out
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count_or_none)]
    pub(crate) touched: u32,
    /// Bytes of an event's encoded payload
    #[arg(long, value_name = "B", default_value = "80", value_parser = event_bytes)]
    pub(crate) event_bytes: u32,
    /// Only this scenario, as JSON: each runs in a process of its own
    #[arg(long, hide = true, value_enum)]
    pub(crate) scenario: Option<MemoryScenario>,
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TableOptions {
    /// Where the JSON files are
    #[arg(value_name = "DIR", default_value = "target/results")]
    pub(crate) directory: PathBuf,
    /// Also write them into this file, between its markers
    #[arg(long, value_name = "FILE")]
    pub(crate) into: Option<PathBuf>,
}

/// One part of `memory`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MemoryScenario {
    /// Bytes of an idle aggregate.
    Idle,
    /// Many aggregates, few of them resident.
    Touched,
}

/// Where files go.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlaceOptions {
    /// A new directory is made in here, and removed at the end; by default under target/
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Keep what was written
    #[arg(long)]
    pub(crate) keep: bool,
    /// Measure on a file system without a disk
    #[arg(long)]
    pub(crate) allow_tmpfs: bool,
}

/// Where figures go, besides the terminal.
#[derive(Args, Clone, Debug)]
pub(crate) struct OutputOptions {
    /// Write all figures as one JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Which journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum JournalKind {
    /// The durable journal on sled.
    Sled,
    /// The journal in memory.
    Memory,
}

/// Which durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityKind {
    /// Survives power loss.
    Fsync,
    /// Survives the end of the process.
    ProcessCrash,
    /// Survives a clean shutdown.
    Buffered,
}

impl JournalKind {
    /// Its name in options and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            JournalKind::Sled => "sled",
            JournalKind::Memory => "memory",
        }
    }
}

impl DurabilityKind {
    /// Its name in options and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            DurabilityKind::Fsync => "fsync",
            DurabilityKind::ProcessCrash => "process-crash",
            DurabilityKind::Buffered => "buffered",
        }
    }
}

impl LoadOptions {
    /// How many rounds, with or without others between them.
    pub(crate) fn rounds(&self, interleaved: bool) -> u32 {
        self.rounds.unwrap_or(if interleaved { 5 } else { 1 })
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.replace('_', "").parse().map_err(|_| "a whole number, such as 100_000".to_owned())
}

fn count(text: &str) -> Result<u32, String> {
    match number(text)? {
        0 => Err("at least 1".to_owned()),
        count if count > 99_999_999 => Err("at most 99,999,999".to_owned()),
        count => Ok(count),
    }
}

fn count_or_none(text: &str) -> Result<u32, String> {
    if text == "0" { Ok(0) } else { count(text) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|seconds| seconds.as_secs() < 100_000).ok_or_else(|| "seconds, such as 10 or 0.5".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.replace('_', "").parse::<f64>().ok();
    rate.filter(|rate| (1.0..=1e7).contains(rate)).ok_or_else(|| "between 1 and 10,000,000 per second".to_owned())
}

fn event_bytes(text: &str) -> Result<u32, String> {
    let bytes = number(text)?;
    match Entry::fits(bytes) {
        true => Ok(bytes),
        false => {
            Err("17 to 1048576; 252, 253, 65539 and 65540 can't be met, because of bincode's length prefix".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }
}
