//! A directory under attack, over its whole life: the processes that use it one after the other, what they said, and
//! whether it agrees.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::journal::JournalOptions;
use super::ledger::{Finding, FindingKind, Ledger, Tally};
use super::load::LoadOptions;
use super::process::{COULD_NOT_OPEN, Process};
use super::read;
use super::transcript::Line;

/// SIGKILL: what a process of ours ends by when we want it to.
const SIGKILL: i32 = 9;

/// One journal directory and all that was said about it.
#[derive(Debug)]
pub struct Directory {
    program: PathBuf,
    /// How it is opened.
    pub journal: JournalOptions,
    evidence: PathBuf,
    ledger: Ledger,
    seed: u64,
    run: u32,
}

impl Directory {
    /// A directory that no process has used yet. Transcripts go to the directory `evidence`, which must be outside of
    /// what is attacked; `program` is the harness itself.
    ///
    /// # Errors
    ///
    /// When `evidence` cannot be created.
    pub fn new(program: &Path, journal: JournalOptions, evidence: &Path, seed: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(evidence)?;
        let (program, evidence) = (program.to_owned(), evidence.to_owned());
        Ok(Directory { program, journal, evidence, ledger: Ledger::default(), seed, run: 0 })
    }

    /// Where the transcripts are.
    pub fn evidence(&self) -> &Path {
        &self.evidence
    }

    /// How much was said so far.
    pub fn tally(&self) -> Tally {
        self.ledger.tally()
    }

    /// How many processes have used it.
    pub fn runs(&self) -> u32 {
        self.run
    }

    /// Starts a load on it, which first sends again what has an idempotency key and is open. Hand the process back to [`end_load`](Directory::end_load).
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_load(&mut self, load: &LoadOptions) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.program);
        self.run += 1;
        load.child(&mut command, &self.journal, self.seed, self.run);
        let again: String = self.ledger.to_be_repeated().iter().map(|line| format!("{line}\n")).collect();
        if !again.is_empty() {
            let list = self.evidence.join(format!("{:04}-again.transcript", self.run));
            std::fs::write(&list, again)?;
            command.arg("--again").arg(list);
        }
        Process::start(command, &self.transcript("load"))
    }

    /// Starts a reading of it. Hand the process back to [`end_reading`](Directory::end_reading).
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_reading(&mut self, leave: bool) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.program);
        self.run += 1;
        read::reader(&mut command, &self.journal, leave);
        Process::start(command, &self.transcript("read"))
    }

    /// Kills a load, if it has not ended, and takes in what it said.
    ///
    /// # Errors
    ///
    /// When its transcript cannot be read.
    pub fn end_load(&mut self, mut process: Process) -> anyhow::Result<Vec<Finding>> {
        let status = process.kill()?;
        let lines = process.lines()?;
        let mut findings = self.ledger.load(lines);
        findings.extend(unnatural(status));
        Ok(findings)
    }

    /// Kills a reading, if it has not ended, and holds what it said against what was said before.
    ///
    /// # Errors
    ///
    /// When its transcript cannot be read.
    pub fn end_reading(&mut self, mut process: Process) -> anyhow::Result<Vec<Finding>> {
        let status = process.kill()?;
        let lines = process.lines()?;
        let mut findings = self.ledger.read(lines);
        findings.extend(unnatural(status));
        Ok(findings)
    }

    /// Reads everything, in a process of its own, and holds it against what was said before. With `leave` the reader ends
    /// without closing the journal. A reader that has not come to its end after `timeout` hangs.
    ///
    /// # Errors
    ///
    /// When the reader cannot be started or followed.
    pub fn verify(&mut self, leave: bool, timeout: Duration) -> anyhow::Result<Vec<Finding>> {
        let mut reader = self.start_reading(leave)?;
        let ended = reader.wait(timeout)?;
        let lines = reader.lines()?;
        let is_open = lines.iter().any(|line| matches!(line, Line::Opened { .. }));
        let is_done = lines.last() == Some(&Line::Done);
        let mut findings = self.end_reading(reader)?;
        if ended.is_none() {
            let what = if is_open { "it opened, but reading" } else { "opening" };
            let what = format!("{what} took longer than {} s", timeout.as_secs());
            findings.push(Finding::new(FindingKind::Hung, what));
        } else if !is_done && findings.is_empty() {
            findings.push(Finding::new(FindingKind::NotOpened, "the reader went away without a word"));
        }
        Ok(findings)
    }

    fn transcript(&self, what: &str) -> PathBuf {
        self.evidence.join(format!("{:04}-{what}.transcript", self.run))
    }
}

/// A process ends by itself, or by our signal; everything else is an abort.
fn unnatural(status: ExitStatus) -> Option<Finding> {
    let is_natural = match (status.code(), status.signal()) {
        (Some(code), _) => code == 0 || code == i32::from(COULD_NOT_OPEN),
        (None, signal) => signal == Some(SIGKILL),
    };
    (!is_natural).then(|| Finding::new(FindingKind::Panicked, format!("the process ended with {status}")))
}
