//! The `bank` command, as a process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// `bank` with these arguments, on the bank in `data`.
fn bank(data: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
    command.args(arguments.split(' ')).arg("--data").arg(data).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs it; what it said on stdout, on stderr, and its exit code.
fn run(data: &Path, arguments: &str) -> (String, String, Option<i32>) {
    let Output { stdout, stderr, status } = bank(data, arguments).output().expect("to run the bank");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(stdout), text(stderr), status.code())
}

/// Runs what must succeed without a word on stderr.
fn answer(data: &Path, arguments: &str) -> String {
    let (stdout, stderr, code) = run(data, arguments);
    assert_eq!((stderr.as_str(), code), ("", Some(0)), "{arguments}: {stdout}");
    stdout
}

#[test]
fn a_small_bank_is_run_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let data = &directory.path().join("bank");
    assert_eq!(answer(data, "open ada --owner Ada"), "ada is open, it belongs to Ada\n");
    assert_eq!(answer(data, "open bob --owner Bob"), "bob is open, it belongs to Bob\n");
    assert_eq!(answer(data, "deposit ada 100"), "ada holds 100.00 (version 2)\n");
    assert_eq!(answer(data, "withdraw ada 0.5"), "ada holds 99.50 (version 3)\n");
    assert_eq!(answer(data, "transfer ada bob 12.34"), "ada holds 87.16 (version 4)\nbob holds 12.34 (version 2)\n");
    assert_eq!(answer(data, "balance bob"), "bob holds 12.34 (version 2)\n");

    let listed = answer(data, "list");
    let words: Vec<_> = listed.split_whitespace().collect();
    assert_eq!(words, ["ada", "87.16", "Ada", "bob", "12.34", "Bob", "2", "accounts", "99.50"]);

    // Version, time, event, change, balance, correlation, note.
    let column = |account, column| -> Vec<String> {
        let history = answer(data, &format!("history {account}"));
        history.lines().map(|line| line.split_whitespace().nth(column).unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(column("ada", 2), ["opened", "deposited", "withdrawn", "withdrawn"]);
    assert_eq!(column("ada", 4)[1..], ["100.00", "99.50", "87.16"]);
    assert_eq!(column("ada", 5)[3], column("bob", 5)[1], "both sides of a transfer carry one correlation id");
    assert!(answer(data, "history bob").ends_with("  ada to bob\n"));
    assert_eq!(answer(data, "audit"), "5 commits, 1 of them transfers: 2 accounts hold 99.50, in order\n");
}

#[test]
fn a_refused_transfer_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    answer(data, "open ada --owner Ada");
    answer(data, "deposit ada 10");
    let (stdout, stderr, code) = run(data, "transfer ada nobody 4");
    let message = "bank: nothing was transferred: account nobody is not open\n";
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("", message, Some(3)));
    assert_eq!(answer(data, "balance ada"), "ada holds 10.00 (version 2)\n");
}

#[test]
fn the_exit_code_says_what_kind_of_no() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    answer(data, "open ada --owner Ada");
    let rows = [
        ("withdraw ada 0.01", 3, "bank: account ada holds 0.00, which does not cover 0.01\n"),
        ("deposit ada 0", 3, "bank: the amount must be more than zero\n"),
        ("open ada --owner Bob", 3, "bank: account ada is already open, it belongs to Ada\n"),
        ("balance nobody", 3, "bank: account nobody is not open\n"),
        ("history nobody", 3, "bank: account nobody is not open\n"),
        ("transfer ada ada 1", 3, "bank: a transfer needs two different accounts\n"),
        ("deposit ada 1.234", 2, "error: invalid value '1.234' for '<AMOUNT>': \"1.234\" has fractions of a cent"),
        ("deposit ada -1", 2, "error: invalid value '-1' for '<AMOUNT>': \"-1\" is negative"),
        ("book ada +1 -2", 3, "bank: nothing was booked, because of entry 2, -2.00: account ada holds 1.00, which"),
        (
            "book ada +1 --if-version 2",
            3,
            "bank: nothing was booked: account/ada is at version 1, the command expected version 2",
        ),
        ("book ada 1", 2, "error: invalid value '1' for '<ENTRY>...': \"1\" has no sign"),
        ("book ada +1 -1.234", 2, "error: invalid value '-1.234' for '<ENTRY>...': \"1.234\" has fractions of a cent"),
        ("book ada +x", 2, "error: invalid value '+x' for '<ENTRY>...': \"x\" is not an amount"),
        ("book ada", 2, "error: the following required arguments were not provided"),
        ("book ada +1 --if-version soon", 2, "error: invalid value 'soon' for '--if-version"),
        ("deposit ada", 2, "error: the following required arguments were not provided"),
        ("rob ada", 2, "error: unrecognized subcommand 'rob'"),
        ("serve --listen nowhere", 2, "error: invalid value 'nowhere' for '--listen"),
    ];
    for (arguments, code, message) in rows {
        let (stdout, stderr, exit) = run(data, arguments);
        assert_eq!((stdout.as_str(), exit), ("", Some(code)), "{arguments}: {stderr}");
        assert!(stderr.starts_with(message), "{arguments}: {stderr}");
    }
    let (_, stderr, exit) = run(data, &format!("balance {}", "x".repeat(256)));
    assert_eq!(exit, Some(2), "{stderr}");
    let (_, stderr, exit) = run(&data.join("elsewhere"), "balance ada");
    assert_eq!(exit, Some(1));
    assert!(stderr.starts_with("bank: there is no bank in"), "{stderr}");
}

#[test]
fn a_booking_lands_as_a_whole_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = &directory.path().join("bank");
    answer(data, "open ada --owner Ada");
    let booked = "ada holds 100.00 (version 2)\nada holds 60.00 (version 3)\nada holds 59.50 (version 4)\n";
    let book = "book ada +100 -40 -0.5 --if-version 1 --key payday";
    assert_eq!(answer(data, book), booked);
    assert_eq!(answer(data, book), booked, "sent again, in another process");
    let (stdout, stderr, code) = run(data, "book ada +1 --if-version 1");
    assert_eq!((stdout.as_str(), code), ("", Some(3)));
    assert!(stderr.contains("is at version 4, the command expected version 1"), "{stderr}");
    let (_, stderr, code) = run(data, "book ada +1 --key payday");
    assert_eq!(code, Some(3), "{stderr}");
    let (_, stderr, code) = run(data, &format!("book ada +1 --key {}", "x".repeat(256)));
    assert_eq!(code, Some(2), "{stderr}");
    assert_eq!(answer(data, "audit"), "2 commits, 0 of them transfers: 1 accounts hold 59.50, in order\n");
}

#[test]
fn a_bonus_reaches_everybody_who_can_have_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = &directory.path().join("bank");
    answer(data, "open ada --owner Ada");
    answer(data, "open bob --owner Bob");
    for _ in 0..2 {
        let (stdout, stderr, code) = run(data, "bonus may ada eve bob --amount 5");
        let paid = "ada holds 5.00 (version 2)\neve: account eve is not open\nbob holds 5.00 (version 2)\n";
        assert_eq!((stdout.as_str(), code), (paid, Some(3)));
        assert_eq!(stderr, "bank: 1 of 3 were not paid: account eve is not open\n");
    }
    assert_eq!(answer(data, "bonus june ada --amount 1"), "ada holds 6.00 (version 3)\n");
}

#[test]
fn help_says_what_a_crash_does_to_a_transfer() {
    let (help, ..) = run(Path::new("unused"), "transfer --help");
    for phrase in ["land in one commit", "a crash leaves nothing half done"] {
        assert!(help.contains(phrase), "{help}");
    }
    let (help, ..) = run(Path::new("unused"), "--help");
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
}

#[test]
fn a_served_bank_is_locked_and_closes_on_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    answer(data, "open ada --owner Ada");
    let mut server = bank(data, "serve --listen 127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let address =
        line.strip_prefix("listening on http://").and_then(|rest| rest.split(',').next()).expect("an address");

    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(b"GET /accounts/ada HTTP/1.0\r\n\r\n").unwrap();
    let mut reply = String::new();
    connection.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.0 200") && reply.contains(r#""balance":"0.00""#), "{reply}");

    let (_, stderr, code) = run(data, "balance ada");
    assert_eq!(code, Some(1), "one process per journal: {stderr}");
    assert!(stderr.contains("open in another process"), "{stderr}");

    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), server.wait().unwrap().code()), ("closed cleanly\n", Some(0)));
    assert_eq!(answer(data, "balance ada"), "ada holds 0.00 (version 1)\n");
}

#[test]
fn owners_with_too_many_accounts_are_found_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = &directory.path().join("bank");
    for account in ["one", "two", "three"] {
        answer(data, &format!("open {account} --owner Bob"));
    }
    let found = "three is account number 3 of Bob: a review is requested\n3 new events, 1 reviews requested\n";
    assert_eq!(answer(data, "check-owners --accounts-max 2"), found);
    assert!(directory.path().join("bank-owners.json").exists());
    assert_eq!(answer(data, "check-owners --accounts-max 2"), "1 new events, 0 reviews requested\n");
    assert!(answer(data, "journal show review/three").contains("three is account number 3 of Bob"));
    let elsewhere = format!("check-owners --progress {}", directory.path().join("other.json").display());
    assert_eq!(answer(data, &elsewhere), "4 new events, 0 reviews requested\n");
}

#[test]
fn the_journal_is_looked_at_with_the_accounts_own_events() {
    let directory = tempfile::tempdir().unwrap();
    let data = &directory.path().join("bank");
    answer(data, "open ada --owner Ada");
    answer(data, "deposit ada 12.34");
    let shown = answer(data, "journal show account/ada");
    assert!(shown.contains(r#"account.opened               r1  {"owner":"Ada"}"#), "{shown}");
    assert!(shown.lines().nth(1).is_some_and(|line| line.ends_with(r#"{"amount":"12.34"}"#)), "{shown}");
    assert!(answer(data, "journal verify").contains("is sound"));
    let (help, ..) = run(Path::new("unused"), "journal --help");
    assert!(help.contains("bank journal verify --data bank-data"), "{help}");
    let (_, stderr, code) = run(&directory.path().join("elsewhere"), "journal verify");
    assert!(stderr.starts_with("bank journal: there is no journal in"), "{stderr}");
    assert_eq!(code, Some(5));
}
