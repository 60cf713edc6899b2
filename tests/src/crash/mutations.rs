//! `cargo crash mutations`: does anybody notice when the runtime is broken? Each mutation is built into a copy of the
//! repository, and hunted by the simulation or by the exploration until it is caught.

mod explored;
pub mod list;
mod simulated;
mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};

use self::list::Mutation;
use self::tree::Tree;
use super::progress::Progress;

/// `cargo crash mutations`.
#[derive(Clone, Debug, Args)]
pub struct MutationsOptions {
    /// Only those that are hunted by this one
    #[arg(long, value_enum)]
    pub by: Option<Hunter>,
    /// Only those whose name contains this
    #[arg(long, default_value = "")]
    pub only: String,
    /// How many seeds to simulate at most for each
    #[arg(long, default_value_t = 300)]
    pub seeds: u64,
    /// How many orders to explore for each, in every test
    #[arg(long, default_value_t = 2_000)]
    pub orders: u64,
    /// How long to simulate each at most, in seconds; one that takes longer hangs, and counts as caught
    #[arg(long, default_value_t = 120)]
    pub seconds: u64,
}

/// Who is to catch a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Hunter {
    /// The simulation: the whole runtime on one thread, by seed
    Simulation,
    /// The exploration: the slot and its neighbours on several threads, by order
    Exploration,
}

impl Hunter {
    /// Both.
    pub const ALL: [Hunter; 2] = [Hunter::Simulation, Hunter::Exploration];

    fn hunt(self, tree: &Tree, options: &MutationsOptions) -> anyhow::Result<Fate> {
        match self {
            Hunter::Simulation => simulated::hunt(tree, options),
            Hunter::Exploration => explored::hunt(tree, options),
        }
    }
}

impl fmt::Display for Hunter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hunter::Simulation => "simulation",
            Hunter::Exploration => "exploration",
        })
    }
}

/// How a mutation fared.
enum Fate {
    /// By what.
    Caught(String),
    Missed,
}

/// Runs all mutations and prints the table.
///
/// # Errors
///
/// A mutation that does not fit the code, or does not build; a hunter that objects without any mutation; the copy cannot be
/// written.
pub fn run(options: &MutationsOptions) -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests/ lies in the repository")?;
    let hunters: Vec<Hunter> = Hunter::ALL.into_iter().filter(|one| options.by.is_none_or(|by| by == *one)).collect();
    let mut chosen: BTreeMap<Hunter, Vec<Mutation>> = BTreeMap::new();
    for hunter in hunters {
        let mut mutations = list::all(root, hunter)?;
        mutations.retain(|mutation| mutation.name.contains(&options.only));
        if !mutations.is_empty() {
            chosen.insert(hunter, mutations);
        }
    }
    let tree = Tree::copy(root)?;
    let count: usize = chosen.values().map(|mutations| mutations.len() + 1).sum();
    let progress = Progress::new("mutations", count as u64);
    let (mut table, mut caught, mut missed) = (Table::new(), 0, 0);
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["mutation", "hunted by", "what is broken", "result"]);
    for (hunter, mutations) in chosen {
        progress.say(format!("none, by {hunter}: must not be caught"));
        if let Fate::Caught(how) = hunter.hunt(&tree, options)? {
            anyhow::bail!("the {hunter} objects without any mutation: {how}");
        }
        progress.step(1);
        for mutation in mutations {
            progress.say(format!("{}, by {hunter}", mutation.name));
            let mutated = tree.mutate(&mutation)?;
            let fate = hunter.hunt(&tree, options).with_context(|| mutation.name.clone())?;
            mutated.undo()?;
            let result = match fate {
                Fate::Caught(how) => {
                    caught += 1;
                    format!("caught: {how}")
                }
                Fate::Missed => {
                    missed += 1;
                    "MISSED".to_owned()
                }
            };
            table.add_row([mutation.name, hunter.to_string(), mutation.title, result]);
            progress.step(1);
        }
    }
    progress.finish();
    println!("{table}");
    println!("{caught} caught, {missed} missed");
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
