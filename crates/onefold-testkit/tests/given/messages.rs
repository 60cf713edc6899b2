//! What a failing test prints, to the letter: it is what its reader has.

use onefold_testkit::Given;

use crate::account::AccountEvent::{Deposited, Withdrawn};
use crate::account::{Account, Deposit, InsufficientFunds, Look, Seen, Withdraw};
use crate::finding::failure;
use crate::odd::{Emit, Odd, OddEvent};

fn hundred() -> Given<Account> {
    Given::events([Deposited { amount: 90 }, Deposited { amount: 10 }])
}

/// The message, without the line break behind it.
async fn message<T>(test: impl Future<Output = T>) -> String {
    failure(test).await.trim_end().to_owned()
}

#[tokio::test]
async fn other_events() {
    let message = message(async {
        hundred()
            .when(Withdraw { amount: 30 })
            .await
            .then_events([Withdrawn { amount: 31, fee: 0 }, Deposited { amount: 1 }])
    });
    let expected = "\
account/account-1: the events are not the expected ones

given  Deposited { amount: 90 }
       Deposited { amount: 10 }
when   Withdraw { amount: 30 }

- expected
+ happened

  Withdrawn {
-     amount: 31,
+     amount: 30,
      fee: 0,
  }
- Deposited {
-     amount: 1,
- }";
    assert_eq!(message.await, expected);
}

#[tokio::test]
async fn events_where_none_should_be() {
    let message = message(async { Given::<Account>::nothing().when(Deposit(1)).await.then_no_events() });
    let expected = "\
account/account-1: the events are not the expected ones

given  nothing
when   Deposit(1)

- expected
+ happened

- nothing
+ Deposited {
+     amount: 1,
+ }";
    assert_eq!(message.await, expected);
}

#[tokio::test]
async fn a_rejection_instead_of_events() {
    let message = message(async {
        hundred().id("ada").when(Withdraw { amount: 101 }).await.then_events([Withdrawn { amount: 101, fee: 0 }])
    });
    let expected = "\
account/ada: rejected, and events were expected

given  Deposited { amount: 90 }
       Deposited { amount: 10 }
when   Withdraw { amount: 101 }

expected:
Withdrawn {
    amount: 101,
    fee: 0,
}

rejected:
InsufficientFunds(
    100,
)

\"only 100 left\"";
    assert_eq!(message.await, expected);
}

#[tokio::test]
async fn events_instead_of_a_rejection() {
    let message = message(async { hundred().when(Withdraw { amount: 100 }).await.then_rejected(InsufficientFunds(0)) });
    let expected = "\
account/account-1: not rejected, as was expected

given  Deposited { amount: 90 }
       Deposited { amount: 10 }
when   Withdraw { amount: 100 }

expected:
InsufficientFunds(
    0,
)

happened:
Withdrawn {
    amount: 100,
    fee: 0,
}";
    assert_eq!(message.await, expected);
}

/// The story goes on from command to command.
#[tokio::test]
async fn another_rejection_after_other_commands() {
    let message = message(async {
        hundred()
            .when(Deposit(7))
            .await
            .then_events([Deposited { amount: 7 }])
            .then_reply(107)
            .when(Look)
            .await
            .then_no_events()
            .when(Withdraw { amount: 200 })
            .await
            .then_rejected(InsufficientFunds(107))
            .when(Withdraw { amount: 300 })
            .await
            .then_rejected(InsufficientFunds(7))
    });
    let expected = "\
account/account-1: the rejection is not the expected one

given  Deposited { amount: 90 }
       Deposited { amount: 10 }
when   Deposit(7)
then   Deposited { amount: 7 }
when   Look
then   no events
when   Withdraw { amount: 200 }
then   rejected: InsufficientFunds(107)
when   Withdraw { amount: 300 }

- expected
+ rejected

  InsufficientFunds(
-     7,
+     107,
  )";
    assert_eq!(message.await, expected);
}

#[tokio::test]
async fn another_reply() {
    let seen =
        Seen { id: "account-1".into(), version: 3, now: Default::default(), command: 1, correlation: 1, note: None };
    let message = message(async { hundred().when(Look).await.then_no_events().then_reply(seen) });
    let expected = "\
account/account-1: the reply is not the expected one

given  Deposited { amount: 90 }
       Deposited { amount: 10 }
when   Look
then   no events

- expected
+ replied

  Seen {
      id: \"account-1\",
-     version: 3,
+     version: 2,
      now: Timestamp(
          0,
      ),
      command: 1,
      correlation: 1,";
    assert!(message.await.starts_with(expected));
}

#[tokio::test]
async fn what_is_not_liked_is_shown() {
    let reply =
        message(async { hundred().when(Look).await.then_no_events().then_reply_where(|seen| seen.version == 3) });
    let reply = reply.await;
    assert!(reply.starts_with("account/account-1: the reply is not as expected\n"), "{reply}");
    assert!(reply.contains("\n\nSeen {\n    id: \"account-1\",\n    version: 2,\n"), "{reply}");
    let rejection = message(async {
        hundred().when(Withdraw { amount: 200 }).await.then_rejected_where(|rejected| rejected.0 == 7)
    });
    let rejection = rejection.await;
    assert!(rejection.starts_with("account/account-1: the rejection is not as expected\n"), "{rejection}");
    assert!(rejection.ends_with("\n\nInsufficientFunds(\n    100,\n)"), "{rejection}");
}

#[tokio::test]
async fn a_panic_in_apply() {
    let words = "a word too many".to_owned();
    let message = message(async {
        Given::<Odd>::events([OddEvent::Seen]).when(Emit(vec![OddEvent::Applied { words }])).await.then_no_events()
    });
    let expected = "\
odd/odd-1: `apply` of odd.applied panicked

given  Seen
when   Emit([Applied { words: \"a word too many\" }])

a word too many";
    assert_eq!(message.await, expected);
}

/// What is far from a difference is left out, and of a long history its beginning.
#[tokio::test]
async fn long_stories_are_cut() {
    let written = |text: String| OddEvent::Written(text);
    let message = message(async {
        let given = (0..33).map(|_| OddEvent::Seen);
        let events: Vec<_> = (0..50).map(|number| written(format!("line {number}"))).collect();
        let mut expected = events.clone();
        expected[3] = written("another".to_owned());
        expected.remove(40);
        Given::<Odd>::events(given).when(Emit(events)).await.then_events(expected)
    });
    let message = message.await;
    let (story, shown) = message.split_once("\n\n- expected\n+ happened\n\n").expect("both parts");
    let story: Vec<_> = story.lines().collect();
    assert_eq!(story[2..4], ["given  … 3 earlier events …", "       Seen"]);
    let [command] = story[33..] else { panic!("{story:#?}") };
    assert!(command.starts_with("when   Emit([Written(\"line 0\"), ") && command.ends_with(" …"), "{command}");
    assert_eq!(command.chars().count(), 7 + 300 + 2);
    let written = |sign, text| format!("{sign} Written(\n{sign}     \"{text}\",\n{sign} )\n");
    let expected = [
        written(' ', "line 1"),
        written(' ', "line 2"),
        "  Written(\n-     \"another\",\n+     \"line 3\",\n  )\n".to_owned(),
        written(' ', "line 4"),
        written(' ', "line 5"),
        "  ⋮\n".to_owned(),
        written(' ', "line 38"),
        written(' ', "line 39"),
        written('+', "line 40"),
        written(' ', "line 41"),
        written(' ', "line 42"),
    ];
    assert_eq!(format!("{shown}\n"), expected.concat());
}

/// Nothing is left out without a sign inside of one event either.
#[tokio::test]
async fn a_long_event_is_cut_too() {
    let written = |changed: &str| {
        OddEvent::Many((0..30).map(|line| if line == 20 { changed.to_owned() } else { line.to_string() }).collect())
    };
    let message =
        message(async { Given::<Odd>::nothing().when(Emit(vec![written("new")])).await.then_events([written("old")]) });
    let message = message.await;
    let (_, shown) = message.split_once("\n\n- expected\n+ happened\n\n").expect("both parts");
    let line = |number: u32| format!("          \"{number}\",\n");
    let around = |lines: std::ops::Range<u32>| lines.map(line).collect::<String>();
    let expected =
        format!("  Many(\n  ⋮\n{}-         \"old\",\n+         \"new\",\n{}", around(15..20), around(21..26));
    assert_eq!(format!("{shown}\n"), expected);
}
