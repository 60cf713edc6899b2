//! `cargo crash power`: the power of the disk under a journal is cut, again and again; each time the file system and the
//! journal recover, and everything is read back and held against what was said.
//!
//! What was said lies outside the disk. The process under load is killed right after the cut; until then it sees a disk that
//! fails, which a real cut spares it. [`Sequence`] says what a cycle may do before.
//!
//! Evidence of a violation: the journal's directory as it was after the cut and before it was opened, all transcripts, and
//! the seed.

mod evidence;
mod report;
mod sequence;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::{Args, ValueEnum as _};

pub use self::report::PowerReport;
pub use self::sequence::Sequence;
use super::directory::Directory;
use super::disk::{self, Disk, Simulator};
use super::journal::{JournalKind, JournalOptions};
use super::kill::Died;
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

/// The disk's size, none of which is used before it is written.
const DISK_BYTES: u64 = 1 << 30;

/// Free bytes of the disk below which a new directory is begun.
const FREE_BYTES_MIN: u64 = DISK_BYTES / 2;

/// `cargo crash power`.
#[derive(Clone, Debug, Args)]
pub struct PowerOptions {
    /// How many cycles
    #[arg(long, default_value_t = 20)]
    pub cycles: u64,
    /// Which disk
    #[arg(long, default_value = "volatile")]
    pub simulator: Simulator,
    /// What each cycle does before its cut [default: any of these, by the seed]
    #[arg(long)]
    pub sequence: Option<Sequence>,
    /// Which journal
    #[arg(long, default_value = "sled")]
    pub journal: JournalKind,
    /// Refuses sled's file the attribute "synchronous", as some file systems do: the journal then syncs every batch
    #[arg(long)]
    pub without_attribute: bool,
    /// How long a load runs at most until the power goes, in milliseconds
    #[arg(long, default_value_t = 300)]
    pub load_ms: u64,
    /// What the moments, the cuts and the load follow from [default: another one each time]
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
/// Whatever kept it from attacking, other than a system that has no such disks: that is said and is no error.
pub fn run(options: &PowerOptions) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(rand::random);
    let PowerOptions { cycles, simulator, journal, .. } = options;
    let attribute = if options.without_attribute { " --without-attribute" } else { "" };
    let sequence = options.sequence.and_then(|sequence| sequence.to_possible_value());
    let sequence = sequence.map_or(String::new(), |value| format!(" --sequence {}", value.get_name()));
    let journal = journal.name();
    let command = format!(
        "cargo crash power --cycles {cycles} --simulator {simulator} --journal {journal}{sequence}{attribute} --seed {seed}"
    );
    if let Some(why) = disk::missing(*simulator) {
        disk::print_skipped(&command, &why);
        return Ok(ExitCode::SUCCESS);
    }
    if options.sequence == Some(Sequence::ErrorReadCut) && *simulator == Simulator::Ext4 {
        bail!("this disk cannot fail single writes: --sequence error-read-cut needs --simulator volatile");
    }
    println!("{command}");
    let report = attack(&std::env::current_exe()?, options, seed)?;
    println!("{}", report.table(*simulator));
    print!("{}", report.verdict);
    Ok(report.verdict.exit_code())
}

/// Runs the attack with the harness `program`.
///
/// # Errors
///
/// Whatever kept it from attacking.
pub fn attack(program: &Path, options: &PowerOptions, seed: u64) -> anyhow::Result<PowerReport> {
    let mut place = Place::new(&options.place, "power")?;
    let home = place.path().join("disk");
    std::fs::create_dir(&home)?;
    let disk = options.simulator.make(&home, DISK_BYTES, program)?;
    let mut attack = Attack {
        program: program.to_owned(),
        options: options.clone(),
        random: Random::of(seed, 0),
        seed,
        report: PowerReport::default(),
        disk,
        victim: None,
    };
    let progress = Progress::new("power", options.cycles);
    let begin = Instant::now();
    for _ in 0..options.cycles {
        attack.cycle(place.path())?;
        progress.step(1);
        let PowerReport { bad_cycles, .. } = attack.report;
        let acknowledged = attack.report.said.acknowledged + attack.victim.as_ref().map_or(0, Victim::acknowledged);
        progress.say(format!("{} acknowledged, {} bad cycles", grouped(acknowledged), grouped(bad_cycles)));
    }
    attack.replace()?;
    progress.finish();
    let Attack { mut report, disk, .. } = attack;
    drop(disk);
    report.elapsed = begin.elapsed();
    if !report.verdict.is_clean() {
        std::fs::remove_dir_all(&home)?;
        place.keep();
    }
    Ok(report)
}

struct Attack {
    program: PathBuf,
    options: PowerOptions,
    random: Random,
    seed: u64,
    report: PowerReport,
    disk: Box<dyn Disk>,
    victim: Option<Victim>,
}

/// A directory on the disk, and what this attack knows about it.
struct Victim {
    directory: Directory,
    cycles_left: u64,
    /// How long opening took the last time.
    opening: Duration,
    is_condemned: bool,
}

impl Victim {
    fn acknowledged(&self) -> u64 {
        self.directory.tally().acknowledged
    }
}

impl Attack {
    /// One sequence that ends with a cut, and what is there afterwards.
    fn cycle(&mut self, place: &Path) -> anyhow::Result<()> {
        let is_new = self.renew(place)?;
        let picked = Sequence::pick(&mut self.random, is_new, self.disk.can_fail());
        let sequence = self.options.sequence.unwrap_or(picked);
        self.report.note_sequence(sequence);
        let Some(mut victim) = self.victim.take() else { return Ok(()) };
        let mut findings = self.strike(&mut victim, sequence)?;
        evidence::keep(&victim.directory)?;
        findings.extend(victim.directory.verify(self.random.one_in(2), READ_TIMEOUT)?);
        victim.cycles_left -= 1;
        self.report.cycles += 1;
        self.report.commits_read += victim.directory.tally().commits;
        // What is not sound any more is evidence: nothing touches it again.
        victim.is_condemned = !findings.is_empty();
        if victim.is_condemned {
            self.report.bad_cycles += 1;
            evidence::explain(&victim.directory, self.seed, self.report.cycles, sequence, &findings)?;
        }
        self.report.verdict.add(findings, victim.directory.evidence());
        self.victim = Some(victim);
        Ok(())
    }

    fn strike(&mut self, victim: &mut Victim, sequence: Sequence) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        match sequence {
            Sequence::Creation => {
                let mut process = victim.directory.start_load(&self.options.load)?;
                process.wait_until(|lines| lines.contains(&Line::Opening), OPEN_TIMEOUT)?;
                // Creating takes few of the 100 ms.
                thread::sleep(Duration::from_micros(self.random.magnitude(10, 100_000)));
                findings.extend(self.cut(victim, process, Role::Load)?);
            }
            Sequence::Load => {
                let process = self.load(victim, &mut findings)?;
                findings.extend(self.cut(victim, process, Role::Load)?);
            }
            Sequence::Recovery => {
                let process = self.load(victim, &mut findings)?;
                findings.extend(self.cut(victim, process, Role::Load)?);
                for _ in 0..=self.random.below(3) {
                    let mut process = victim.directory.start_load(&self.options.load)?;
                    process.wait_until(|lines| lines.contains(&Line::Opening), OPEN_TIMEOUT)?;
                    let opening = u64::try_from(victim.opening.as_micros()).unwrap_or(u64::MAX);
                    thread::sleep(Duration::from_micros(self.random.below(opening * 5 / 4)));
                    findings.extend(self.cut(victim, process, Role::Load)?);
                }
            }
            Sequence::Closing => {
                let mut process = self.load(victim, &mut findings)?;
                process.stop();
                thread::sleep(Duration::from_micros(self.random.below(80_000)));
                findings.extend(self.cut(victim, process, Role::Load)?);
            }
            Sequence::KillReadCut => {
                let process = self.load(victim, &mut findings)?;
                findings.extend(victim.directory.end_load(process)?);
                findings.extend(self.read_and_cut(victim)?);
            }
            Sequence::ErrorReadCut => {
                let process = self.load(victim, &mut findings)?;
                self.disk.fail_writes(1 + self.random.below(4))?;
                thread::sleep(Duration::from_micros(20_000 + self.random.below(100_000)));
                self.report.writes_failed += self.disk.fail_writes(0)?;
                let ended = victim.directory.end_load(process)?;
                findings.extend(ended.into_iter().filter(|finding| finding.kind != FindingKind::Panicked));
                findings.extend(self.read_and_cut(victim)?);
            }
        }
        Ok(findings)
    }

    /// Starts a load and lets it work for a while.
    fn load(&mut self, victim: &mut Victim, findings: &mut Vec<Finding>) -> anyhow::Result<Process> {
        let mut process = victim.directory.start_load(&self.options.load)?;
        findings.extend(opened(victim, &mut process)?);
        thread::sleep(Duration::from_micros(self.random.below(self.options.load_ms.max(1) * 1_000)));
        Ok(process)
    }

    /// Opens the journal and reads, at most to the end; then the power goes.
    fn read_and_cut(&mut self, victim: &mut Victim) -> anyhow::Result<Vec<Finding>> {
        let mut reader = victim.directory.start_reading(true)?;
        let has_ended = |lines: &[Line]| matches!(lines.last(), Some(Line::Done | Line::Failed { .. }));
        match self.random.one_in(2) {
            true => drop(reader.wait_until(has_ended, READ_TIMEOUT)?),
            false => {
                reader.wait_until_opened(OPEN_TIMEOUT)?;
                thread::sleep(Duration::from_micros(self.random.below(100_000)));
            }
        }
        // A file system that met an error may have become read-only: then nothing opens, before the machine is restarted.
        let is_read_only = !can_write(self.disk.mount_point());
        self.report.read_only += u64::from(is_read_only);
        let mut findings = self.cut(victim, reader, Role::Reader)?;
        findings.retain(|finding| !is_read_only || finding.kind != FindingKind::NotOpened);
        Ok(findings)
    }

    /// Cuts the power, kills the process, brings the power back.
    fn cut(&mut self, victim: &mut Victim, mut process: Process, role: Role) -> anyhow::Result<Vec<Finding>> {
        let lines = process.lines()?;
        let failed_before = lines.iter().any(|line| matches!(line, Line::Failed { .. } | Line::Panicked { .. }));
        let died = Died::of(lines, victim.directory.runs() == 1);
        let cut = self.disk.cut(self.random.number())?;
        self.report.note_cut(died, cut);
        let mut findings = match role {
            Role::Load => victim.directory.end_load(process)?,
            Role::Reader => victim.directory.end_reading(process)?,
        };
        // After the cut it saw the disk fail. What it says of that would have been said by nobody.
        if !failed_before {
            findings.retain(|finding| !matches!(finding.kind, FindingKind::NotOpened | FindingKind::Panicked));
        }
        self.disk.restore()?;
        Ok(findings)
    }

    /// A new directory if there is none, or if the old one has lived long enough. Says whether it is new.
    fn renew(&mut self, place: &Path) -> anyhow::Result<bool> {
        let is_full = free_bytes(self.disk.mount_point())? < FREE_BYTES_MIN;
        let is_spent = |victim: &Victim| victim.cycles_left == 0 || victim.is_condemned || is_full;
        if self.victim.as_ref().is_some_and(|victim| !is_spent(victim)) {
            return Ok(false);
        }
        self.replace()?;
        self.report.directories += 1;
        let number = self.report.directories;
        let name = format!("{number:04}");
        let mut journal = JournalOptions::new(self.disk.mount_point().join(&name));
        journal.journal = self.options.journal;
        journal.without_attribute = self.options.without_attribute;
        // Small segments, so that little data makes much happen.
        journal.segment_kib = [64, 64, 256, 1_024, 4_096][usize::try_from(self.random.below(5))?];
        journal.checkpoint_segments = [2, 4, 16][usize::try_from(self.random.below(3))?];
        let directory = Directory::new(&self.program, journal, &place.join(&name), self.seed ^ number << 40)?;
        let cycles_left = match self.options.sequence {
            Some(Sequence::Creation) => 1,
            _ => 1 + self.random.below(8),
        };
        let opening = Duration::from_millis(20);
        self.victim = Some(Victim { directory, cycles_left, opening, is_condemned: false });
        Ok(true)
    }

    /// Lets the directory go, unless it is evidence.
    fn replace(&mut self) -> anyhow::Result<()> {
        let Some(victim) = self.victim.take() else { return Ok(()) };
        self.report.said.add(&victim.directory.tally());
        if !victim.is_condemned {
            std::fs::remove_dir_all(victim.directory.evidence())?;
        }
        // Also of a directory that is evidence a copy was made. It may not even have been created.
        let data = &victim.directory.journal.data;
        if data.exists() {
            std::fs::remove_dir_all(data)?;
        }
        Ok(())
    }
}

/// Whom the power cut hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Load,
    Reader,
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

fn free_bytes(mount_point: &Path) -> anyhow::Result<u64> {
    let stat = rustix::fs::statvfs(mount_point)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn can_write(mount_point: &Path) -> bool {
    let path = mount_point.join("written");
    let written = std::fs::write(&path, []);
    written.and_then(|()| std::fs::remove_file(&path)).is_ok()
}
