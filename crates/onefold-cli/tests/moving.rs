//! `export`, `import`, `backup`: everything comes along, damaged files are refused by name and place, nothing is overwritten.

mod common;

use std::path::Path;

use common::*;
use serde_json::json;

#[test]
fn export_import_export_is_the_same_bytes() {
    let (temporary, path) = with_journal();
    let (file, copy, again) = (temporary.path().join("x"), temporary.path().join("copy"), temporary.path().join("y"));
    let exported = onefold(&path, &["export", text(&file), "--json"]).done().object();
    assert_eq!((&exported["commits"], &exported["events"]), (&json!(COMMITS), &json!(EVENTS)));
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(exported["file_bytes"], json!(bytes.len()));
    // The digest is that of everything before the last frame, by another implementation's interface.
    let digest = blake3::hash(&bytes[..bytes.len() - 84]).to_string();
    assert_eq!(exported["blake3"], json!(digest));
    let imported = onefold(&copy, &["import", text(&file), "--json"]).done().object();
    assert_eq!(imported, exported);
    onefold(&copy, &["export", text(&again)]).done();
    assert!(std::fs::read(&again).unwrap() == bytes, "the same bytes");
    // Through pipes, into an empty directory that is there.
    let piped = temporary.path().join("piped");
    std::fs::create_dir(&piped).unwrap();
    let said = onefold_with(&piped, &["import", "-"], &onefold(&copy, &["export", "-"]).done().stdout).done();
    assert!(said.text().contains("351 commits with 352 events"), "{}", said.text());
    for arguments in [&["streams", "--json"][..], &["tail", "-n", "1000", "--json"]] {
        let original = onefold(&path, arguments).done().stdout;
        assert!(!original.is_empty() && onefold(&piped, arguments).done().stdout == original, "{arguments:?}");
    }
    for journal in [&copy, &piped] {
        let report = onefold(journal, &["verify", "--json"]).done().object();
        assert_eq!(report["checked"]["claims"], json!(CLAIMS));
        check_claims_and_key(journal);
    }
    // A journal like any other: what it claims already it goes on to hold, and the command with the key is a repeat.
    journal(&piped);
    onefold(&piped, &["verify"]).done();
    let stats = onefold(&piped, &["stats", "--json"]).done().object();
    assert_eq!(stats["commit"], json!(2 * COMMITS - 1));
    assert_eq!(stats["claims"]["entries"], json!(CLAIMS));
}

#[test]
fn an_empty_journal_can_be_moved_too() {
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (path, copy) = (temporary.path().join("empty"), temporary.path().join("copy"));
    drop(onefold::SledJournal::open(&path).unwrap());
    let export = onefold(&path, &["export", "-"]).done().stdout;
    assert_eq!(export.len(), 16 + 84);
    onefold_with(&copy, &["import", "-"], &export).done();
    onefold(&copy, &["verify"]).done();
    assert_eq!(onefold(&copy, &["streams"]).done().text(), "");
    assert_eq!(onefold(&copy, &["tail"]).done().text(), "");
    onefold(&path, &["backup", text(&temporary.path().join("backup"))]).done();
}

#[test]
fn a_damaged_export_is_refused_with_its_place_and_leaves_nothing() {
    let (temporary, path) = with_journal();
    let (file, copy) = (temporary.path().join("x"), temporary.path().join("copy"));
    onefold(&path, &["export", text(&file)]).done();
    let bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    // The frame of the first commit begins at 16.
    let first_frame = 12 + usize::try_from(u32::from_le_bytes(bytes[20..24].try_into().unwrap())).unwrap();
    let without_first = [&bytes[..16], &bytes[16 + first_frame..]].concat();
    let cases: [(Vec<u8>, String); 8] = [
        (flipped(3), "no export of a onefold journal".to_owned()),
        (flipped(20), "the frame at offset 16 is damaged".to_owned()),
        (flipped(60), "the frame at offset 16 is damaged: it does not match its checksum".to_owned()),
        (flipped(end - 1), format!("the frame at offset {} is damaged", end - 84)),
        (bytes[..end - 84].to_vec(), format!("cut off at offset {}: the last frame is missing", end - 84)),
        (bytes[..end / 2].to_vec(), format!("cut off at offset {}", end / 2)),
        ([&bytes[..], b"more"].concat(), format!("the frame at offset {end} is damaged: something follows")),
        (without_first, "the frame at offset 16 is damaged: commit 1 cannot be written".to_owned()),
    ];
    for (bytes, message) in cases {
        std::fs::write(&file, bytes).unwrap();
        let said = onefold(&copy, &["import", text(&file)]);
        assert_eq!((said.code, said.text()), (3, ""), "{message}: {}", said.stderr);
        assert!(said.stderr.contains(&message) && said.stderr.contains(text(&file)), "{message}: {}", said.stderr);
        assert!(!copy.exists(), "{message}: nothing is left");
    }
    std::fs::create_dir(&copy).unwrap();
    assert_eq!(onefold(&copy, &["import", text(&file)]).code, 3);
    assert_eq!(std::fs::read_dir(&copy).unwrap().count(), 0, "a directory that was empty is empty");
    std::fs::write(&file, [0; 40]).unwrap();
    assert_eq!(onefold(&copy, &["import", text(Path::new("/nowhere"))]).code, 1);
}

#[test]
fn nothing_is_overwritten() {
    let (temporary, path) = with_journal();
    let file = temporary.path().join("x");
    onefold(&path, &["export", text(&file)]).done();
    let bytes = std::fs::read(&file).unwrap();
    let said = onefold(&path, &["export", text(&file)]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("is there already"), "{}", said.stderr);
    let full = temporary.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("mine"), "keep me").unwrap();
    let said = onefold(&full, &["import", text(&file)]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("is not empty"), "{}", said.stderr);
    for journal in [&path, &full] {
        assert_eq!(onefold(journal, &["import", text(&file)]).code, 2);
    }
    let said = onefold(&path, &["backup", text(&full)]);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert_eq!(std::fs::read(full.join("mine")).unwrap(), b"keep me");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    onefold(&path, &["verify"]).done();
}

#[test]
fn a_backup_is_a_journal_with_the_same_commits() {
    let (temporary, path) = with_journal();
    let backup = temporary.path().join("backup");
    let made = onefold(&path, &["backup", text(&backup), "--json"]).done().object();
    let expected = json!({
        "backup": text(&backup), "commit": COMMITS, "position": EVENTS, "streams": 45,
        "record_bytes": made["record_bytes"],
    });
    assert_eq!(made, expected);
    onefold(&backup, &["verify"]).done();
    let export = onefold(&path, &["export", "-"]).done().stdout;
    assert!(onefold(&backup, &["export", "-"]).done().stdout == export);
    assert!(!temporary.path().join("backup.partial").exists());
    let stats = onefold(&backup, &["stats", "--json"]).done().object();
    assert_eq!(stats["claims"]["entries"], json!(CLAIMS));
    check_claims_and_key(&backup);
}
