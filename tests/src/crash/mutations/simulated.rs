//! A mutation hunted by the simulation: one seed after the other, until a promise is broken.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::tree::Tree;
use super::{Fate, MutationsOptions};

/// Builds the tree as it is, and simulates.
pub(super) fn hunt(tree: &Tree, options: &MutationsOptions) -> anyhow::Result<Fate> {
    tree.cargo(&["build", "--quiet", "--package", "onefold-simulation", "--example", "simulate"])?;
    let told = tree.scratch.join("told.txt");
    let mut child = Command::new(tree.target().join("debug/examples/simulate"))
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
