//! The demo, small: the whole story, kill included.

use std::process::{Command, Stdio};

/// Runs the demo; what it said, and its exit code.
fn demo(arguments: &[&str]) -> (String, String, Option<i32>) {
    let small = ["demo", "--accounts", "20", "--operations", "2000", "--seconds", "0.5"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
    let output = command.args(small).args(arguments).stdin(Stdio::null()).output().expect("to run the demo");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn the_demo_holds_and_tidies_up() {
    let (said, errors, code) = demo(&[]);
    assert_eq!((errors.as_str(), code), ("", Some(0)), "{said}");
    for phrase in [
        "20 accounts are opened",
        "2,000 operations",
        "one succeeded, one was rejected by the domain, and no version clash surfaced",
        "under load",
        "The same holds for each account, to the cent.",
        "All invariants hold",
    ] {
        assert!(said.contains(phrase), "{phrase:?} is not in: {said}");
    }
    let place = said.lines().find_map(|line| line.strip_prefix("The journal is in ")).expect("where the journal is");
    assert!(place.contains("onefold-bank-") && !std::path::Path::new(place).exists(), "{place} is still there");
}

#[test]
fn the_demo_keeps_what_it_was_told_to_keep() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("kept").display().to_string();
    let (said, errors, code) = demo(&["--data", &data]);
    assert_eq!((errors.as_str(), code), ("", Some(0)), "{said}");

    let list = Command::new(env!("CARGO_BIN_EXE_bank")).args(["list", "--data", &data]).output().unwrap();
    let listed = String::from_utf8(list.stdout).unwrap();
    // 20 of the crowd, 100 of the last hundred, 64 and 16 of the child.
    assert!(listed.contains("\n200 accounts"), "{listed}");

    let (_, errors, code) = demo(&["--data", &data]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("is not empty"), "{errors}");
}
