//! `cargo crash kill`: a process under load is killed with SIGKILL, again and again; each time the journal is read back and
//! held against what was said.
//!
//! A directory lives through many cycles, so that what goes wrong in one can show in a later one, and is replaced by a new
//! one now and then. Each cycle kills at another kind of moment; see [`Moment`].

mod moment;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

pub use moment::{Died, Moment};
pub use report::KillReport;

use super::directory::Directory;
use super::journal::{DurabilityKind, JournalKind, JournalOptions};
use super::ledger::{Finding, FindingKind};
use super::load::LoadOptions;
use super::place::{Place, PlaceOptions};
use super::process::Process;
use super::progress::Progress;
use super::random::Random;
use super::transcript::Line;
use super::verdict::grouped;

/// How long opening may take, and reading everything back.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Commits after which a directory has grown large enough.
const COMMITS_MAX: u64 = 100_000;

/// `cargo crash kill`.
#[derive(Clone, Debug, Args)]
pub struct KillOptions {
    /// How many times to kill
    #[arg(long, default_value_t = 100)]
    pub cycles: u64,
    /// Which journal
    #[arg(long, default_value = "sled")]
    pub journal: JournalKind,
    /// Only kills of one kind [default: of all kinds]
    #[arg(long)]
    pub moment: Option<Moment>,
    /// When an append counts as durable, in onefold's journal: `buffered` must be caught losing
    #[arg(long, default_value = "fsync")]
    pub durability: DurabilityKind,
    /// How long a load runs at most until it is killed, in milliseconds
    #[arg(long, default_value_t = 400)]
    pub load_ms: u64,
    /// What the moments of the kills and the load follow from [default: another one each time]
    #[arg(long)]
    pub seed: Option<u64>,
    /// The load
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
pub fn run(options: &KillOptions) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(rand::random);
    let KillOptions { cycles, journal, .. } = options;
    println!("cargo crash kill --cycles {cycles} --journal {} --seed {seed}", journal.name());
    let report = attack(&std::env::current_exe()?, options, seed)?;
    println!("{}", report.table());
    print!("{}", report.verdict);
    Ok(report.verdict.exit_code())
}

/// Runs the attack with the harness `program`.
///
/// # Errors
///
/// Whatever kept it from attacking.
pub fn attack(program: &Path, options: &KillOptions, seed: u64) -> anyhow::Result<KillReport> {
    let mut place = Place::new(&options.place, "kill")?;
    let mut attack = Attack {
        program: program.to_owned(),
        options: options.clone(),
        random: Random::of(seed, 0),
        seed,
        report: KillReport::default(),
        directory: None,
    };
    let progress = Progress::new("kill", options.cycles);
    let begin = Instant::now();
    for _ in 0..options.cycles {
        attack.cycle(place.path())?;
        progress.step(1);
        let KillReport { said, verdict, .. } = &attack.report;
        progress.say(format!("{} acknowledged, {} violations", grouped(said.acknowledged), grouped(verdict.total())));
    }
    attack.replace()?;
    progress.finish();
    let mut report = attack.report;
    report.elapsed = begin.elapsed();
    if !report.verdict.is_clean() {
        place.keep();
        report.kept = Some(place.path().to_owned());
    }
    Ok(report)
}

struct Attack {
    program: PathBuf,
    options: KillOptions,
    random: Random,
    seed: u64,
    report: KillReport,
    directory: Option<Victim>,
}

/// A directory, and what this attack knows about it.
struct Victim {
    directory: Directory,
    cycles_left: u64,
    /// How long opening took the last time.
    opening: Duration,
    is_condemned: bool,
}

impl Attack {
    /// One kill, and what is there afterwards.
    fn cycle(&mut self, place: &Path) -> anyhow::Result<()> {
        let is_new = self.renew(place)?;
        let picked = Moment::pick(&mut self.random, is_new);
        let moment = self.options.moment.unwrap_or(picked);
        let Some(mut victim) = self.directory.take() else { return Ok(()) };
        let mut findings = self.strike(&mut victim, moment)?;
        let leave = self.random.one_in(2);
        findings.extend(victim.directory.verify(leave, READ_TIMEOUT)?);
        victim.cycles_left -= 1;
        self.report.cycles += 1;
        self.report.commits_read += victim.directory.tally().commits;
        // What is not sound any more is evidence: nothing touches it again.
        victim.is_condemned = !findings.is_empty();
        self.report.verdict.add(findings, victim.directory.evidence());
        self.directory = Some(victim);
        Ok(())
    }

    /// Starts a load and kills it at the moment; some moments take more than one process.
    fn strike(&mut self, victim: &mut Victim, moment: Moment) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let load_ms = self.options.load_ms.max(1);
        match moment {
            Moment::Creation => {
                let process = victim.directory.start_load(&self.options.load)?;
                let moment = self.random.magnitude(1_000, 100_000);
                sleep_until(&process, Duration::from_micros(moment));
                findings.extend(self.kill(victim, process)?);
            }
            Moment::Load => findings.extend(self.load_and_kill(victim, load_ms)?),
            Moment::Recovery => {
                findings.extend(self.load_and_kill(victim, load_ms)?);
                for _ in 0..=self.random.below(3) {
                    let process = victim.directory.start_load(&self.options.load)?;
                    let opening = u64::try_from(victim.opening.as_micros()).unwrap_or(u64::MAX);
                    sleep_until(&process, Duration::from_micros(self.random.below(opening * 5 / 4)));
                    findings.extend(self.kill(victim, process)?);
                }
            }
            Moment::Closing => {
                let mut process = victim.directory.start_load(&self.options.load)?;
                findings.extend(opened(victim, &mut process)?);
                thread::sleep(Duration::from_millis(self.random.below(load_ms)));
                process.stop();
                thread::sleep(Duration::from_micros(self.random.below(60_000)));
                findings.extend(self.kill(victim, process)?);
            }
            Moment::Reading => {
                findings.extend(self.load_and_kill(victim, load_ms)?);
                let mut reader = victim.directory.start_reading(true)?;
                findings.extend(opened(victim, &mut reader)?);
                thread::sleep(Duration::from_micros(self.random.below(100_000)));
                self.report.note(Died::of(reader.lines()?, false), 1);
                findings.extend(victim.directory.end_reading(reader)?);
            }
        }
        Ok(findings)
    }

    fn load_and_kill(&mut self, victim: &mut Victim, load_ms: u64) -> anyhow::Result<Vec<Finding>> {
        let mut process = victim.directory.start_load(&self.options.load)?;
        let mut findings = Vec::from_iter(opened(victim, &mut process)?);
        thread::sleep(Duration::from_micros(self.random.below(load_ms * 1_000)));
        findings.extend(self.kill(victim, process)?);
        Ok(findings)
    }

    fn kill(&mut self, victim: &mut Victim, mut process: Process) -> anyhow::Result<Vec<Finding>> {
        let is_first = victim.directory.runs() == 1;
        process.kill()?;
        self.report.note(Died::of(process.lines()?, is_first), 1);
        victim.directory.end_load(process)
    }

    /// A new directory if there is none, or if the old one has lived long enough. Says whether it is new.
    fn renew(&mut self, place: &Path) -> anyhow::Result<bool> {
        let is_spent = |victim: &Victim| {
            victim.cycles_left == 0 || victim.is_condemned || victim.directory.tally().commits > COMMITS_MAX
        };
        if self.directory.as_ref().is_some_and(|victim| !is_spent(victim)) {
            return Ok(false);
        }
        self.replace()?;
        self.report.directories += 1;
        let number = self.report.directories;
        let home = place.join(format!("{number:04}"));
        let mut journal = JournalOptions::new(home.join("journal"));
        (journal.journal, journal.durability) = (self.options.journal, self.options.durability);
        // Small segments, so that little data makes much happen; and sometimes none of it.
        journal.segment_kib = [64, 64, 256, 1_024, 16_384][usize::try_from(self.random.below(5))?];
        journal.checkpoint_segments = [2, 4, 16][usize::try_from(self.random.below(3))?];
        let directory = Directory::new(&self.program, journal, &home, self.seed ^ number << 40)?;
        let only_new = self.options.moment == Some(Moment::Creation);
        let cycles_left = if only_new { 1 } else { self.random.magnitude(1, 40) };
        let opening = Duration::from_millis(20);
        self.directory = Some(Victim { directory, cycles_left, opening, is_condemned: false });
        Ok(true)
    }

    /// Lets the directory go, unless it is evidence.
    fn replace(&mut self) -> anyhow::Result<()> {
        let Some(victim) = self.directory.take() else { return Ok(()) };
        self.report.said.add(&victim.directory.tally());
        if !victim.is_condemned {
            std::fs::remove_dir_all(victim.directory.evidence())?;
        }
        Ok(())
    }
}

/// Waits until the journal is open; a finding if that takes too long.
fn opened(victim: &mut Victim, process: &mut Process) -> anyhow::Result<Option<Finding>> {
    let is_opened = process.wait_until_opened(OPEN_TIMEOUT)?;
    let lines = process.lines()?;
    let took = lines.iter().find_map(|line| if let Line::Opened { micros } = line { Some(*micros) } else { None });
    victim.opening = took.map_or(victim.opening, Duration::from_micros) + Duration::from_millis(5);
    let has_failed = lines.iter().any(|line| matches!(line, Line::Failed { .. } | Line::Panicked { .. }));
    let what = || format!("opening took longer than {} s", OPEN_TIMEOUT.as_secs());
    Ok((!is_opened && !has_failed).then(|| Finding::new(FindingKind::Hung, what())))
}

fn sleep_until(process: &Process, after: Duration) {
    thread::sleep(after.saturating_sub(process.started().elapsed()));
}
