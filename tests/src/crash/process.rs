//! A process under attack, seen from both sides: how it is started, followed and killed, and how it hears its parent.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::transcript::{self, Line};

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// How a process ends that could not open the journal, or not read it. It has said why.
pub const COULD_NOT_OPEN: u8 = 3;

/// A process that writes a transcript. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    transcript: PathBuf,
    /// What of the transcript was read.
    heard: File,
    text: String,
    lines: Vec<Line>,
    started: Instant,
}

impl Process {
    /// Starts `command`, which is to write to the file `transcript`; what it prints goes into a file beside it.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(mut command: Command, transcript: &Path) -> anyhow::Result<Process> {
        File::create(transcript).with_context(|| format!("cannot create {}", transcript.display()))?;
        let printed = File::create(transcript.with_extension("stderr"))?;
        command.arg("--transcript").arg(transcript).env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::piped()).stdout(printed.try_clone()?).stderr(printed);
        let (started, child) = (Instant::now(), command.spawn().context("cannot start a process")?);
        let heard = File::open(transcript)?;
        let transcript = transcript.to_owned();
        Ok(Process { child, transcript, heard, text: String::new(), lines: Vec::new(), started })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Its transcript.
    pub fn transcript(&self) -> &Path {
        &self.transcript
    }

    /// What it has said so far.
    ///
    /// # Errors
    ///
    /// When the transcript cannot be read, or is none.
    pub fn lines(&mut self) -> anyhow::Result<&[Line]> {
        self.heard.read_to_string(&mut self.text)?;
        let whole = self.text.rfind('\n').map_or(0, |end| end + 1);
        self.lines.append(&mut transcript::parse(&self.text[..whole])?);
        self.text.drain(..whole);
        Ok(&self.lines)
    }

    /// Waits until what it has said is enough, or it has ended, or the time is over; says whether it was enough.
    ///
    /// # Errors
    ///
    /// When the transcript cannot be read.
    pub fn wait_until(&mut self, enough: impl Fn(&[Line]) -> bool, timeout: Duration) -> anyhow::Result<bool> {
        let begin = Instant::now();
        loop {
            if enough(self.lines()?) {
                return Ok(true);
            }
            if self.child.try_wait()?.is_some() || begin.elapsed() > timeout {
                return Ok(enough(self.lines()?));
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until the journal is open.
    ///
    /// # Errors
    ///
    /// When the transcript cannot be read.
    pub fn wait_until_opened(&mut self, timeout: Duration) -> anyhow::Result<bool> {
        self.wait_until(|lines| lines.iter().any(|line| matches!(line, Line::Opened { .. })), timeout)
    }

    /// Waits until it has ended, at most so long; `None` when it has not.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if begin.elapsed() > timeout {
                return Ok(None);
            }
            thread::sleep(LOOK);
        }
    }

    /// Tells it to come to its end: a child finishes what it has begun and closes the journal.
    pub fn stop(&mut self) {
        if let Some(parent) = &mut self.child.stdin {
            let _gone = parent.write_all(b"stop\n");
        }
    }

    /// Kills it with SIGKILL and waits for its death. Returns how it ended: perhaps by itself, before.
    ///
    /// # Errors
    ///
    /// When it can be neither killed nor waited for.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _dead = self.kill();
    }
}

/// In the child: listens to the parent, on standard input. The flag is set when it says `stop`; when it is gone, this
/// process goes too.
pub(super) fn hear_parent() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let hear = move || {
        for line in io::stdin().lines() {
            told.fetch_or(line.is_ok_and(|line| line == "stop"), Ordering::Relaxed);
        }
        if !told.load(Ordering::Relaxed) {
            std::process::exit(1);
        }
    };
    thread::spawn(hear);
    stop
}
