//! The JSON API, over a real socket.

mod support;

use serde_json::json;
use support::server::Server;

#[test]
fn an_account_lives_over_http() {
    let server = Server::start();

    let opened = server.post("/accounts/ada", r#"{"owner": "Ada Lovelace"}"#);
    assert_eq!((opened.status, opened.body), (201, json!({"id": "ada", "balance": "0.00", "version": 1})));
    let deposited = server.post("/accounts/ada/deposit", r#"{"amount": "12.34"}"#);
    assert_eq!((deposited.status, deposited.body), (200, json!({"id": "ada", "balance": "12.34", "version": 2})));
    let withdrawn = server.post("/accounts/ada/withdraw", r#"{"amount": "2"}"#);
    assert_eq!((withdrawn.status, withdrawn.body), (200, json!({"id": "ada", "balance": "10.34", "version": 3})));

    let shown = server.get("/accounts/ada");
    let statement = json!({"id": "ada", "owner": "Ada Lovelace", "balance": "10.34", "version": 3});
    assert_eq!((shown.status, shown.etag.as_deref(), shown.body), (200, Some("\"3\""), statement));

    let history = server.get("/accounts/ada/history");
    let said = |event: &serde_json::Value| (event["version"].as_u64(), event["event"].clone(), event["amount"].clone());
    let events: Vec<_> = history.body.as_array().expect("a list").iter().map(said).collect();
    assert_eq!(
        events,
        [
            (Some(1), json!("opened"), json!(null)),
            (Some(2), json!("deposited"), json!("12.34")),
            (Some(3), json!("withdrawn"), json!("2.00")),
        ]
    );
    let page = server.get("/accounts/ada/history?after=1&limit=1").body;
    assert_eq!((page.as_array().map(Vec::len), &page[0]["version"]), (Some(1), &json!(2)));
    assert_eq!(server.get("/health").status, 200);
    server.stop();
}

#[test]
fn every_problem_has_its_status_and_says_whether_to_retry() {
    let server = Server::start();
    assert_eq!(server.post("/accounts/ada", r#"{"owner": "Ada"}"#).status, 201);
    let long_id = format!("/accounts/{}", "x".repeat(256));
    let long_owner = json!({"owner": "x".repeat(1_100_000)}).to_string();
    let (ada, nobody, if_match) = ("/accounts/ada/deposit", "/accounts/nobody/deposit", ["if-match: \"7\""]);

    // Path, headers, body; status, error, retry safe.
    type Row<'a> = (&'a str, &'a [&'a str], &'a str, u16, &'a str, bool);
    let rows: [Row<'_>; 16] = [
        (&long_id, &[], r#"{"owner": "X"}"#, 400, "InvalidId", false),
        ("/accounts/a%0Ab", &[], r#"{"owner": "X"}"#, 400, "InvalidId", false),
        ("/accounts/wordy", &[], &long_owner, 413, "TooLarge", false),
        ("/accounts/ada", &[], r#"{"owner": "Bob"}"#, 422, "Rejected", false),
        (nobody, &[], r#"{"amount": "1.00"}"#, 422, "Rejected", false),
        (ada, &[], r#"{"amount": "0.00"}"#, 422, "Rejected", false),
        ("/accounts/ada/withdraw", &[], r#"{"amount": "1.00"}"#, 422, "Rejected", false),
        (ada, &if_match, r#"{"amount": "1.00"}"#, 412, "Conflict", false),
        (ada, &["x-deadline-ms: never"], r#"{"amount": "1.00"}"#, 400, "BadRequest", false),
        (ada, &["if-match: soon"], r#"{"amount": "1.00"}"#, 400, "BadRequest", false),
        (ada, &[], r#"{"amount": 1.00}"#, 400, "BadRequest", false),
        (ada, &[], r#"{"amount": "-1.00"}"#, 400, "BadRequest", false),
        (ada, &[], r#"{"amount": "1.005"}"#, 400, "BadRequest", false),
        (ada, &[], r#"{"money": "1.00"}"#, 400, "BadRequest", false),
        (ada, &[], "{", 400, "BadRequest", false),
        ("/elsewhere", &[], "{}", 404, "NotFound", false),
    ];
    for (path, headers, body, status, error, retry_safe) in rows {
        let reply = server.send("POST", path, headers, body);
        let shown = format!("{} {headers:?} {:.60}: {reply:?}", &path[..path.len().min(60)], body);
        assert_eq!(reply.status, status, "{shown}");
        assert_eq!((&reply.body["error"], &reply.body["retry_safe"]), (&json!(error), &json!(retry_safe)), "{shown}");
        assert!(reply.body["message"].as_str().is_some_and(|message| !message.is_empty()), "{shown}");
    }
    let patient = server.send("GET", "/accounts/ada", &[&format!("x-deadline-ms: {}", u64::MAX)], "");
    assert_eq!(patient.status, 200, "a deadline beyond all bounds is cut to the bound");
    for path in ["/accounts/nobody", "/accounts/nobody/history"] {
        let reply = server.get(path);
        assert_eq!((reply.status, &reply.body["error"]), (404, &json!("NotFound")), "{path}");
    }
    assert_eq!(server.get("/accounts/ada").body["version"], 1, "nothing of all that was stored");
    server.stop();
}

#[test]
fn two_withdrawals_at_the_same_moment_leave_one_winner() {
    let server = Server::start();
    server.post("/accounts/ada", r#"{"owner": "Ada"}"#);
    for _ in 0..10 {
        server.post("/accounts/ada/deposit", r#"{"amount": "100.00"}"#);
        let withdraw = || server.post("/accounts/ada/withdraw", r#"{"amount": "100.00"}"#).status;
        let mut statuses = std::thread::scope(|scope| {
            let both = [scope.spawn(withdraw), scope.spawn(withdraw)];
            both.map(|one| one.join().expect("a client"))
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422]);
    }
    server.stop();
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let server = Server::start();
    server.post("/accounts/ada", r#"{"owner": "Ada"}"#);
    server.post("/accounts/ada/deposit", r#"{"amount": "5.00"}"#);
    let idle = server.connect();
    let data = server.stop();
    drop(idle);
    let server = Server::start_in(data);
    assert_eq!(server.get("/accounts/ada").body["balance"], "5.00");
    server.stop();
}

#[test]
fn a_backup_of_a_served_bank_is_a_bank() {
    let server = Server::start();
    server.post("/accounts/ada", r#"{"owner": "Ada"}"#);
    server.post("/accounts/ada/deposit", r#"{"amount": "5.00"}"#);
    let made = server.post("/backups/monday", "");
    assert_eq!((made.status, &made.body["commit"], &made.body["streams"]), (201, &json!(2), &json!(1)), "{made:?}");
    server.post("/accounts/ada/deposit", r#"{"amount": "6.00"}"#);
    for (name, status, error) in [("monday", 409, "Exists"), ("..", 400, "BadRequest"), ("a.b", 400, "BadRequest")] {
        let refused = server.post(&format!("/backups/{name}"), "");
        assert_eq!((refused.status, &refused.body["error"]), (status, &json!(error)), "{name}");
    }
    let data = server.stop();
    let backup = data.path().join("bank-backups/monday");
    assert_eq!(made.body["path"], json!(backup.canonicalize().expect("the backup")));
    std::fs::remove_dir_all(data.path().join("bank")).expect("to lose the bank");
    std::fs::rename(backup, data.path().join("bank")).expect("to put the backup in its place");
    let server = Server::start_in(data);
    assert_eq!(server.get("/accounts/ada").body["balance"], "5.00");
    server.stop();
}
