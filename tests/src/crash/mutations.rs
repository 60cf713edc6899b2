//! `cargo crash mutations`: does the simulation notice when the runtime is broken? Each mutation is built into a copy of the
//! repository, and simulated until it is caught.

pub mod list;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::Context;
use clap::Args;
use comfy_table::{Table, presets};

use super::progress::Progress;
use list::Mutation;

/// `cargo crash mutations`.
#[derive(Clone, Debug, Args)]
pub struct MutationsOptions {
    /// Only those whose name contains this
    #[arg(long, default_value = "")]
    pub only: String,
    /// How many seeds to run at most for each
    #[arg(long, default_value_t = 300)]
    pub seeds: u64,
    /// How long to run each at most, in seconds; one that takes longer hangs, and counts as caught
    #[arg(long, default_value_t = 120)]
    pub seconds: u64,
}

/// What is copied: all that the simulation is built of, and the manifests of the workspace.
const COPIED: [&str; 6] = ["Cargo.toml", "Cargo.lock", "crates", "examples", "tests", "benches"];

/// How a mutation fared.
enum Fate {
    Caught(String),
    Missed,
}

/// Runs all mutations and prints the table.
///
/// # Errors
///
/// A mutation that does not fit the code, or does not build; the copy cannot be written.
pub fn run(options: &MutationsOptions) -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests/ lies in the repository")?;
    let chosen = list::all(root)?.into_iter().filter(|mutation| mutation.name.contains(&options.only));
    let chosen: Vec<Mutation> = chosen.collect();
    let scratch = root.join("target/mutations");
    let tree = scratch.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    COPIED.iter().try_for_each(|part| copy(&root.join(part), &tree.join(part)))?;
    let progress = Progress::new("mutations", chosen.len() as u64 + 1);
    progress.say("none: must not be caught");
    if let Fate::Caught(how) = simulate(&scratch, options)? {
        anyhow::bail!("the simulation fails without any mutation: {how}");
    }
    progress.step(1);
    let (mut table, mut missed) = (Table::new(), 0);
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["mutation", "what is broken", "result"]);
    for mutation in chosen {
        progress.say(mutation.name.clone());
        let changes = mutation.changes(&tree)?;
        for (file, _, after) in &changes {
            fs::write(tree.join(file), after)?;
        }
        let fate = simulate(&scratch, options).with_context(|| mutation.name.clone())?;
        for (file, before, _) in &changes {
            fs::write(tree.join(file), before)?;
        }
        let result = match fate {
            Fate::Caught(how) => format!("caught: {how}"),
            Fate::Missed => {
                missed += 1;
                "MISSED".to_owned()
            }
        };
        table.add_row([mutation.name, mutation.title, result]);
        progress.step(1);
    }
    progress.finish();
    println!("{table}");
    println!("{missed} missed");
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the copy as it is, and simulates.
fn simulate(scratch: &Path, options: &MutationsOptions) -> anyhow::Result<Fate> {
    let target = scratch.join("build");
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--package", "onefold-simulation", "--example", "simulate"])
        .current_dir(scratch.join("tree"))
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        // The harness itself is run by cargo, whose variables are not meant for this build.
        .env_remove("CARGO_MANIFEST_DIR")
        .output()?;
    anyhow::ensure!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    let told = scratch.join("told.txt");
    let mut child = Command::new(program(&target))
        .arg(options.seeds.to_string())
        .stdout(fs::File::create(&told)?)
        .stderr(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if began.elapsed() > Duration::from_secs(options.seconds) {
            child.kill()?;
            child.wait()?;
            return Ok(Fate::Caught("it hangs".to_owned()));
        }
        thread::sleep(Duration::from_millis(20));
    };
    if status.success() {
        return Ok(Fate::Missed);
    }
    let told = fs::read_to_string(told)?;
    let first = told.lines().find_map(|line| line.trim().strip_prefix("seed "));
    Ok(Fate::Caught(first.map_or_else(|| status.to_string(), |first| format!("seed {first}"))))
}

fn program(target: &Path) -> PathBuf {
    target.join("debug/examples/simulate")
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "target" {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
