//! A short form of `cargo crash power` and `cargo crash io`: nothing acknowledged is lost, whatever the disk does.
//!
//! Runs as root with `ONEFOLD_ROOT_TESTS=1`; says loudly that it was skipped otherwise.

use std::path::Path;

use clap::Parser as _;
use onefold_tests::crash::disk::{self, Simulator};
use onefold_tests::crash::io::{self, IoOptions};
use onefold_tests::crash::power::{self, PowerOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_crash");

/// Options as on the command line.
#[derive(Debug, clap::Parser)]
struct Line<T: clap::Args> {
    #[command(flatten)]
    options: T,
}

fn options<T: clap::Args>(line: &str) -> T {
    let line = format!("crash {line} --dir {}", env!("CARGO_TARGET_TMPDIR"));
    Line::<T>::parse_from(line.split_whitespace()).options
}

/// Whether this can run here; says loudly if not.
fn is_possible(what: &str, simulator: Simulator) -> bool {
    let why = match std::env::var("ONEFOLD_ROOT_TESTS").as_deref() {
        Ok("1") => disk::missing(simulator),
        _ => Some("set ONEFOLD_ROOT_TESTS=1 to run it, as root".to_owned()),
    };
    why.as_deref().inspect(|why| disk::print_skipped(what, why)).is_none()
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    for (simulator, line) in [
        (Simulator::Ext4, "--cycles 3 --simulator ext4 --seed 11"),
        (Simulator::Volatile, "--cycles 3 --simulator volatile --seed 12"),
        (Simulator::Volatile, "--cycles 2 --simulator volatile --without-attribute --seed 13"),
    ] {
        if !is_possible(&format!("crash power {line}"), simulator) {
            continue;
        }
        let report = power::attack(Path::new(PROGRAM), &options::<PowerOptions>(line), 11).unwrap();
        assert!(report.verdict.is_clean(), "{line}\n{}", report.verdict);
        assert!(report.commits_read > 0, "{line}: the load got to work");
    }
}

#[test]
fn every_caller_is_answered_and_nothing_acknowledged_is_lost_when_a_call_to_the_disk_goes_wrong() {
    let line = "--calls 200 --step 40 --jobs 2 --seed 14";
    if !is_possible(&format!("crash io {line}"), Simulator::Volatile) {
        return;
    }
    let options = options::<IoOptions>(line);
    let report = io::attack(Path::new(PROGRAM), &options, 14).unwrap();
    assert!(report.verdict.is_clean(), "{}", report.verdict);
    assert_eq!(report.struck(), 20, "5 calls, 4 faults");
    let report = io::full::attack(Path::new(PROGRAM), &options, 14).unwrap();
    assert!(report.verdict.is_clean(), "{}", report.verdict);
}

/// A journal that takes every write and sync for a success is caught: it acknowledges what is not there, or leaves a hole.
#[test]
fn a_journal_that_is_deaf_to_failures_is_caught() {
    let line = "--calls 200 --step 3 --jobs 4 --faults eio --deaf";
    if !is_possible(&format!("crash io {line}"), Simulator::Volatile) {
        return;
    }
    // What is found leaves its evidence, which nobody needs here.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut options = options::<IoOptions>(line);
    options.place.dir = Some(directory.path().to_owned());
    let is_caught = |seed| !io::attack(Path::new(PROGRAM), &options, seed).unwrap().verdict.is_clean();
    assert!((14..20).any(is_caught), "in six times 67 runs nothing was missed");
}
