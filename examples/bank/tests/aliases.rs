//! Payment aliases, over HTTP and from the command line: one holder's each.

mod support;

use std::process::{Command, Stdio};

use serde_json::json;
use support::server::{Reply, Server};

fn register(server: &Server, id: &str) {
    assert_eq!(server.post(&format!("/holders/{id}"), r#"{"name": "N", "address": "A"}"#).status, 201);
}

fn choose(server: &Server, id: &str, alias: &str) -> Reply {
    let body = json!({ "alias": alias }).to_string();
    server.send("PUT", &format!("/holders/{id}/alias"), &["if-match: *"], &body)
}

#[test]
fn alias_is_one_holders_and_is_looked_up() {
    let server = Server::start();
    register(&server, "ada");
    register(&server, "bob");
    let chosen = choose(&server, "ada", "Countess");
    let shown = json!({"id": "ada", "name": "N", "address": "A", "alias": "Countess", "version": 2});
    assert_eq!((chosen.status, chosen.etag.as_deref(), chosen.body), (200, Some("\"2\""), shown));
    let refused = choose(&server, "bob", "COUNTESS");
    assert_eq!((refused.status, &refused.body["error"]), (422, &json!("Rejected")), "{refused:?}");
    let found = server.get("/aliases/countess");
    assert_eq!((found.status, found.body), (200, json!({"alias": "countess", "holder": "ada"})));

    assert_eq!(choose(&server, "ada", "Enchantress").status, 200);
    assert_eq!(server.get("/aliases/countess").status, 404, "the old one is free");
    assert_eq!(choose(&server, "bob", "countess").status, 200);

    let without = server.send("PUT", "/holders/ada/alias", &[], r#"{"alias": "x"}"#);
    assert_eq!((without.status, &without.body["error"]), (428, &json!("PreconditionRequired")));
    let long = choose(&server, "ada", &"x".repeat(256));
    assert_eq!((long.status, &long.body["error"]), (400, &json!("InvalidClaim")), "{long:?}");
    let long = server.get(&format!("/aliases/{}", "x".repeat(256)));
    assert_eq!((long.status, &long.body["error"]), (400, &json!("InvalidClaim")), "{long:?}");

    let server = Server::start_in(server.stop());
    assert_eq!(server.get("/aliases/enchantress").body["holder"], "ada", "it is there after a restart");
    server.stop();
}

#[test]
fn two_who_choose_one_alias_at_the_same_moment_leave_one_winner() {
    let server = Server::start();
    register(&server, "ada");
    register(&server, "bob");
    for round in 0..10 {
        let alias = &format!("alias-{round}");
        let choose = |id| choose(&server, id, alias).status;
        let mut statuses = std::thread::scope(|scope| {
            let both = [scope.spawn(|| choose("ada")), scope.spawn(|| choose("bob"))];
            both.map(|one| one.join().expect("a client"))
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422]);
    }
    server.stop();
}

#[test]
fn aliases_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut bank = Command::new(env!("CARGO_BIN_EXE_bank"));
        bank.args(arguments).arg("--data").arg(directory.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        let output = bank.output().expect("to run the bank");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(output.stdout) + &text(output.stderr), output.status.code())
    };
    let rows: [(&[&str], &str, i32); 8] = [
        (&["register", "ada", "--name", "Ada", "--address", "London"], "ada is Ada, of London\n", 0),
        (&["register", "bob", "--name", "Bob", "--address", "Paris"], "bob is Bob, of Paris\n", 0),
        (&["alias", "ada", "Countess"], "ada has the alias Countess\n", 0),
        (&["who-is", "countess"], "countess is ada\n", 0),
        (&["who-is", "enchantress"], "enchantress is nobody's alias\n", 0),
        (&["alias", "bob", "countess"], "bank: holder bob cannot have the alias countess: somebody else has it\n", 3),
        (&["alias", "eve", "countess"], "bank: holder eve is not registered\n", 3),
        (&["alias", "bob", " "], "bank: holder bob needs an alias\n", 3),
    ];
    for (arguments, told, code) in rows {
        assert_eq!(run(arguments), (told.to_owned(), Some(code)), "{arguments:?}");
    }
    let (told, code) = run(&["alias", "bob", &"x".repeat(256)]);
    assert_eq!(code, Some(2), "{told}");
}
