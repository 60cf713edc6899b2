//! Conditional requests: versions as entity tags, over a real socket.

mod support;

use serde_json::json;
use support::server::{Reply, Server};

const OPEN: &str = r#"{"owner": "Ada"}"#;
const ONE: &str = r#"{"amount": "1.00"}"#;
const REGISTER: &str = r#"{"name": "Ada", "address": "London"}"#;

/// Status, entity tag, and what the body says about the version.
fn seen(reply: &Reply) -> (u16, Option<&str>, Option<u64>) {
    (reply.status, reply.etag.as_deref(), reply.body["version"].as_u64())
}

#[test]
fn whatever_tells_a_version_has_it_as_its_tag() {
    let server = Server::start();
    assert_eq!(seen(&server.post("/accounts/ada", OPEN)), (201, Some("\"1\""), Some(1)));
    assert_eq!(seen(&server.post("/accounts/ada/deposit", ONE)), (200, Some("\"2\""), Some(2)));
    assert_eq!(seen(&server.post("/accounts/ada/withdraw", ONE)), (200, Some("\"3\""), Some(3)));
    assert_eq!(seen(&server.get("/accounts/ada")), (200, Some("\"3\""), Some(3)));
    assert_eq!(seen(&server.post("/holders/ada", REGISTER)), (201, Some("\"1\""), Some(1)));
    assert_eq!(seen(&server.get("/holders/ada")), (200, Some("\"1\""), Some(1)));
    // What is no success of this version has no tag.
    assert_eq!(seen(&server.get("/accounts/nobody")), (404, None, None));
    assert_eq!(seen(&server.get("/holders/nobody")), (404, None, None));
    assert_eq!(seen(&server.post("/accounts/ada/withdraw", r#"{"amount": "100.00"}"#)), (422, None, None));
    server.stop();
}

#[test]
fn commands_are_decided_only_at_the_version_that_was_seen() {
    let server = Server::start();
    let deposit = |header| server.send("POST", "/accounts/ada/deposit", &[header], ONE);
    assert_eq!(seen(&deposit("if-match: *")), (412, Some("\"0\""), Some(0)), "there is no such account yet");
    let open = |header| server.send("POST", "/accounts/ada", &[header], OPEN);
    assert_eq!(seen(&open("if-match: \"1\"")), (412, Some("\"0\""), Some(0)));
    assert_eq!(seen(&open("if-none-match: *")), (201, Some("\"1\""), Some(1)));
    let again = open("if-none-match: *");
    assert_eq!(seen(&again), (412, Some("\"1\""), Some(1)));
    assert_eq!((&again.body["error"], &again.body["retry_safe"]), (&json!("Conflict"), &json!(false)));

    assert_eq!(seen(&deposit("if-match: \"1\"")), (200, Some("\"2\""), Some(2)));
    for stale in ["if-match: \"1\"", "if-match: \"3\"", "if-match: \"0\""] {
        assert_eq!(seen(&deposit(stale)), (412, Some("\"2\""), Some(2)), "{stale}");
    }
    assert_eq!(seen(&deposit("if-match: *")), (200, Some("\"3\""), Some(3)));
    for wrong in
        ["if-match: 3", "if-match: W/\"3\"", "if-match: \"3\", \"4\"", "if-match: \"x\"", "if-none-match: \"3\""]
    {
        let refused = deposit(wrong);
        assert_eq!((seen(&refused), &refused.body["error"]), ((400, None, None), &json!("BadRequest")), "{wrong}");
    }
    let account = server.get("/accounts/ada");
    assert_eq!((account.body["balance"].as_str(), account.body["version"].as_u64()), (Some("2.00"), Some(3)));
    server.stop();
}

#[test]
fn what_a_reader_has_already_is_not_sent_again() {
    let server = Server::start();
    server.post("/accounts/ada", OPEN);
    server.post("/holders/ada", REGISTER);
    for path in ["/accounts/ada", "/holders/ada"] {
        let known = server.send("GET", path, &["if-none-match: \"1\""], "");
        assert_eq!((seen(&known), &known.body), ((304, Some("\"1\""), None), &json!(null)), "{path}");
        assert_eq!(server.send("GET", path, &["if-none-match: \"0\""], "").status, 200, "{path}");
        assert_eq!(server.send("GET", path, &["if-none-match: 1"], "").status, 400, "{path}");
        let conditional = server.send("GET", path, &["if-match: \"7\""], "");
        assert_eq!(seen(&conditional), (412, Some("\"1\""), Some(1)), "{path}");
        assert_eq!(server.send("GET", path, &["if-match: \"1\""], "").status, 200, "{path}");
    }
    server.stop();
}

#[test]
fn edits_of_a_holder_demand_the_version_that_they_were_made_on() {
    let server = Server::start();
    let edit = |what: &str, headers: &[&str], to: &str| {
        let body = json!({ what: to }).to_string();
        server.send("PUT", &format!("/holders/ada/{what}"), headers, &body)
    };
    assert_eq!(seen(&edit("name", &["if-match: *"], "Ada King")), (412, Some("\"0\""), Some(0)));
    assert_eq!(seen(&edit("name", &[], "Ada King")), (428, Some("\"0\""), Some(0)));
    server.post("/holders/ada", REGISTER);
    for what in ["name", "address", "alias"] {
        let refused = edit(what, &[], "anything");
        let told = (seen(&refused), &refused.body["error"]);
        assert_eq!(told, ((428, Some("\"1\""), Some(1)), &json!("PreconditionRequired")), "{what}");
    }
    let named = edit("name", &["if-match: \"1\""], "Ada King");
    assert_eq!((seen(&named), &named.body["name"]), ((200, Some("\"2\""), Some(2)), &json!("Ada King")));
    let stale = edit("name", &["if-match: \"1\""], "Countess of Lovelace");
    assert_eq!(seen(&stale), (412, Some("\"2\""), Some(2)));
    let overwritten = edit("name", &["if-match: *"], "Countess of Lovelace");
    assert_eq!(seen(&overwritten), (200, Some("\"3\""), Some(3)));
    let moved = edit("address", &["if-match: \"3\""], "Surrey");
    assert_eq!(seen(&moved), (200, Some("\"4\""), Some(4)));
    assert_eq!(seen(&edit("name", &[], "anything")), (428, Some("\"4\""), Some(4)), "where it is by now");
    let same = edit("address", &["if-match: \"4\""], "Surrey");
    assert_eq!(seen(&same), (200, Some("\"4\""), Some(4)), "nothing changed");
    let shown = server.get("/holders/ada").body;
    assert_eq!(shown, json!({"id": "ada", "name": "Countess of Lovelace", "address": "Surrey", "version": 4}));
    server.stop();
}

#[test]
fn edits_of_different_things_merge_and_of_the_same_conflict() {
    let server = Server::start();
    server.post("/holders/ada", REGISTER);
    let edit = |what: &str, tag: &str, to: &str| {
        let body = json!({ what: to }).to_string();
        server.send("PUT", &format!("/holders/ada/{what}"), &[&format!("if-match: {tag}")], &body)
    };
    assert_eq!(seen(&edit("name", "\"1\"", "Ada King")), (200, Some("\"2\""), Some(2)));
    let merged = edit("address", "\"1\"", "Surrey");
    assert_eq!(seen(&merged), (200, Some("\"3\""), Some(3)), "the clerk had not seen the new name");
    assert_eq!((&merged.body["name"], &merged.body["address"]), (&json!("Ada King"), &json!("Surrey")));
    assert_eq!(seen(&edit("address", "\"1\"", "Paris")), (412, Some("\"3\""), Some(3)));
    assert_eq!(seen(&edit("name", "\"1\"", "Ada Byron")), (412, Some("\"3\""), Some(3)));
    assert_eq!(seen(&edit("name", "\"9\"", "Ada Byron")), (412, Some("\"3\""), Some(3)), "from the future");
    server.stop();
}

#[test]
fn of_two_clerks_with_the_same_form_one_wins() {
    let server = Server::start();
    server.post("/holders/ada", REGISTER);
    for round in 1..=10 {
        let tag = format!("if-match: \"{round}\"");
        let edit = |name: String| {
            let body = json!({ "name": name }).to_string();
            server.send("PUT", "/holders/ada/name", &[&tag], &body).status
        };
        let mut statuses = std::thread::scope(|scope| {
            let edit = &edit;
            let both = ["Ada", "Bob"].map(|clerk| scope.spawn(move || edit(format!("{clerk} {round}"))));
            both.map(|one| one.join().expect("a clerk"))
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "round {round}");
    }
    server.stop();
}

/// A client that does not know whether its deposit arrived sends it again, under the same key.
#[test]
fn deposit_sent_again_under_its_key_arrives_once() {
    let server = Server::start();
    server.post("/accounts/ada", OPEN);
    let deposit = |headers: &[&str]| server.send("POST", "/accounts/ada/deposit", headers, ONE);
    for _ in 0..3 {
        assert_eq!(seen(&deposit(&["idempotency-key: order-1"])), (200, Some("\"2\""), Some(2)));
    }
    // What it was made on is checked when it happens, not when it is sent again.
    let second = ["idempotency-key: order-2", "if-match: \"2\""];
    for _ in 0..2 {
        assert_eq!(seen(&deposit(&second)), (200, Some("\"3\""), Some(3)));
    }
    let reused = server.send("POST", "/accounts/ada/withdraw", &["idempotency-key: order-1"], ONE);
    assert_eq!((reused.status, &reused.body["error"]), (422, &json!("KeyReused")));
    let long = format!("idempotency-key: {}", "x".repeat(256));
    assert_eq!(deposit(&[&long]).status, 400);
    assert_eq!(server.get("/accounts/ada").body["balance"].as_str(), Some("2.00"));
    server.stop();
}
