//! `cargo crash flip`: damages the files of a journal, a bit or a block at a time, and looks whether that is noticed.
//!
//! ```text
//!   templates: small journals, half of them closed cleanly, half left as a kill leaves them
//!       │  mutation n, which follows from the seed and n alone
//!       ▼
//!   a copy in memory ─▶ open ─▶ read everything, in every way ─▶ judgement: refused, detected, harmless,
//!                                                               undecidable (see judgement), or a violation
//! ```
//!
//! The checks run in processes of their own. One that does not answer for 30 s hangs, one that goes away has aborted; both
//! are violations. `--only n` repeats a single mutation and leaves the damaged journal.

mod check;
mod content;
mod judgement;
mod mutation;
mod pool;
mod report;
pub mod template;
pub mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

pub use report::FlipReport;

use self::template::Template;
use self::worker::WorkerOptions;
use super::journal::JournalKind;
use super::place::{Place, PlaceOptions};

/// Where files are in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// `cargo crash flip`.
#[derive(Clone, Debug, Args)]
pub struct FlipOptions {
    /// How many bits to turn, one at a time; a tenth as many larger mutations come in addition
    #[arg(long, default_value_t = 1_000)]
    pub flips: u64,
    /// Which journal
    #[arg(long, default_value = "sled")]
    pub journal: JournalKind,
    /// What templates and mutations follow from [default: another one each time]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Repeats only the mutation with this number, and leaves the damaged journal where it is
    #[arg(long)]
    pub only: Option<u64>,
    /// How many journals to damage, half of them closed cleanly, one in four ten times as large
    #[arg(long, default_value_t = 8)]
    pub templates: u16,
    /// Processes that check at the same time [default: one per processor]
    #[arg(long)]
    pub workers: Option<usize>,
    /// Where to put journals [default: /dev/shm if it is there, else target/crash]
    #[command(flatten)]
    pub place: PlaceOptions,
}

/// Runs the attack and tells how it went.
///
/// # Errors
///
/// Whatever kept it from attacking.
pub fn run(options: &FlipOptions) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(rand::random);
    let FlipOptions { flips, journal, templates, .. } = options;
    println!("cargo crash flip --flips {flips} --journal {} --templates {templates} --seed {seed}", journal.name());
    let report = attack(&std::env::current_exe()?, options, seed)?;
    println!("{report}");
    Ok(if report.violations() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the attack with the harness `program`.
///
/// # Errors
///
/// Whatever kept it from attacking.
pub fn attack(program: &Path, options: &FlipOptions, seed: u64) -> anyhow::Result<FlipReport> {
    let in_memory = PathBuf::from(MEMORY);
    let dir = options.place.dir.clone().or_else(|| in_memory.is_dir().then_some(in_memory));
    let mut place = Place::new(&PlaceOptions { dir }, "flip")?;
    let templates = place.path().join("templates");
    std::fs::create_dir_all(&templates)?;
    for index in 0..options.templates {
        let (data, is_killed, is_large) = (templates.join(index.to_string()), index % 2 == 1, index % 8 >= 6);
        let made =
            Template::make(program, options.journal, &data, seed ^ u64::from(index) << 48, (is_killed, is_large));
        made.context("making the templates")?;
    }
    let scratch = place.path().join("damaged");
    let keep = options.only.is_some();
    let worker =
        WorkerOptions { templates, journal: options.journal, count: options.templates.into(), seed, scratch, keep };
    let numbers = match options.only {
        Some(number) => number..number + 1,
        None => 0..mutation::total(options.flips),
    };
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = options.workers.unwrap_or_else(processors).max(1);
    let mut report = pool::run(program, &worker, numbers, workers)?;
    report.seed = seed;
    (report.journal, report.templates) = (options.journal, options.templates);
    if keep {
        place.keep();
        report.kept = Some(place.path().join("damaged"));
    }
    Ok(report)
}
