//! `cargo crash soak`: one directory under a mixed load for a long time, with kills and clean restarts in between. Nothing
//! may be lost, and memory and disk may grow with what is stored only.

mod growth;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

use self::growth::{Sample, disk_bytes, mebibytes, resident_bytes, slope};
use super::directory::Directory;
use super::journal::{JournalKind, JournalOptions};
use super::ledger::Finding;
use super::load::LoadOptions;
use super::place::{Place, PlaceOptions};
use super::process::Process;
use super::progress::Progress;
use super::random::Random;
use super::transcript::Line;
use super::verdict::{Verdict, grouped, table};

/// How long opening may take, a clean end, and reading everything back.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const READ_TIMEOUT: Duration = Duration::from_secs(600);

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long a client waits between two operations when nothing else was said: what was stored is read back each time.
const SOAK_PAUSE_MS: u64 = 50;

/// Cycles told one by one, at most.
const TOLD_MAX: usize = 24;

/// `cargo crash soak`.
#[derive(Clone, Debug, Args)]
pub struct SoakOptions {
    /// For how long
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// How long the load runs between restarts, in seconds
    #[arg(long, default_value_t = 5)]
    pub cycle_seconds: u64,
    /// Which journal
    #[arg(long, default_value = "sled")]
    pub journal: JournalKind,
    /// What the load follows from [default: another one each time]
    #[arg(long)]
    pub seed: Option<u64>,
    /// The load; by default with a pause, so that what is stored can be read back in every cycle
    #[command(flatten)]
    pub load: LoadOptions,
    /// Where
    #[command(flatten)]
    pub place: PlaceOptions,
}

/// Runs the attack and tells how it went.
///
/// # Errors
///
/// Whatever kept it from attacking.
pub fn run(options: &SoakOptions) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("cargo crash soak --minutes {} --journal {} --seed {seed}", options.minutes, options.journal.name());
    let report = attack(&std::env::current_exe()?, options, seed)?;
    println!("{}\n{}", report.cycles_table(), report.table());
    print!("{}", report.verdict);
    Ok(report.verdict.exit_code())
}

/// Runs the attack with the harness `program`.
///
/// # Errors
///
/// Whatever kept it from attacking.
pub fn attack(program: &Path, options: &SoakOptions, seed: u64) -> anyhow::Result<SoakReport> {
    let mut place = Place::new(&options.place, "soak")?;
    let mut journal = JournalOptions::new(place.path().join("journal"));
    journal.journal = options.journal;
    // A segment and a checkpoint come by every few cycles.
    (journal.segment_kib, journal.checkpoint_segments) = (4_096, 4);
    let mut directory = Directory::new(program, journal, place.path(), seed)?;
    let mut load = options.load.clone();
    if load.pause_ms == 0 {
        load.pause_ms = SOAK_PAUSE_MS;
    }
    let whole = Duration::from_secs_f64(options.minutes.max(0.0) * 60.0);
    let (progress, mut random) = (Progress::new("soak", whole.as_secs()), Random::of(seed, 0));
    let (begin, mut report) = (Instant::now(), SoakReport::default());
    while begin.elapsed() < whole && report.verdict.is_clean() {
        let is_killed = random.one_in(2);
        let (mut sample, findings) = cycle(&mut directory, &load, options.cycle_seconds, is_killed)?;
        sample.seconds = begin.elapsed().as_secs_f64();
        report.verdict.add(findings, directory.evidence());
        progress.say(format!("{} MiB in memory, {} MiB on disk", mebibytes(sample.memory), mebibytes(sample.disk)));
        progress.step(begin.elapsed().as_secs().saturating_sub(progress.position()));
        report.samples.push(sample);
    }
    progress.finish();
    report.acknowledged = directory.tally().acknowledged;
    if !report.verdict.is_clean() {
        place.keep();
    }
    Ok(report)
}

/// A load, its end, and a complete reading.
fn cycle(
    directory: &mut Directory,
    load: &LoadOptions,
    seconds: u64,
    is_killed: bool,
) -> anyhow::Result<(Sample, Vec<Finding>)> {
    let mut process = directory.start_load(load)?;
    process.wait_until_opened(OPEN_TIMEOUT)?;
    let opened = |line: &Line| if let Line::Opened { micros } = line { Some(*micros) } else { None };
    let opening = process.lines()?.iter().find_map(opened).unwrap_or(0);
    let (begin, mut memory) = (Instant::now(), Vec::new());
    while begin.elapsed() < Duration::from_secs(seconds) && process.wait(LOOK)?.is_none() {
        memory.extend(resident_bytes(process.id()).map(|bytes| (begin.elapsed().as_secs_f64(), bytes)));
    }
    if !is_killed {
        stop(&mut process)?;
    }
    let mut findings = directory.end_load(process)?;
    let reading = Instant::now();
    findings.extend(directory.verify(is_killed, READ_TIMEOUT)?);
    let sample = Sample {
        seconds: 0.0,
        is_killed,
        opening: Duration::from_micros(opening),
        reading: reading.elapsed(),
        memory: memory.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0),
        // Caches fill in the first half.
        memory_growth: slope(memory[memory.len() / 2..].iter().map(|(at, bytes)| (*at, growth::to_f64(*bytes)))),
        disk: disk_bytes(&directory.journal.data)?,
        events: directory.tally().events,
    };
    Ok((sample, findings))
}

/// What does not come to its end in time is killed afterwards: its last words will be missing.
fn stop(process: &mut Process) -> anyhow::Result<()> {
    process.stop();
    process.wait(STOP_TIMEOUT)?;
    Ok(())
}

/// How the attack went.
#[derive(Clone, Debug, Default)]
pub struct SoakReport {
    /// One per cycle.
    samples: Vec<Sample>,
    /// Commands acknowledged as stored.
    pub acknowledged: u64,
    /// What was found.
    pub verdict: Verdict,
}

impl SoakReport {
    /// How many times the load was ended and everything read back.
    pub fn cycles(&self) -> usize {
        self.samples.len()
    }

    /// Some of the cycles, evenly spread.
    pub fn cycles_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header([
            "cycle",
            "ended by",
            "events",
            "memory MiB",
            "MiB/min",
            "disk MiB",
            "bytes/event",
            "opening",
            "reading",
        ]);
        let step = self.samples.len().div_ceil(TOLD_MAX).max(1);
        for (at, sample) in self.samples.iter().enumerate().step_by(step) {
            let end = if sample.is_killed { "a kill" } else { "a clean stop" };
            table.add_row([
                (at + 1).to_string(),
                end.to_owned(),
                grouped(sample.events),
                mebibytes(sample.memory),
                format!("{:+.1}", sample.memory_growth * 60.0 / 1_048_576.0),
                mebibytes(sample.disk),
                grouped(sample.disk / sample.events.max(1)),
                format!("{:.0?}", sample.opening),
                format!("{:.1?}", sample.reading),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// The sums, and by how much memory and disk grow. The first quarter is left out: caches fill.
    pub fn table(&self) -> Table {
        let settled = &self.samples[self.samples.len() / 4..];
        let memory = slope(settled.iter().map(|sample| (sample.seconds / 3_600.0, growth::to_f64(sample.memory))));
        let disk = slope(settled.iter().map(|sample| (growth::to_f64(sample.events), growth::to_f64(sample.disk))));
        let kills = self.samples.iter().filter(|sample| sample.is_killed).count() as u64;
        let rows = [
            ("cycles", grouped(self.samples.len() as u64)),
            ("of them ended by a kill", grouped(kills)),
            ("acknowledged", grouped(self.acknowledged)),
            ("memory grows from cycle to cycle by, MiB per hour", format!("{:.1}", memory / 1_048_576.0)),
            ("disk grows by, bytes per event", format!("{disk:.0}")),
        ];
        table("soak", rows.into_iter().chain(self.verdict.rows()))
    }
}
