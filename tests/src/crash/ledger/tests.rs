//! Sound histories pass; whatever is not sound is named.

mod together;

use super::*;
use crate::crash::chronicle::Chronicle;
use crate::crash::transcript;

/// Two commands to `a` and one to `b`; 3 was in flight.
const SAID: &str = "opening\nopened 5\nattempt 1 a 2\nattempt 2 b 1\nstored 1 2\nattempt 3 a 1\nstored 2 1\n\
                    attempt 4 b 1\nrefused 4 too late\n";
const ONE: &str = "commit 1 1 a 1 1 2\n";
const TWO: &str = "commit 2 3 b 1 2 1\n";
const THREE: &str = "commit 3 4 a 3 3 1\n";

fn lines(text: &str) -> Vec<Line> {
    transcript::parse(text).unwrap()
}

fn said() -> Ledger {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.load(&lines(SAID)), []);
    ledger
}

/// What one reading makes of it, by kind.
fn kinds(ledger: &mut Ledger, read: &[&str]) -> Vec<FindingKind> {
    ledger.read(&lines(&read.concat())).into_iter().map(|finding| finding.kind).collect()
}

#[test]
fn what_was_in_flight_may_be_there_or_not() {
    assert_eq!(kinds(&mut said(), &[ONE, TWO, "done\n"]), []);
    let mut ledger = said();
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, THREE, "done\n"]), []);
    let Tally { attempted, acknowledged, refused, commits, events, unanswered, .. } = ledger.tally();
    assert_eq!([attempted, acknowledged, refused, commits, events, unanswered], [4, 2, 1, 3, 4, 1]);
}

#[test]
fn everything_that_cannot_be_is_named() {
    use FindingKind::*;
    let cases: [(&[&str], &[FindingKind]); 11] = [
        (&[ONE, "done\n"], &[Lost]),
        (&[ONE, TWO, "commit 3 4 a 3 1 2\n", "done\n"], &[Doubled, Wrong]),
        (&[ONE, TWO, "commit 4 4 a 3 3 1\n", "done\n"], &[Gapped]),
        (&[ONE, TWO, "commit 3 5 a 3 3 1\n", "done\n"], &[Gapped]),
        (&[ONE, TWO, "commit 3 4 a 4 3 1\n", "done\n"], &[Gapped]),
        (&[ONE, TWO, "commit 3 4 a 3 3 2\n", "done\n"], &[Torn]),
        (&[ONE, TWO, "commit 3 4 b 2 4 1\n", "done\n"], &[StoredThough]),
        (&[ONE, TWO, "commit 3 4 b 2 9 1\n", "done\n"], &[Wrong]),
        (&[ONE, TWO, "wrong torn one\nwrong content two\nwrong differs three\n", "done\n"], &[Torn, Wrong, Wrong]),
        (&["failed the journal is damaged\n"], &[NotOpened]),
        (&["panicked at 5\n"], &[Panicked]),
    ];
    for (read, expected) in cases {
        assert_eq!(kinds(&mut said(), read), expected, "{read:?}");
    }
}

#[test]
fn what_a_reading_showed_stays() {
    let mut ledger = said();
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, THREE]), [], "the reader was killed before its end");
    assert_eq!(kinds(&mut ledger.clone(), &[ONE, TWO, THREE, "done\n"]), []);
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, "done\n"]), [FindingKind::Vanished]);
}

#[test]
fn what_a_reading_did_not_show_never_appears() {
    let mut ledger = said();
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, "done\n"]), []);
    assert_eq!(kinds(&mut ledger, &[ONE, TWO, THREE, "done\n"]), [FindingKind::Resurrected]);
}

#[test]
fn what_a_read_showed_under_load_stays() {
    let digest =
        [(1, 0), (1, 1)].iter().fold(0, |digest, (number, place)| Chronicle::digest_after(digest, *number, *place));
    for (shown, expected) in [
        (format!("shown a 2 {digest}\n"), None),
        (format!("shown a 2 {}\n", digest ^ 1), Some(FindingKind::Vanished)),
        (format!("shown a 4 {digest}\n"), Some(FindingKind::Vanished)),
        ("shown c 0 0\n".to_owned(), None),
    ] {
        let mut ledger = said();
        ledger.load(&lines(&shown));
        assert_eq!(kinds(&mut ledger, &[ONE, TWO, "done\n"]), Vec::from_iter(expected), "{shown}");
    }
}

/// Three commands to `a` with keys: 1 was acknowledged, 2 is open, 3 was refused.
const KEYED: &str = "attempt 1 a 1 key\nstored 1 1\nattempt 2 a 1 key\nattempt 3 a 1 key\nrefused 3 too late\n";
const ONE_KEYED: &str = "commit 1 1 a 1 1 1 key\n";
const TWO_KEYED: &str = "commit 2 2 a 2 2 1 key\n";

fn keyed() -> Ledger {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.load(&lines(KEYED)), []);
    ledger
}

fn found(findings: Vec<Finding>) -> Vec<FindingKind> {
    findings.into_iter().map(|finding| finding.kind).collect()
}

#[test]
fn what_is_open_is_sent_again_and_what_is_known_after_a_reading() {
    let numbers =
        |ledger: &Ledger| -> Vec<String> { ledger.to_be_repeated().iter().map(|line| line.to_string()).collect() };
    let mut ledger = keyed();
    assert_eq!(numbers(&ledger), ["attempt 2 a 1 key", "attempt 3 a 1 key"], "1 may be lost, and would come back");
    assert_eq!(kinds(&mut ledger, &[ONE_KEYED, "done\n"]), []);
    assert_eq!(numbers(&ledger), ["attempt 1 a 1 key", "attempt 2 a 1 key", "attempt 3 a 1 key"]);
    assert_eq!(said().to_be_repeated(), [], "without a key nothing is");
}

#[test]
fn repeat_is_answered_as_the_first_one_was() {
    let mut ledger = keyed();
    assert_eq!(ledger.load(&lines("again 1\nstored 1 1\nagain 2\nstored 2 2\nagain 2\nstored 2 2\n")), []);
    assert_eq!(kinds(&mut ledger, &[ONE_KEYED, TWO_KEYED, "done\n"]), []);
    let Tally { keyed: with_a_key, repeated, repeated_later, .. } = ledger.tally();
    assert_eq!([with_a_key, repeated, repeated_later], [3, 3, 3]);
    assert_eq!(found(keyed().load(&lines("again 1\nstored 1 2\n"))), [FindingKind::Repeated]);
    let reused = "again 1\nwrong repeat command 1: its key belongs to another\n";
    assert_eq!(found(keyed().load(&lines(reused))), [FindingKind::Repeated]);
}

#[test]
fn second_effect_of_a_key_is_found() {
    let mut ledger = keyed();
    ledger.load(&lines("again 2\nstored 2 2\n"));
    let again = "commit 3 3 a 3 2 1 key\n";
    let second = kinds(&mut ledger, &[ONE_KEYED, TWO_KEYED, again, "done\n"]);
    assert!(second.contains(&FindingKind::Doubled), "{second:?}");
}

#[test]
fn key_that_is_not_stored_with_its_command_is_found() {
    assert_eq!(kinds(&mut keyed(), &["commit 1 1 a 1 1 1\n", "done\n"]), [FindingKind::KeyLost]);
    let without = "attempt 1 a 1\nstored 1 1\n";
    let mut ledger = Ledger::default();
    ledger.load(&lines(without));
    assert_eq!(kinds(&mut ledger, &[ONE_KEYED, "done\n"]), [FindingKind::KeyLost]);
}

#[test]
fn repeat_may_come_late_and_its_refusal_says_nothing_of_the_first_one() {
    // An earlier reading did not show it: the repeat runs.
    let mut ledger = keyed();
    assert_eq!(kinds(&mut ledger, &[ONE_KEYED, "done\n"]), []);
    ledger.load(&lines("again 2\n"));
    assert_eq!(kinds(&mut ledger, &[ONE_KEYED, TWO_KEYED, "done\n"]), []);
    // The first one was stored, as it turns out, though the repeat was refused.
    let mut ledger = keyed();
    ledger.load(&lines("again 2\nrefused 2 overloaded\nagain 1\nrefused 1 overloaded\n"));
    assert_eq!(kinds(&mut ledger, &[ONE_KEYED, TWO_KEYED, "done\n"]), []);
    // What was refused each time is surely not stored.
    let mut ledger = keyed();
    ledger.load(&lines("again 3\nrefused 3 overloaded\n"));
    let three = "commit 2 2 a 2 3 1 key\n";
    assert_eq!(kinds(&mut ledger, &[ONE_KEYED, three, "done\n"]), [FindingKind::StoredThough]);
}
