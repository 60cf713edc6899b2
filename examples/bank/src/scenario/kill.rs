//! The last act: a child process under load is killed with SIGKILL, and the journal is held against what it had said.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use onefold::{Aggregates, StreamVersion};

use super::child;
use super::ledger::{Attempt, Kind, Ledger};
use crate::Money;
use crate::domain::{Account, AccountEvent};

/// How long the child may take until its first acknowledgement.
const STARTUP_DEADLINE: Duration = Duration::from_secs(20);

/// SIGKILL: it cannot be caught, so the child has no chance to tidy up.
const SIGKILL: i32 = 9;

/// What the child said before it died.
#[derive(Debug)]
pub(super) struct LastWords {
    pub(super) pid: u32,
    pub(super) transcript: String,
    pub(super) acknowledged: u64,
    /// From the first acknowledgement to the kill.
    pub(super) elapsed: Duration,
}

/// Starts the child on `data`, lets it work for `duration` after its first acknowledgement, and kills it. Blocks.
pub(super) fn run_and_kill(data: &Path, duration: Duration) -> anyhow::Result<LastWords> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("demo-child").arg("--data").arg(data).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start the child process")?;
    let words = child.stdout.take().context("the child has no stdout")?;

    let acknowledged = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&acknowledged);
    let listener = thread::spawn(move || listen(words, &counter));
    let elapsed = wait(&mut child, &acknowledged, duration);

    // Whatever happened meanwhile, the child does not outlive this function.
    let killed = child.kill();
    let status = child.wait()?;
    let transcript = listener.join().ok().context("the thread that listens to the child panicked")??;
    killed?;
    ensure!(status.signal() == Some(SIGKILL), "the child ended by itself before it could be killed: {status}");
    let elapsed = elapsed.context("the child acknowledged nothing")?;
    Ok(LastWords { pid: child.id(), transcript, acknowledged: acknowledged.load(Ordering::Relaxed), elapsed })
}

/// Reads to the end, which comes with the child's death.
fn listen(words: ChildStdout, acknowledged: &AtomicU64) -> std::io::Result<String> {
    let mut words = BufReader::new(words);
    let mut transcript = String::new();
    let mut begin = 0;
    while words.read_line(&mut transcript)? > 0 {
        acknowledged.fetch_add(u64::from(transcript[begin..].starts_with("ack")), Ordering::Relaxed);
        begin = transcript.len();
    }
    Ok(transcript)
}

/// Waits for the moment to kill; `None` when the child does not get going or ends by itself.
fn wait(child: &mut Child, acknowledged: &AtomicU64, duration: Duration) -> Option<Duration> {
    let style = ProgressStyle::with_template("   {spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let progress = ProgressBar::new_spinner().with_style(style);
    let (started, mut first) = (Instant::now(), None);
    let elapsed = loop {
        thread::sleep(Duration::from_millis(20));
        let count = acknowledged.load(Ordering::Relaxed);
        progress.set_message(format!("process {}: {count} acknowledged", child.id()));
        progress.tick();
        if first.is_none() && count > 0 {
            first = Some(Instant::now());
        }
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        match first.map(|first| first.elapsed()) {
            _ if ended => break None,
            Some(elapsed) if elapsed >= duration => break Some(elapsed),
            None if started.elapsed() >= STARTUP_DEADLINE => break None,
            _ => {}
        }
    };
    progress.finish_and_clear();
    elapsed
}

/// Holds the reopened journal against the child's words, account by account.
pub(super) async fn compare(accounts: &Aggregates<Account>, transcript: &str) -> anyhow::Result<Ledger> {
    let mut ledger = Ledger::read(transcript)?;
    for account in child::account_ids() {
        let mut balance = Money::ZERO;
        let mut events = accounts.events(&account, StreamVersion::EMPTY)?;
        while let Some(recorded) = events.try_next().await? {
            let (kind, amount) = match recorded.event {
                AccountEvent::Opened { .. } => continue,
                AccountEvent::Deposited { amount } => (Kind::Deposit, amount),
                AccountEvent::Withdrawn { amount } => (Kind::Withdrawal, amount),
            };
            let after = match kind {
                Kind::Deposit => balance.checked_add(amount),
                Kind::Withdrawal => balance.checked_sub(amount),
            };
            balance = after.with_context(|| format!("{account} is overdrawn in version {}", recorded.version))?;
            let number = u64::try_from(recorded.metadata.correlation_id.as_u128())?;
            ledger.record(&Attempt { number, kind, account: account.clone(), amount })?;
        }
        let held = accounts.read(&account, Account::balance).await?;
        ensure!(held == balance, "{account} holds {held}, but its history adds up to {balance}");
    }
    Ok(ledger)
}
