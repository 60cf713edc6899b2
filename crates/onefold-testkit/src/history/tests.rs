//! The checker accepts what is sound and catches each kind of violation.

use super::*;
use onefold_core::CommitNumber;

fn account() -> StreamId {
    StreamId::new("account", "a").unwrap()
}

/// Events of the account at versions 1, 2, …, given by commit and operation.
fn journal(events: &[(u64, u64)]) -> Vec<StoredEvent> {
    let events = events.iter().zip(1..).map(|((commit, operation), version)| StoredEvent {
        stream: account(),
        version: StreamVersion::new(version),
        commit: CommitNumber::new(*commit),
        operation: Some(OperationId::new(*operation)),
    });
    events.collect()
}

fn stored(version: u64, events: u64) -> Reply {
    Reply::Stored { version: version.into(), events }
}

fn read(version: u64) -> Reply {
    Reply::Read { version: version.into() }
}

/// Operations one after the other.
fn sequence(replies: &[Reply]) -> History {
    let history = History::new();
    replies.iter().for_each(|reply| history.begin(&account()).returned(*reply));
    history
}

/// Operations all at the same time.
fn at_once(replies: &[Reply]) -> History {
    let history = History::new();
    let begun: Vec<_> = replies.iter().map(|_| history.begin(&account())).collect();
    begun.into_iter().zip(replies).for_each(|(operation, reply)| operation.returned(*reply));
    history
}

#[test]
fn sound_history_is_accepted() {
    let replies = [
        stored(1, 1),
        read(1),
        stored(3, 2),
        Reply::Rejected,
        Reply::NotStored,
        Reply::Unknown,
        Reply::Unknown,
        read(4),
    ];
    let report = sequence(&replies).check(&journal(&[(1, 0), (2, 2), (2, 2), (3, 5)])).unwrap();
    let expected = Report {
        operations: 8,
        stored: 2,
        reads: 2,
        rejected: 1,
        not_stored: 1,
        unknown: 2,
        unknown_stored: 1,
        streams: 1,
        events: 4,
    };
    assert_eq!(report, expected);
    assert_eq!(History::new().check(&[]), Ok(Report::default()));
}

#[test]
fn concurrent_operations_may_come_in_any_order() {
    assert!(
        at_once(&[stored(3, 1), read(1), stored(1, 1), stored(2, 1)])
            .check(&journal(&[(1, 2), (2, 3), (3, 0)]))
            .is_ok()
    );
}

#[test]
fn operations_under_way_may_be_in_the_journal() {
    let history = sequence(&[stored(1, 1)]);
    let under_way = history.begin(&account());
    drop(history.begin(&account()));
    let report = history.check(&journal(&[(1, 0), (2, 1)])).unwrap();
    assert_eq!((report.unknown, report.unknown_stored), (2, 1));
    drop(under_way);
}

#[test]
fn late_effects_of_unknown_operations_are_accepted() {
    // #0 returned as unknown before #1 began, and took effect after it.
    assert!(sequence(&[Reply::Unknown, stored(1, 1), read(2)]).check(&journal(&[(1, 1), (2, 0)])).is_ok());
}

#[test]
fn aggregates_are_checked_apart() {
    let history = History::new();
    let (a, b) = (account(), StreamId::new("account", "b").unwrap());
    history.begin(&a).stored(1.into(), 1);
    history.begin(&b).stored(1.into(), 1);
    let mut events = journal(&[(1, 0)]);
    events.push(StoredEvent {
        stream: b,
        commit: CommitNumber::new(2),
        operation: Some(OperationId(1)),
        ..events[0].clone()
    });
    assert_eq!(history.check(&events).unwrap().streams, 2);
}

macro_rules! caught {
    ($($name:ident: $history:expr, $events:expr => $violation:pat, $message:literal;)*) => {
        $(#[test]
        fn $name() {
            let violation = $history.check(&journal(&$events)).unwrap_err();
            assert!(matches!(violation, $violation), "{violation:?}");
            assert_eq!(violation.to_string(), $message);
        })*
    };
}

caught! {
    same_version: at_once(&[stored(1, 1), stored(1, 1)]), [(1, 0)] => Violation::SameVersion { .. },
        "account/a: operations #0 and #1 were both told version 1";
    overlapping_versions: at_once(&[stored(3, 3), stored(2, 1)]), [] => Violation::SameVersion { .. },
        "account/a: operations #0 and #1 were both told version 2";
    impossible_version: sequence(&[stored(1, 2)]), [] => Violation::ImpossibleVersion { .. },
        "account/a: operation #0 was told version 1 after storing 2 events";
    write_out_of_order: sequence(&[stored(2, 1), stored(1, 1)]), [(1, 1), (2, 0)] => Violation::OutOfOrder { .. },
        "account/a: operation #1 began after #0 had returned, yet it stood at version 0 and the earlier one at 2";
    stale_read: sequence(&[stored(1, 1), read(0)]), [(1, 0)] => Violation::OutOfOrder { .. },
        "account/a: operation #1 began after #0 had returned, yet it stood at version 0 and the earlier one at 1";
    reads_going_back: sequence(&[Reply::Unknown, read(1), read(0)]), [(1, 0)] => Violation::OutOfOrder { .. },
        "account/a: operation #2 began after #1 had returned, yet it stood at version 0 and the earlier one at 1";
    stranger: sequence(&[read(0)]), [(1, 7)] => Violation::Stranger { .. },
        "account/a: nobody wrote the event at version 1 (it names operation Some(OperationId(7)))";
    write_from_before_its_beginning: sequence(&[stored(2, 1), Reply::Unknown]), [(1, 1), (2, 0)] =>
        Violation::OutOfOrder { .. },
        "account/a: operation #1 began after #0 had returned, yet it stood at version 0 and the earlier one at 2";
    lost_success: sequence(&[stored(1, 1), stored(2, 1)]), [(1, 0)] => Violation::Lost { .. },
        "account/a: operation #1 was told version 2, but the journal has nothing of it";
    misplaced_success: at_once(&[stored(1, 1), stored(2, 1)]), [(1, 1), (2, 0)] => Violation::Misplaced { .. },
        "account/a: operation #0 was told versions (StreamVersion(1), StreamVersion(1)), the journal has it at \
         (StreamVersion(2), StreamVersion(2)) (first, last)";
    not_stored_but_there: sequence(&[Reply::NotStored]), [(1, 0)] => Violation::Resurrected { .. },
        "account/a: operation #0 ended with NotStored, yet the journal has it at version 1";
    rejected_but_there: sequence(&[Reply::Rejected]), [(1, 0)] => Violation::Resurrected { .. },
        "account/a: operation #0 ended with Rejected, yet the journal has it at version 1";
    read_that_wrote: sequence(&[read(0)]), [(1, 0)] => Violation::Resurrected { .. },
        "account/a: operation #0 ended with Read { version: StreamVersion(0) }, yet the journal has it at version 1";
    unknown_twice: sequence(&[Reply::Unknown]), [(1, 0), (2, 0)] => Violation::Twice { .. },
        "account/a: operation #0 took effect twice, in commits 1 and 2";
    success_twice: sequence(&[stored(1, 1)]), [(1, 0), (2, 0)] => Violation::Twice { .. },
        "account/a: operation #0 took effect twice, in commits 1 and 2";
    torn_commit: at_once(&[Reply::Unknown, stored(2, 1)]), [(1, 0), (2, 1), (1, 0)] => Violation::Interleaved { .. },
        "account/a: the events of operation #0 are torn apart at version 3";
    read_beyond_head: sequence(&[stored(1, 1), read(2)]), [(1, 0)] => Violation::ReadBeyondHead { .. },
        "account/a: operation #1 saw version 2, but the stream ends at 1";
    torn_read: at_once(&[stored(2, 2), read(1)]), [(1, 0), (1, 0)] => Violation::TornRead { .. },
        "account/a: operation #1 saw version 1, which is in the middle of a commit";
}

#[test]
fn gap_is_caught() {
    let history = sequence(&[stored(1, 1), Reply::Unknown]);
    let mut events = journal(&[(1, 0), (2, 1), (2, 1)]);
    events.remove(1);
    assert!(matches!(history.check(&events), Err(Violation::Gap { .. })));
    events[1] = events[0].clone();
    let violation = history.check(&events).unwrap_err();
    assert_eq!(violation.to_string(), "account/a: version 2 is missing or there twice, 1 stands in its place");
}

#[test]
fn unmarked_event_is_caught() {
    let mut events = journal(&[(1, 0)]);
    events[0].operation = None;
    assert!(matches!(sequence(&[stored(1, 1)]).check(&events), Err(Violation::Stranger { operation: None, .. })));
}
