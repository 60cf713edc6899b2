//! A disk that fills up: appends are refused with `DiskLow` while there is still room for what was begun, reads go on, and
//! nothing acknowledged is lost. Then the last byte is taken, too; when it is given back, the journal opens.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use comfy_table::Table;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::judge::POISONED;
use super::{END_TIMEOUT, IoOptions, READ_TIMEOUT};
use crate::crash::directory::Directory;
use crate::crash::journal::JournalOptions;
use crate::crash::ledger::{Finding, FindingKind, Tally};
use crate::crash::load::{EventBytes, LoadOptions};
use crate::crash::place::Place;
use crate::crash::transcript::Line;
use crate::crash::verdict::{Verdict, grouped, table};

/// How large the disk is, and the reserve.
const DISK_MIB: u64 = 64;
const RESERVE_MIB: u64 = 16;
/// How long filling it may take.
const FILL_TIMEOUT: Duration = Duration::from_secs(60);

/// How it went.
#[derive(Clone, Debug, Default)]
pub struct FullReport {
    /// Appends refused with `DiskLow`.
    pub low: u64,
    /// Reads that were answered after the first of those.
    pub reads_after: u64,
    /// Free bytes when the load ended.
    pub free_bytes: u64,
    /// Whether it even opened on a disk without a free byte.
    pub opens_when_full: bool,
    /// What was said.
    pub said: Tally,
    /// What was found.
    pub verdict: Verdict,
}

impl FullReport {
    /// For people.
    #[must_use]
    pub fn table(&self) -> Table {
        let rows = [
            ("acknowledged", grouped(self.said.acknowledged)),
            ("answered: the disk is low", grouped(self.low)),
            ("answered: perhaps stored", grouped(self.said.unknown)),
            ("reads answered after the first refusal", grouped(self.reads_after)),
            ("KiB free at the end of the load", grouped(self.free_bytes / 1024)),
            ("opens without a free byte", if self.opens_when_full { "yes" } else { "no" }.to_owned()),
            ("commits read back", grouped(self.said.commits)),
        ];
        table("io, a full tmpfs", rows.into_iter().chain(self.verdict.rows()))
    }
}

/// A small file system in memory.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(path)?;
        let size = std::ffi::CString::new(format!("size={DISK_MIB}m"))?;
        mount("tmpfs", path, "tmpfs", MountFlags::empty(), Some(&*size))
            .with_context(|| format!("could not mount a tmpfs at {}", path.display()))?;
        Ok(Tmpfs(path.to_owned()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Fills a disk.
///
/// # Errors
///
/// Whatever kept it from that.
pub fn attack(program: &Path, options: &IoOptions, seed: u64) -> anyhow::Result<FullReport> {
    let mut place = Place::new(&options.place, "full")?;
    let disk = Tmpfs::mount(&place.path().join("disk"))?;
    let mut journal = JournalOptions::new(disk.0.join("journal"));
    (journal.segment_kib, journal.checkpoint_segments) = (1024, 2);
    journal.reserve_kib = RESERVE_MIB * 1024;
    let mut directory = Directory::new(program, journal, &place.path().join("full"), seed)?;
    let mut report = FullReport::default();

    let mut findings = fill(&mut directory, &mut report)?;
    report.free_bytes = free_bytes(&disk.0)?;
    findings.extend(directory.verify(true, READ_TIMEOUT)?);

    let ballast = disk.0.join("ballast");
    fill_with(&ballast)?;
    let full = directory.verify(true, READ_TIMEOUT)?;
    report.opens_when_full = full.is_empty();
    // It may refuse to open, and may say so by a panic of sled's that it caught. It must not lose anything.
    let is_allowed = |kind| matches!(kind, FindingKind::NotOpened | FindingKind::Panicked);
    findings.extend(full.into_iter().filter(|finding| !is_allowed(finding.kind)));
    std::fs::remove_file(&ballast)?;
    findings.extend(directory.verify(false, READ_TIMEOUT)?);

    report.said = directory.tally();
    report.verdict.add(findings, directory.evidence());
    if !report.verdict.is_clean() {
        place.keep();
    }
    Ok(report)
}

/// Loads until the disk is low, and a while longer.
fn fill(directory: &mut Directory, report: &mut FullReport) -> anyhow::Result<Vec<Finding>> {
    let load =
        LoadOptions { clients: 16, event_bytes: EventBytes(1_000..=65_536), resident: 64, ..LoadOptions::default() };
    let mut process = directory.start_load(&load)?;
    let begun = Instant::now();
    let is_low = |lines: &[Line]| lines.iter().any(low);
    process.wait_until(is_low, FILL_TIMEOUT)?;
    std::thread::sleep(Duration::from_secs(3));
    process.stop();
    let ended = process.wait(END_TIMEOUT)?;
    let lines = process.lines()?;
    let mut findings = Vec::new();
    if ended.is_none() || !matches!(lines.last(), Some(Line::Done)) {
        let what =
            format!("the process on the full disk did not end well after {:?}: {:?}", begun.elapsed(), lines.last());
        findings.push(Finding::new(FindingKind::Hung, what));
    }
    report.low = lines.iter().filter(|line| low(line)).count() as u64;
    if let Some(first) = lines.iter().position(low) {
        report.reads_after = lines[first..].iter().filter(|line| matches!(line, Line::Shown { .. })).count() as u64;
    }
    if report.low == 0 || report.reads_after == 0 {
        let what = format!("{} appends refused as low, {} reads after that", report.low, report.reads_after);
        findings.push(Finding::new(FindingKind::Wrong, what));
    }
    let poisoned = lines.iter().find(|line| matches!(line, Line::Refused { error, .. } if error.contains(POISONED)));
    if let Some(line) = poisoned {
        findings.push(Finding::new(FindingKind::Wrong, format!("the disk was full before the reserve was: {line}")));
    }
    findings.extend(directory.end_load(process)?);
    Ok(findings)
}

fn low(line: &Line) -> bool {
    matches!(line, Line::Refused { error, .. } if error.contains("below its reserve"))
}

/// Takes every free byte.
fn fill_with(path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    let block = vec![b'x'; 4096];
    while file.write_all(&block).is_ok() {}
    Ok(())
}

fn free_bytes(path: &Path) -> anyhow::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
