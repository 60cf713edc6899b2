//! `crash flip-worker`: checks one mutation after the other, as it is told on standard input. A process of its own, so that
//! one that hangs, aborts or panics is a finding.
//!
//! ```text
//! in    17                                                        check mutation 17
//! out   {"number":17,"mutation":"db: bit 3 of byte 99 turned",…}  an `Answer`
//! ```

use std::any::Any;
use std::io::{self, BufRead as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::check::Sound;
use super::judgement::Outcome;
use super::mutation::Mutation;
use super::template::Template;
use crate::crash::journal::JournalKind;
use crate::crash::ledger::FindingKind;

/// One in so many journals that seem sound is written to as well.
const GO_ON_EVERY: u64 = 4;

/// `crash flip-worker`.
#[derive(Clone, Debug, Args)]
pub struct WorkerOptions {
    /// Where the templates are
    #[arg(long)]
    pub(super) templates: PathBuf,
    /// Which journal they are
    #[arg(long, default_value = "sled")]
    pub(super) journal: JournalKind,
    /// How many there are
    #[arg(long)]
    pub(super) count: usize,
    /// What the mutations follow from
    #[arg(long)]
    pub(super) seed: u64,
    /// Where to put damaged journals: best in memory
    #[arg(long)]
    pub(super) scratch: PathBuf,
    /// Leaves the damaged journals where they are
    #[arg(long)]
    pub(super) keep: bool,
}

/// What a worker says about one mutation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) mutation: String,
    pub(super) file_class: String,
    pub(super) is_larger: bool,
    pub(super) is_killed: bool,
    pub(super) result: Checked,
}

/// In short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Checked {
    /// Opening said so.
    Refused { kind: String, error: String },
    /// Reading said so.
    Detected { error: String },
    /// As it was.
    Harmless,
    /// Cannot be told from a torn write.
    Undecidable { commits: u64 },
    /// None of these.
    Violation { kind: String, what: String },
}

impl WorkerOptions {
    /// The templates, read from where they are.
    pub(super) fn read(&self) -> anyhow::Result<Vec<Template>> {
        (0..self.count).map(|index| Template::read(&self.templates.join(index.to_string()))).collect()
    }

    /// Hands them to a process.
    pub(super) fn pass_to(&self, command: &mut Command) {
        command.args(["flip-worker", "--journal", self.journal.name()]).arg("--templates").arg(&self.templates);
        command.arg("--count").arg(self.count.to_string()).arg("--seed").arg(self.seed.to_string());
        command.arg("--scratch").arg(&self.scratch);
        if self.keep {
            command.arg("--keep");
        }
    }

    /// The same for one of several workers: each has its own place.
    pub(super) fn in_part(&self, index: usize) -> Self {
        WorkerOptions { scratch: self.scratch.join(index.to_string()), ..self.clone() }
    }
}

/// Works until nobody asks any more.
///
/// # Errors
///
/// When the templates cannot be read, or nobody listens.
pub fn run(options: &WorkerOptions) -> anyhow::Result<ExitCode> {
    let stray = hear_stray_panics();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    std::fs::create_dir_all(&options.scratch)?;
    let templates = options.read()?;
    let pristine = options.scratch.join("pristine");
    let sound = |template: &Template| Sound::read(&tokio, options.journal, template.clone(), &pristine);
    let sound = templates.iter().map(sound).collect::<anyhow::Result<Vec<_>>>()?;
    for line in io::stdin().lock().lines() {
        let number: u64 = line?.parse()?;
        let mutation = Mutation::pick(options.seed, number, &templates);
        let scratch = options.scratch.join(number.to_string());
        let sound = &sound[mutation.template];
        let go_on = number.is_multiple_of(GO_ON_EVERY);
        let checked = catch_unwind(AssertUnwindSafe(|| sound.check(&tokio, &mutation, &scratch, go_on)));
        let result = match checked {
            Ok(outcome) => said(outcome?),
            Err(panic) => panicked(message(&*panic)),
        };
        let result = match taken(&stray) {
            what if what.is_empty() => result,
            what => panicked(what),
        };
        if !options.keep {
            std::fs::remove_dir_all(&scratch)?;
        }
        let answer = Answer {
            number,
            mutation: mutation.to_string(),
            file_class: mutation.file_class().to_owned(),
            is_larger: mutation.kind.is_larger(),
            is_killed: sound.template.is_killed,
            result,
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    // What was forgotten with a damaged journal need not be tidied up.
    std::process::exit(0);
}

fn said(outcome: Outcome) -> Checked {
    match outcome {
        Outcome::Refused { kind, error } => Checked::Refused { kind, error },
        Outcome::Detected { error } => Checked::Detected { error },
        Outcome::Harmless => Checked::Harmless,
        Outcome::Undecidable { commits } => Checked::Undecidable { commits },
        Outcome::Violation { kind, what } => Checked::Violation { kind: kind.name().to_owned(), what },
    }
}

fn panicked(what: String) -> Checked {
    Checked::Violation { kind: FindingKind::Panicked.name().to_owned(), what }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

/// What panicked where nobody catches it. Panics of the journal's own threads are caught, and lead to an error, and so are
/// those of sled on this one; sled's threads have nobody who would.
fn hear_stray_panics() -> Arc<Mutex<String>> {
    let stray = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&stray);
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("?");
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if !name.starts_with("onefold-") && name != "main" {
            *heard = format!("thread '{name}': {panic}");
        }
    }));
    stray
}

fn taken(stray: &Mutex<String>) -> String {
    std::mem::take(&mut *stray.lock().unwrap_or_else(PoisonError::into_inner))
}
