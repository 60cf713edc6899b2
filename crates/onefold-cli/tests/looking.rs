//! `streams`, `show`, `tail`, `stats`, and how every command says no.

mod common;

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::*;
use serde_json::json;

#[test]
fn streams_are_listed_by_type_and_paged() {
    let (_temporary, path) = with_journal();
    let listed = onefold(&path, &["streams"]).done();
    let lines: Vec<_> = listed.text().lines().collect();
    assert_eq!(lines.len(), 41 + 4);
    assert!(lines[0].ends_with("  memo.v2/m00") && lines[41].ends_with("  note/large"), "{}", listed.text());
    let page = onefold(&path, &["streams", "memo.v2", "--after", "m01", "--limit", "2"]).done();
    let lines: Vec<_> = page.text().lines().map(str::trim).collect();
    assert_eq!(lines, ["1  memo.v2/m02", "1  memo.v2/m03", "… there are more: streams memo.v2 --after \"m03\""]);
    let objects = onefold(&path, &["streams", "note", "--json"]).done().objects();
    let expected = json!({"stream": "note/large", "type": "note", "id": "large", "version": 3});
    assert_eq!((objects.len(), &objects[0]), (4, &expected));
    assert_eq!(objects[1]["version"], 300);
}

#[test]
fn a_stream_is_shown_with_names_revisions_lengths_and_bytes() {
    let (_temporary, path) = with_journal();
    let shown = onefold(&path, &["show", "note/several"]).done();
    let lines: Vec<Vec<&str>> = shown.text().lines().map(|line| line.split_whitespace().collect()).collect();
    // bincode: length 3, "one", lines 1.
    assert_eq!((lines[0][0], &lines[0][2..]), ("1", &["note.written", "r1", "5", "bytes", "036f6e6501"][..]));
    assert_eq!(lines.len(), 2);
    // JSON is readable by anybody.
    let shown = onefold(&path, &["show", "note/readable", "--long"]).done();
    assert!(shown.text().contains(r#"r1  {"text":"with metadata","lines":1}"#), "{}", shown.text());
    assert!(shown.text().contains("who: ada") && shown.text().contains("why: a test"), "{}", shown.text());
    let objects = onefold(&path, &["show", "note/readable", "--json", "--after", "1"]).done().objects();
    let [event] = &objects[..] else { panic!("one event: {objects:?}") };
    let expected = [
        ("stream", json!("note/readable")),
        ("version", json!(2)),
        ("commit", json!(COMMITS - 1)),
        ("position", json!(EVENTS - 1)),
        ("event", json!("note.written")),
        ("revision", json!(1)),
        ("codec", json!("json")),
        ("payload_bytes", json!(34)),
        ("payload", json!({"text": "with metadata", "lines": 1})),
        ("metadata", json!({"who": "ada", "why": "a test"})),
    ];
    for (key, value) in expected {
        assert_eq!(event[key], value, "{key}");
    }
    assert_eq!(event["command"], event["correlation"]);
    let objects = onefold(&path, &["show", "note/large", "--json"]).done().objects();
    assert_eq!(objects[0]["payload_hex"].as_str().map(str::len), Some(2 * (5 + (1 << 20) - 16 + 1)));
    assert_eq!(objects[2]["payload"]["text"].as_str().map(str::len), Some(900_000));
    let objects = onefold(&path, &["show", "note/long", "--json", "--after", "254", "--limit", "4"]).done().objects();
    let versions: Vec<_> = objects.iter().map(|event| event["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [255, 256, 257, 258]);
}

#[test]
fn the_tail_is_the_last_commits() {
    let (_temporary, path) = with_journal();
    let objects = onefold(&path, &["tail", "-n", "3", "--json"]).done().objects();
    let commits: Vec<_> = objects.iter().map(|event| event["commit"].as_u64().unwrap()).collect();
    assert_eq!(commits, [COMMITS - 2, COMMITS - 1, COMMITS]);
    let shown = onefold(&path, &["tail", "-n", "2"]).done();
    assert!(shown.text().starts_with(&format!("commit {}  note/readable\n", COMMITS - 1)), "{}", shown.text());
    let all = onefold(&path, &["tail", "-n", "100000", "--json"]).done().objects();
    assert_eq!(all.len() as u64, EVENTS);
    assert!(all.iter().zip(1..).all(|(event, position)| event["position"] == json!(position)), "in order, all of them");
}

#[test]
fn stats_add_up() {
    let (_temporary, path) = with_journal();
    let stats = onefold(&path, &["stats", "--json"]).done().object();
    let bytes = |key: &str| stats[key]["bytes"].as_u64().unwrap_or_else(|| stats[key].as_u64().unwrap());
    assert_eq!((&stats["commit"], &stats["position"]), (&json!(COMMITS), &json!(EVENTS)));
    assert_eq!((&stats["heads"]["entries"], &stats["index"]["entries"]), (&json!(45), &json!(1)));
    assert_eq!(stats["claims"]["entries"], json!(CLAIMS));
    let inside = bytes("blocks") + bytes("heads") + bytes("index") + bytes("claims") + bytes("marks");
    assert_eq!(bytes("store_bytes"), inside + bytes("store_overhead_bytes"));
    assert_eq!(bytes("total_bytes"), bytes("store_bytes") + bytes("redo") + bytes("other_bytes"));
    assert!(bytes("blocks") > 1_900_000 && bytes("free_bytes") > 0);
    let table = onefold(&path, &["stats"]).done();
    for what in ["commits, in blocks", "redo log, segments", "sled: structure and room", "all files"] {
        assert!(table.text().contains(what), "{}", table.text());
    }
}

#[test]
fn every_no_has_its_exit_code_and_names_what_was_wrong() {
    let (temporary, path) = with_journal();
    let none = temporary.path().join("none");
    let rows: [(&std::path::Path, &[&str], i32, &str); 11] = [
        (&none, &["verify"], 5, "there is no journal in"),
        (&none, &["show", "note/a"], 5, "there is no journal in"),
        (&none, &["export", "x"], 5, "there is no journal in"),
        (&path, &["show", "note/nobody"], 5, "stream note/nobody has no events"),
        (&path, &["show", "note/several", "--after", "2"], 5, "has no events beyond version 2"),
        (&path, &["show", "nobody"], 2, "\"nobody\" has no '/'"),
        (&path, &["show", "Note/a"], 2, "an aggregate type is 1 to 64"),
        (&path, &["streams", "nothing"], 5, "there is no stream of type nothing; there is memo.v2, note"),
        (&path, &["streams", "note", "--after", ""], 2, "an aggregate id must not be empty"),
        (&path, &["streams", "--after", "x"], 2, "required"),
        (&path, &["look"], 2, "unrecognized subcommand 'look'"),
    ];
    for (journal, arguments, code, message) in rows {
        let said = onefold(journal, arguments);
        assert_eq!((said.code, said.text()), (code, ""), "{arguments:?}: {}", said.stderr);
        assert!(said.stderr.contains(message), "{arguments:?}: {}", said.stderr);
    }
    assert!(!none.exists(), "looking makes nothing");
    let said = onefold(&none, &["verify", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    assert_eq!((&error["error"], said.code), (&json!("not-found"), 5));
    let unnamed =
        std::process::Command::new(env!("CARGO_BIN_EXE_onefold")).arg("verify").env_remove("ONEFOLD_JOURNAL").output();
    assert_eq!(unnamed.unwrap().status.code(), Some(2));
    let named =
        std::process::Command::new(env!("CARGO_BIN_EXE_onefold")).arg("verify").env("ONEFOLD_JOURNAL", &path).output();
    assert_eq!(named.unwrap().status.code(), Some(0));
}

/// The other process is an import that waits for more: it holds the lock of its target.
#[test]
fn a_journal_in_use_is_refused_at_once_with_its_holder() {
    let (temporary, path) = with_journal();
    let export = onefold(&path, &["export", "-"]).done().stdout;
    let target = temporary.path().join("target");
    let mut holder = command(&target, &["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = holder.stdin.take().unwrap();
    stdin.write_all(&export[..100_000]).unwrap();
    stdin.flush().unwrap();
    let begun = Instant::now();
    while std::fs::read_to_string(target.join("lock")).unwrap_or_default().is_empty() || !target.join("db").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the import begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    let backup = temporary.path().join("backup");
    let commands: [&[&str]; 8] = [
        &["verify"],
        &["repair", "--accept-loss"],
        &["export", "x"],
        &["backup", text(&backup)],
        &["streams"],
        &["show", "note/long"],
        &["tail"],
        &["stats"],
    ];
    for arguments in commands {
        let begun = Instant::now();
        let said = onefold(&target, arguments);
        assert_eq!(said.code, 4, "{arguments:?}: {}", said.stderr);
        let holder = format!("(pid {})", holder.id());
        assert!(said.stderr.contains(&holder) && said.stderr.contains("\"onefold\""), "{}", said.stderr);
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not wait");
    }
    let said = onefold(&target, &["tail", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    assert_eq!((&error["error"], &error["holder"]), (&json!("locked"), &json!(holder.id())));
    stdin.write_all(&export[100_000..]).unwrap();
    drop(stdin);
    assert!(holder.wait().unwrap().success());
    assert_eq!(onefold(&target, &["export", "-"]).done().stdout, export);
}

#[test]
fn help_has_examples_and_exit_codes() {
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_onefold")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
    for command in ["verify", "repair", "export", "import", "backup", "streams", "show", "tail", "stats"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        let help =
            std::process::Command::new(env!("CARGO_BIN_EXE_onefold")).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("Examples:") && help.contains(&format!("onefold {command} ")), "{help}");
    }
}
