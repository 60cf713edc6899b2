//! `cargo crash io`: one call to the disk goes wrong, the first in the first run, the second in the second, and so on;
//! for each kind of fault. Then the journal is opened again on a sound disk, and everything is read.
//!
//! ```text
//!   crash child ── FUSE ─▶ crash folder-server: counts calls, lets one go wrong ─▶ the real folder
//!                                                                                       ▲
//!   crash read ─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What must hold: every caller is answered within the watchdog and a second; nothing that was acknowledged is lost, though
//! a failed sync takes away what it was to make durable; once a command was refused, none that is sent later is stored; and
//! the journal opens. [`full`] is about a full disk.

pub mod fault;
mod files;
pub mod folder;
pub mod full;
mod judge;
mod report;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use parking_lot::Mutex;

use self::fault::Fault;
use self::judge::{Open, answered_in_time, refused_for_good};
pub use self::report::IoReport;
use self::server::FolderServer;
use super::directory::Directory;
use super::disk::{self, Simulator};
use super::journal::JournalOptions;
use super::ledger::{Finding, FindingKind};
use super::load::{EventBytes, LoadOptions};
use super::place::{Place, PlaceOptions};
use super::progress::Progress;
use super::transcript::Line;

/// How long the load may take to make as many calls as are needed.
const FIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a process may take to come to its end after it was told to.
const END_TIMEOUT: Duration = Duration::from_secs(30);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// What a caller waits at most beyond the watchdog.
const GRACE: Duration = Duration::from_secs(1);
/// How often it is asked whether a call went wrong.
const LOOK: Duration = Duration::from_micros(100);
/// How long the load goes on after a call went wrong.
const AFTER: Duration = Duration::from_millis(40);

/// `cargo crash io`.
#[derive(Clone, Debug, Args)]
pub struct IoOptions {
    /// Up to which call to the disk
    #[arg(long, default_value_t = 500)]
    pub calls: u64,
    /// Only every n-th call
    #[arg(long, default_value_t = 1)]
    pub step: u64,
    /// Only these faults [default: all]
    #[arg(long, value_delimiter = ',')]
    pub faults: Vec<Fault>,
    /// How long a write or sync may take before the journal is poisoned, in milliseconds
    #[arg(long, default_value_t = 400)]
    pub watchdog_ms: u64,
    /// The journal takes every write and sync for a success: then acknowledged commands must be found lost
    #[arg(long, hide = true)]
    pub deaf: bool,
    /// Runs at the same time
    #[arg(long, default_value_t = 4)]
    pub jobs: usize,
    /// What the load follows from [default: another one each time]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where
    #[command(flatten)]
    pub place: PlaceOptions,
}

/// Runs the attack and tells how it went.
///
/// # Errors
///
/// Whatever kept it from attacking, other than a system that cannot mount: that is said and is no error.
pub fn run(options: &IoOptions) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(rand::random);
    let IoOptions { calls, step, watchdog_ms, .. } = options;
    let command = format!("cargo crash io --calls {calls} --step {step} --watchdog-ms {watchdog_ms} --seed {seed}");
    if let Some(why) = disk::missing(Simulator::Volatile) {
        disk::print_skipped(&command, &why);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{command}");
    let program = std::env::current_exe()?;
    let mut report = attack(&program, options, seed)?;
    let full = full::attack(&program, options, seed)?;
    println!("{}\n{}", report.table(), full.table());
    report.verdict.merge(full.verdict);
    print!("{}", report.verdict);
    Ok(report.verdict.exit_code())
}

/// Runs the sweep with the harness `program`.
///
/// # Errors
///
/// Whatever kept it from attacking.
pub fn attack(program: &Path, options: &IoOptions, seed: u64) -> anyhow::Result<IoReport> {
    let mut place = Place::new(&options.place, "io")?;
    let faults = if options.faults.is_empty() { Fault::ALL.to_vec() } else { options.faults.clone() };
    let calls = || (1..=options.calls).step_by(usize::try_from(options.step.max(1)).unwrap_or(usize::MAX));
    let runs: Vec<(Fault, u64)> = faults.iter().flat_map(|fault| calls().map(|call| (*fault, call))).collect();
    let sweep = Sweep {
        program,
        place: place.path(),
        watchdog: Duration::from_millis(options.watchdog_ms),
        deaf: options.deaf,
        seed,
        next: AtomicU64::new(0),
        runs,
        report: Mutex::new(IoReport::default()),
        progress: Progress::new("io", 0),
    };
    sweep.progress.steps(sweep.runs.len() as u64);
    let begin = Instant::now();
    let worked: anyhow::Result<()> = thread::scope(|scope| {
        let sweep = &sweep;
        let workers: Vec<_> = (0..options.jobs.max(1)).map(|job| scope.spawn(move || sweep.work(job))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a worker panicked")))
    });
    sweep.progress.finish();
    worked?;
    let mut report = sweep.report.into_inner();
    report.elapsed = begin.elapsed();
    if !report.verdict.is_clean() {
        place.keep();
    }
    Ok(report)
}

struct Sweep<'a> {
    program: &'a Path,
    place: &'a Path,
    watchdog: Duration,
    deaf: bool,
    seed: u64,
    next: AtomicU64,
    runs: Vec<(Fault, u64)>,
    report: Mutex<IoReport>,
    progress: Progress,
}

impl Sweep<'_> {
    /// One worker, with a folder of its own.
    fn work(&self, job: usize) -> anyhow::Result<()> {
        let home = self.place.join(format!("folder-{job}"));
        let mut server = FolderServer::start(self.program, &home)?;
        loop {
            let next = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed))?;
            let Some((fault, call)) = self.runs.get(next) else { return Ok(()) };
            // Every other one is killed at once: a moment later the store may have what the log lacks.
            let lives_on = next.is_multiple_of(2);
            self.one(&mut server, *fault, *call, lives_on)?;
            self.progress.step(1);
        }
    }

    /// One call goes wrong.
    fn one(&self, server: &mut FolderServer, fault: Fault, call: u64, lives_on: bool) -> anyhow::Result<()> {
        let name = format!("{fault}-{call:04}");
        let mut journal = JournalOptions::new(server.served().join(&name));
        (journal.segment_kib, journal.checkpoint_segments) = (64, 2);
        journal.watchdog_ms = u64::try_from(self.watchdog.as_millis())?;
        journal.deaf = self.deaf;
        let real: PathBuf = server.folder().join(&name);
        let mut directory = Directory::new(self.program, journal, &self.place.join(&name), self.seed ^ call)?;
        let load =
            LoadOptions { clients: 8, event_bytes: EventBytes(20..=16_384), resident: 16, ..LoadOptions::default() };

        server.plan(fault, call, (self.watchdog + GRACE) * 2)?;
        let mut process = directory.start_load(&load)?;
        let (mut fired, begun) = (None, Instant::now());
        while fired.is_none() && begun.elapsed() < FIRE_TIMEOUT && !has_ended(process.lines()?) {
            thread::sleep(LOOK);
            fired = server.fired()?;
        }
        let has_opened = process.lines()?.iter().any(|line| matches!(line, Line::Opened { .. }));
        let mut findings = Vec::new();
        let mut slowest = None;
        if fired.is_some() && has_opened && lives_on {
            // Those who waited when it struck, then those who came later.
            for _ in 0..2 {
                let open = Open::of(process.lines()?);
                match answered_in_time(&mut process, &open, self.watchdog + GRACE)? {
                    Ok(after) => slowest = slowest.max(Some(after)),
                    Err(finding) => findings.push(finding),
                }
                thread::sleep(AFTER);
            }
        }
        // A call that is late keeps the process, too, which has answered everybody: it is killed.
        if lives_on && fault != Fault::Delay {
            process.stop();
            if process.wait(END_TIMEOUT)?.is_none() {
                let what = format!("the process did not end within {END_TIMEOUT:?}");
                findings.push(Finding::new(FindingKind::Hung, what));
            }
        }
        process.kill()?;
        server.plan_nothing()?;
        findings.extend(refused_for_good(process.lines()?));
        // That opening fails, and that a thread of sled's panics, is what the fault asks for.
        let said = directory.end_load(process)?;
        let is_expected = |kind| matches!(kind, FindingKind::NotOpened | FindingKind::Panicked);
        findings.extend(said.into_iter().filter(|finding| fault == Fault::Short || !is_expected(finding.kind)));
        // On the sound disk.
        directory.journal.data.clone_from(&real);
        findings.extend(directory.verify(false, READ_TIMEOUT)?);

        let what = fired.as_deref().unwrap_or("no call went wrong");
        for finding in &mut findings {
            finding.what = format!("{fault} at {what}: {}", finding.what);
        }
        let is_sound = findings.is_empty();
        self.report.lock().note(fault, fired.is_some(), has_opened, slowest, &directory, findings);
        if is_sound {
            std::fs::remove_dir_all(directory.evidence())?;
        } else {
            std::fs::write(directory.evidence().join("README"), format!("{fault} at {what}, seed {}\n", self.seed))?;
            std::fs::rename(&real, directory.evidence().join("journal"))?;
            return Ok(());
        }
        // A fault may have kept it from being created.
        match real.exists() {
            true => Ok(std::fs::remove_dir_all(&real)?),
            false => Ok(()),
        }
    }
}

fn has_ended(lines: &[Line]) -> bool {
    matches!(lines.last(), Some(Line::Done | Line::Failed { .. }))
}
