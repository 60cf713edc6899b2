//! A mutation hunted by the exploration: every test of it, in so many orders. A standstill is found as such, so nothing hangs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use super::tree::Tree;
use super::{Fate, MutationsOptions};

/// What `.ci/explore` builds.
const BUILD: [&str; 14] = [
    "rustc",
    "--quiet",
    "--package",
    "onefold",
    "--no-default-features",
    "--lib",
    "--profile",
    "test",
    "--message-format",
    "json",
    "--",
    "--cfg",
    "onefold_shuttle",
    "-Awarnings",
];

/// Builds the tree as it is, and explores.
pub(super) fn hunt(tree: &Tree, options: &MutationsOptions) -> anyhow::Result<Fate> {
    let explored = Command::new(program(&tree.cargo(&BUILD)?)?)
        .arg("exploration::")
        .env("ONEFOLD_ORDERS", options.orders.to_string())
        .env_remove("ONEFOLD_SEED")
        .output()?;
    if explored.status.success() {
        return Ok(Fate::Missed);
    }
    let told = String::from_utf8_lossy(&explored.stdout);
    let failed: Vec<&str> = told.lines().filter_map(failed_test).collect();
    Ok(Fate::Caught(match failed[..] {
        [] => format!("the process ends: {}", explored.status),
        [test] => test.to_owned(),
        [test, ..] => format!("{} tests, such as {test}", failed.len()),
    }))
}

/// The test that a line of `failures:` names.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("    exploration::")
}

/// The test binary that cargo names.
fn program(messages: &str) -> anyhow::Result<PathBuf> {
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    executable.context("cargo names no test binary")
}
