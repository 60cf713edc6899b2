//! `crash flip-template`: makes a small journal to be damaged, closed cleanly or left as a kill leaves it.
//!
//! A hundred KiB or so with everything in it: several generations, segments and checkpoints, blocks in sled and groups
//! that are in the redo log only, records in chunks, long streams and short ones, claims that are taken, held and given up, and
//! idempotency keys.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use onefold::{Aggregates, Runtime};

use crate::crash::chronicle::{Act, Chronicle, Write};
use crate::crash::journal::{JournalKind, JournalOptions};
use crate::crash::random::Random;
use crate::crash::transcript::{Share, Step};

/// Time enough for the beacon, which is written within 100 ms of an acknowledgement.
const BEACON: Duration = Duration::from_millis(400);

/// Commits that are acknowledged right before the end of a killed journal, one group each.
const IN_WINDOW: u64 = 8;

/// The limit of holds, in microseconds since 1970: in the year 2100, so that none ends.
const HELD_UNTIL: u64 = 4_102_444_800_000_000;

/// `crash flip-template`.
#[derive(Clone, Debug, Args)]
pub struct TemplateOptions {
    /// The directory to make
    #[arg(long)]
    data: PathBuf,
    /// Which journal
    #[arg(long, default_value = "sled")]
    journal: JournalKind,
    /// What the content follows from
    #[arg(long)]
    seed: u64,
    /// Ends as a kill would
    #[arg(long)]
    killed: bool,
    /// Ten times as much, so that sled has several segments
    #[arg(long)]
    large: bool,
}

/// A journal in memory, file by file.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// Names relative to the directory, and contents.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// Whether it was left as a kill leaves it.
    pub(super) is_killed: bool,
    /// The last commit that the beacon has reached, as far as is sure.
    pub(super) beacon_commit: u64,
}

/// How a journal of this attack is opened.
pub(super) fn journal(kind: JournalKind, data: &Path) -> JournalOptions {
    JournalOptions { journal: kind, segment_kib: 64, checkpoint_segments: 1, ..JournalOptions::new(data) }
}

/// Makes the journal. A killed one ends with the process.
///
/// # Errors
///
/// When it cannot be made.
pub fn run(options: &TemplateOptions) -> anyhow::Result<ExitCode> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut load = Load::new(options);
    for generation in 0..=load.random.below(3) {
        tokio.block_on(fill(options, &mut load, generation == 0))?;
    }
    tokio.block_on(last(options, &mut load))?;
    // A killed journal: no destructor runs.
    std::process::exit(0);
}

/// Writes some commits, and closes.
async fn fill(options: &TemplateOptions, load: &mut Load, is_first: bool) -> anyhow::Result<()> {
    let (runtime, chronicles) = start(options).await?;
    let rounds = if is_first { 20 } else { 1 + load.random.below(10) };
    for _ in 0..rounds {
        // Together, so that they share groups.
        let writes: Vec<_> = (0..1 + load.random.below(6)).map(|_| load.write(&chronicles)).collect();
        futures_util::future::try_join_all(writes).await?;
    }
    ensure!(runtime.shutdown(Duration::from_secs(20)).await.is_clean(), "the template closes");
    Ok(())
}

/// The last generation: closed, or left with some commits that the beacon may not have reached.
async fn last(options: &TemplateOptions, load: &mut Load) -> anyhow::Result<()> {
    let (runtime, chronicles) = start(options).await?;
    for _ in 0..5 + load.random.below(40) {
        load.write(&chronicles).await?;
    }
    tokio::time::sleep(BEACON).await;
    let beacon_commit = load.number;
    fs::write(facts(&options.data), format!("{} {beacon_commit}", u8::from(options.killed)))?;
    match options.killed {
        true => {
            for _ in 0..IN_WINDOW {
                load.write(&chronicles).await?;
            }
        }
        false => ensure!(runtime.shutdown(Duration::from_secs(20)).await.is_clean(), "the template closes"),
    }
    Ok(())
}

async fn start(options: &TemplateOptions) -> anyhow::Result<(Runtime, Aggregates<Chronicle>)> {
    let journal = journal(options.journal, &options.data).open()?;
    let runtime = Runtime::builder(Arc::clone(&journal)).aggregate::<Chronicle>(()).start().await?;
    let chronicles = runtime.aggregates()?;
    Ok((runtime, chronicles))
}

/// What is written, one commit after the other.
struct Load {
    random: Random,
    /// That of the last command, which is that of its commit, too.
    number: u64,
    is_large: bool,
    carries_extras: bool,
    /// The claims that are held. Each is one stream's only, so that nobody is in the way of anybody.
    held: BTreeSet<String>,
}

impl Load {
    fn new(options: &TemplateOptions) -> Load {
        Load {
            random: Random::of(options.seed, 0),
            number: 0,
            is_large: options.large,
            carries_extras: options.journal.carries_extras(),
            held: BTreeSet::new(),
        }
    }

    /// One commit: mostly small, some with several events, some in chunks; every third changes a claim, every fourth has a
    /// key.
    fn write(&mut self, chronicles: &Aggregates<Chronicle>) -> impl Future<Output = anyhow::Result<()>> + use<> {
        self.number += 1;
        let random = &mut self.random;
        let stream = format!("stream-{}", random.below(4) * random.below(4));
        let events = u16::try_from(1 + random.below(2) * random.below(4)).unwrap_or(1);
        let event_bytes = match (self.is_large, random.below(24)) {
            (true, _) => 2_000..=9_000,
            (false, 0) => 2_000..=9_000,
            (false, _) => 20..=200,
        };
        let step = (self.carries_extras && random.one_in(3)).then(|| self.step(&stream));
        let has_key = self.carries_extras && self.random.one_in(4);
        let share = Share { stream, events, amount: 0, step };
        let ask = chronicles.ask(&share.stream, Act::new(self.number, &share, 0, events, event_bytes));
        let ask = if has_key { ask.idempotency_key(Write::key(self.number)) } else { ask };
        async move {
            ask.await?;
            Ok(())
        }
    }

    /// Takes one of the stream's claims, for good or until then, or gives it up if it is held.
    fn step(&mut self, stream: &str) -> Step {
        let claim = format!("{stream}/{}", self.random.below(3));
        match (self.held.remove(&claim), self.random.one_in(2)) {
            (true, _) => Step::Release(claim),
            (false, takes) => {
                self.held.insert(claim.clone());
                if takes { Step::Take(claim) } else { Step::Hold(claim, HELD_UNTIL) }
            }
        }
    }
}

fn facts(data: &Path) -> PathBuf {
    data.with_extension("facts")
}

impl Template {
    /// Makes one in the directory `data`, in a process of its own.
    pub(super) fn make(
        program: &Path,
        journal: JournalKind,
        data: &Path,
        seed: u64,
        (is_killed, is_large): (bool, bool),
    ) -> anyhow::Result<()> {
        let mut command = Command::new(program);
        command
            .args(["flip-template", "--journal", journal.name()])
            .arg("--data")
            .arg(data)
            .arg("--seed")
            .arg(seed.to_string());
        if is_killed {
            command.arg("--killed");
        }
        if is_large {
            command.arg("--large");
        }
        let made = command.env("RUST_BACKTRACE", "0").output().context("cannot start a process")?;
        ensure!(made.status.success(), "a template cannot be made: {}", String::from_utf8_lossy(&made.stderr));
        Ok(())
    }

    /// Reads the one in the directory `data`.
    pub(super) fn read(data: &Path) -> anyhow::Result<Template> {
        let facts = fs::read_to_string(facts(data))?;
        let (is_killed, beacon_commit) = facts.split_once(' ').context("the facts are not whole")?;
        let mut files = Vec::new();
        collect(data, "", &mut files)?;
        files.sort();
        Ok(Template { files, is_killed: is_killed == "1", beacon_commit: beacon_commit.parse()? })
    }

    /// Writes it to the directory `data`, which is not there.
    pub(super) fn write(&self, data: &Path) -> anyhow::Result<()> {
        for part in ["redo", "blobs"] {
            fs::create_dir_all(data.join(part))?;
        }
        for (name, bytes) in &self.files {
            fs::write(data.join(name), bytes)?;
        }
        Ok(())
    }
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.file_type()?.is_dir() {
            true => collect(&entry.path(), &format!("{name}/"), files)?,
            false => files.push((name, fs::read(entry.path())?)),
        }
    }
    Ok(())
}
