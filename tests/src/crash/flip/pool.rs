//! The processes that check, and the watchdog over them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use super::report::FlipReport;
use super::worker::{Answer, WorkerOptions};
use crate::crash::ledger::FindingKind;
use crate::crash::progress::Progress;

/// How long a check may take.
const WATCHDOG: Duration = Duration::from_secs(30);

/// Checks that one process makes. Damaged journals leave threads and memory behind, on purpose: sled's cannot be ended.
const CHECKS_MAX: u32 = 200;

/// Checks the mutations with these numbers.
pub(super) fn run(
    program: &Path,
    options: &WorkerOptions,
    numbers: Range<u64>,
    workers: usize,
) -> anyhow::Result<FlipReport> {
    let progress = Progress::new("flip", numbers.end - numbers.start);
    let next = AtomicU64::new(numbers.start);
    let take = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        (number < numbers.end).then_some(number)
    };
    let reports = thread::scope(|scope| {
        let work = |index: usize| {
            let (take, progress) = (&take, &progress);
            move || work(program, &options.in_part(index), take, progress)
        };
        let threads: Vec<_> = (0..workers).map(|index| scope.spawn(work(index))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().ok().context("a thread panicked")?;
        threads.into_iter().map(join).collect::<anyhow::Result<Vec<FlipReport>>>()
    });
    progress.finish();
    let mut all = FlipReport::default();
    reports?.into_iter().for_each(|report| all.merge(report));
    Ok(all)
}

/// One process after the other, as long as there is something to check.
fn work(
    program: &Path,
    options: &WorkerOptions,
    take: impl Fn() -> Option<u64>,
    progress: &Progress,
) -> anyhow::Result<FlipReport> {
    let mut report = FlipReport::default();
    let mut checker: Option<Checker> = None;
    while let Some(number) = take() {
        let mut current = match checker.take() {
            Some(checker) => checker,
            None => Checker::start(program, options)?,
        };
        match current.check(number)? {
            Ok(answer) => {
                report.add(answer);
                checker = (current.checks < CHECKS_MAX).then_some(current);
            }
            Err((kind, what)) => report.add_violation(number, kind.name(), what),
        }
        progress.step(1);
        progress.say(report.summary());
    }
    Ok(report)
}

/// A process that checks. Killed when dropped.
struct Checker {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
    checks: u32,
}

impl Checker {
    fn start(program: &Path, options: &WorkerOptions) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        options.pass_to(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start a process")?;
        let questions = child.stdin.take().context("a process has no standard input")?;
        let words = BufReader::new(child.stdout.take().context("a process has no standard output")?);
        let (sender, answers) = channel();
        thread::spawn(move || words.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Ok(Checker { child, questions, answers, checks: 0 })
    }

    /// Asks for one check; the inner error is a violation.
    fn check(&mut self, number: u64) -> anyhow::Result<Result<Answer, (FindingKind, String)>> {
        self.checks += 1;
        let _gone = writeln!(self.questions, "{number}");
        match self.answers.recv_timeout(WATCHDOG) {
            Ok(line) => Ok(Ok(serde_json::from_str(&line)?)),
            Err(RecvTimeoutError::Timeout) => {
                Ok(Err((FindingKind::Hung, format!("no answer for {} s", WATCHDOG.as_secs()))))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.child.wait()?;
                Ok(Err((FindingKind::Panicked, format!("the process ended with {status}"))))
            }
        }
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _dead = self.child.wait();
    }
}
