//! `verify` and `repair`: damage is told by name and by exit code, nothing is changed without `--accept-loss`, and then
//! exactly what was told is lost.

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use common::*;
use serde_json::{Value, json};

/// Every event, by its position.
fn events(path: &Path) -> BTreeMap<u64, Value> {
    let shown = onefold(path, &["tail", "-n", "1000000", "--json"]).done().objects();
    let events = shown.into_iter().filter(|event| event.get("gap").is_none());
    events.map(|event| (event["position"].as_u64().unwrap(), event)).collect()
}

fn problems(report: &Value) -> Vec<&str> {
    report["problems"].as_array().unwrap().iter().map(|problem| problem["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_sound_journal_is_told_as_sound() {
    let (_temporary, path) = with_journal();
    let said = onefold(&path, &["verify"]).done();
    assert!(said.text().contains("is sound.") && said.text().contains("Checked 351 commits with 352 events"));
    let report = onefold(&path, &["verify", "--json"]).done().object();
    assert_eq!((&report["sound"], &report["closed_cleanly"]), (&json!(true), &json!(true)));
    assert_eq!((&report["commit"], &report["position"]), (&json!(COMMITS), &json!(EVENTS)));
    let checked = json!({
        "commits": COMMITS, "events": EVENTS, "streams": 45, "heads": 45, "index_entries": 1, "claims": CLAIMS,
        "record_bytes": report["checked"]["record_bytes"], "blocks": report["checked"]["blocks"],
        "redo_segments": report["checked"]["redo_segments"], "redo_groups": report["checked"]["redo_groups"],
    });
    assert_eq!(report["checked"], checked);
    for arguments in [&["repair"][..], &["repair", "--accept-loss"]] {
        let said = onefold(&path, arguments).done();
        assert!(said.text().contains("there is nothing to repair"), "{}", said.text());
    }
}

#[test]
fn a_repair_tells_what_it_will_lose_and_loses_only_that() {
    let (temporary, path) = with_journal();
    let before = events(&path);
    // Two commits: one of a stream with more behind it, and the only one of another.
    for mark in ["text 123", "odd id"] {
        edit(&path, b'L', |_, value| {
            if let Some(at) = find(value, mark) {
                value[at] ^= 1;
            }
            true
        });
    }
    let is_lost = |event: &Value| {
        event["stream"] == "memo.v2/ä/ö ü" || (event["stream"] == "note/long" && event["version"] == 124)
    };
    let lost: Vec<u64> = before.iter().filter(|(_, event)| is_lost(event)).map(|(position, _)| *position).collect();
    assert_eq!(lost.len(), 2);
    for arguments in [&["verify", "--json"][..], &["repair", "--json"]] {
        let said = onefold(&path, arguments);
        assert_eq!((said.code, said.stderr.as_str()), (3, ""));
        let object = said.object();
        let report = object.get("before").unwrap_or(&object);
        assert_eq!(problems(report), ["payload-damaged", "payload-damaged"]);
        assert_eq!(report["problems"][0]["stream"], "note/long");
        let positions: Vec<_> =
            report["lost"].as_array().unwrap().iter().map(|hole| hole["first_position"].clone()).collect();
        assert_eq!(positions, lost.iter().map(|position| json!(position)).collect::<Vec<_>>());
        let streams = json!([
            {"stream": "note/long", "first_version": 124, "last_version": 124},
            {"stream": "memo.v2/ä/ö ü", "first_version": 1, "last_version": 1},
        ]);
        assert_eq!(report["stream_losses"], streams);
    }
    let told = onefold(&path, &["repair"]);
    assert!(told.code == 3 && told.text().contains("Lost: 2 commits, 2 events."), "{}", told.text());
    assert!(
        told.text().contains("note/long: version 124") && told.text().contains("Nothing was changed"),
        "{}",
        told.text()
    );
    let repaired = onefold(&path, &["repair", "--accept-loss", "--json"]).done().object();
    let evidence = temporary.path().join("journal.damaged-1");
    assert_eq!(
        (&repaired["repaired"], &repaired["evidence"]),
        (&json!(true), &json!(evidence.canonicalize().unwrap()))
    );
    assert_eq!(onefold(&evidence, &["verify"]).code, 3, "the evidence is there");
    let report = onefold(&path, &["verify", "--json"]).done().object();
    assert_eq!(report["gaps"].as_array().map(Vec::len), Some(2));
    let mut expected = before;
    lost.iter().for_each(|position| drop(expected.remove(position)));
    assert!(events(&path) == expected, "everything else is as it was");
    // Gaps move along.
    let export = onefold(&path, &["export", "-"]).done().stdout;
    let copy = temporary.path().join("copy");
    onefold_with(&copy, &["import", "-"], &export).done();
    assert!(onefold(&copy, &["export", "-"]).done().stdout == export);
    onefold(&copy, &["verify"]).done();
    let said = onefold(&copy, &["show", "note/long"]);
    assert!(said.code == 3 && said.stderr.contains("given up by a repair"), "{}", said.stderr);
    let tail = onefold(&copy, &["tail", "-n", "1000"]).done();
    assert!(tail.text().contains(" was given up by a repair, at 2"), "the gap is told");
}

#[test]
fn a_journal_that_does_not_open_is_still_told_about() {
    let (_temporary, path) = with_journal();
    // As a kill leaves it, and then the beacon is lost.
    drop(onefold::SledJournal::open(&path).unwrap());
    let beacon = std::fs::OpenOptions::new().write(true).open(path.join("beacon")).unwrap();
    beacon.write_all_at(&[9; 8192], 0).unwrap();
    let said = onefold(&path, &["tail"]);
    assert!(said.code == 3 && said.stderr.contains("`verify` tells"), "{}", said.stderr);
    let report = onefold(&path, &["verify", "--json"]);
    assert_eq!(report.code, 3);
    let report = report.object();
    assert_eq!((problems(&report), &report["used_copy"]), (vec!["beacon-damaged"], &json!(true)));
    assert_eq!((&report["commit"], &report["lost"]), (&json!(COMMITS), &json!([])));
    let told = onefold(&path, &["repair"]);
    assert!(told.code == 3 && told.text().contains("No commit is lost."), "{}", told.text());
    onefold(&path, &["repair", "--accept-loss"]).done();
    onefold(&path, &["verify"]).done();
    assert_eq!(events(&path).len() as u64, EVENTS);
}

/// Bits flipped at random in sled's own file: whatever becomes of it, no command hangs, panics or shows a wrong value, and
/// when `verify` finds nothing, nothing is wrong.
#[test]
fn flips_in_the_store_are_found_or_harmless() {
    const ROUNDS: u64 = 8;
    let (temporary, path) = with_journal();
    let before = events(&path);
    let db = std::fs::read(path.join("db")).unwrap();
    let copy = temporary.path().join("copy");
    let (mut found, mut harmless) = (0, 0);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..ROUNDS {
        copy_dir(&path, &copy);
        let mut bytes = db.clone();
        for _ in 0..3 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let bit = usize::try_from(random % (bytes.len() as u64 * 8)).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        std::fs::write(copy.join("db"), bytes).unwrap();
        let said = onefold(&copy, &["verify", "--json", "--scratch", text(temporary.path())]);
        assert!(!said.stderr.contains("panicked at crates"), "round {round}: {}", said.stderr);
        match said.code {
            0 => {
                harmless += 1;
                assert!(events(&copy) == before, "round {round}: a sound journal has everything");
            }
            code => {
                found += 1;
                assert_eq!(code, 3, "round {round}: {}", said.stderr);
                check_repair(&copy, &before);
            }
        }
        for entry in std::fs::read_dir(temporary.path()).unwrap() {
            let place = entry.unwrap().path();
            if place != path {
                std::fs::remove_dir_all(place).unwrap();
            }
        }
    }
    println!("{found} found, {harmless} harmless");
    assert!(found > 0, "some bits matter");
}

/// Repairs; what is not told to be gone is as it was.
fn check_repair(path: &Path, before: &BTreeMap<u64, Value>) {
    let said = onefold(path, &["repair", "--accept-loss", "--json"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    let object = said.object();
    let lost = object["before"]["lost"].as_array().unwrap().iter();
    let gone: u64 =
        lost.map(|hole| 1 + hole["last_position"].as_u64().unwrap() - hole["first_position"].as_u64().unwrap()).sum();
    let after = events(path);
    assert_eq!(after.len() as u64 + gone, EVENTS, "what is gone is told");
    assert!(gone < EVENTS / 2, "three bits cost {gone} events");
    assert!(after.iter().all(|(position, event)| before[position] == *event), "no wrong value");
    onefold(path, &["verify"]).done();
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}
