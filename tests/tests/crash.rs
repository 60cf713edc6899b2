//! The crash harness in short: each attack for some seconds, and the proof that it can find something. The long forms are
//! `cargo crash …`, see docs/reliability.md.

use std::path::Path;

use clap::Parser;
use onefold_testkit::seeds;
use onefold_tests::crash::flip::{self, FlipOptions};
use onefold_tests::crash::kill::{self, KillOptions};
use onefold_tests::crash::ledger::FindingKind;
use onefold_tests::crash::soak::{self, SoakOptions};

/// Options as on the command line.
fn options<T: clap::Args>(arguments: &[&str]) -> T {
    #[derive(Parser)]
    struct Wrapped<T: clap::Args> {
        #[command(flatten)]
        options: T,
    }
    let place = ["--dir", env!("CARGO_TARGET_TMPDIR")];
    Wrapped::parse_from(["crash"].iter().chain(arguments).chain(&place)).options
}

fn seed() -> u64 {
    seeds::from_env_or(&[1])[0]
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_crash"))
}

#[test]
fn nothing_acknowledged_is_lost_by_kills() {
    let options: KillOptions = options(&["--cycles", "6", "--clients", "64", "--load-ms", "200"]);
    let report = kill::attack(program(), &options, seed()).unwrap();
    println!("{}", report.table());
    assert!(report.said.acknowledged > 100, "the children got to work");
    assert!(report.verdict.is_clean(), "{}", report.verdict);
}

/// Acknowledging before writing must be caught: otherwise the attack proves nothing.
#[test]
fn a_mode_that_acknowledges_before_it_writes_is_caught_losing() {
    let options: KillOptions = options(&["--cycles", "8", "--durability", "buffered", "--load-ms", "200"]);
    // The kill has to strike between an answer and its write, a few milliseconds later: one round of eight in four did so on a fast
    // disk, and once none of fifteen. The first one is enough.
    let caught = (1..=60).find_map(|seed| {
        let report = kill::attack(program(), &options, seed).unwrap();
        (report.verdict.count(FindingKind::Lost) > 0).then_some(report)
    });
    // It was evidence of what was expected.
    let kept = caught.expect("a round that loses").kept.expect("evidence is kept");
    std::fs::remove_dir_all(kept).unwrap();
}

#[test]
fn plain_sled_survives_kills_too() {
    let options: KillOptions = options(&["--cycles", "3", "--journal", "plain-sled", "--load-ms", "200"]);
    let report = kill::attack(program(), &options, seed()).unwrap();
    assert!(report.verdict.is_clean(), "{}", report.verdict);
}

#[test]
fn damage_is_noticed_or_harmless() {
    let options: FlipOptions = options(&["--flips", "200", "--templates", "4", "--workers", "1"]);
    let report = flip::attack(program(), &options, seed()).unwrap();
    println!("{report}");
    assert_eq!(report.checked(), 220);
    assert_eq!(report.violations(), 0, "{report}");
}

#[test]
fn a_journal_under_load_for_long_loses_nothing() {
    let options: SoakOptions = options(&["--minutes", "0.05", "--cycle-seconds", "1"]);
    let report = soak::attack(program(), &options, seed()).unwrap();
    println!("{}\n{}", report.cycles_table(), report.table());
    assert!(report.cycles() > 0 && report.acknowledged > 0);
    assert!(report.verdict.is_clean(), "{}", report.verdict);
}
