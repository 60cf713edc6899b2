//! What a test can say, and what the handler then sees.

use std::sync::Arc;
use std::time::Duration;

use onefold_core::{CodecId, CommandId, CorrelationId, Limits, Metadata, Timestamp};
use onefold_testkit::{Given, ManualClock};

use crate::account::AccountEvent::{Deposited, Withdrawn};
use crate::account::{Account, Deposit, Fees, InsufficientFunds, Look, Seen, Withdraw};
use crate::odd::{ByHand, Emit, Hand, Lossy, Odd, OddEvent};

#[tokio::test]
async fn events_and_reply_follow_from_what_was_given() {
    Given::<Account>::events([Deposited { amount: 100 }, Withdrawn { amount: 10, fee: 0 }])
        .when(Withdraw { amount: 30 })
        .await
        .then_events([Withdrawn { amount: 30, fee: 0 }])
        .then_reply(60);
}

#[tokio::test]
async fn rejections_and_queries_leave_everything_as_it_was() {
    Given::<Account>::events([Deposited { amount: 100 }])
        .when(Withdraw { amount: 101 })
        .await
        .then_rejected(InsufficientFunds(100))
        .when(Withdraw { amount: 102 })
        .await
        .then_rejected_where(|InsufficientFunds(left)| *left == 100)
        .when(Look)
        .await
        .then_no_events()
        .then_reply_where(|seen| seen.version == 1)
        .when(Withdraw { amount: 100 })
        .await
        .then_events([Withdrawn { amount: 100, fee: 0 }])
        .then_reply(0);
}

/// A reply need not be looked at, and the state can be.
#[tokio::test]
async fn commands_follow_each_other_on_the_state_that_is() {
    let first = Given::<Account>::nothing().when(Deposit(5)).await.then_events([Deposited { amount: 5 }]);
    assert_eq!(first.state(), &Account { balance: 5 });
    let second = first.when(Deposit(6)).await.then_events([Deposited { amount: 6 }]).then_reply(11);
    assert_eq!(second.state(), &Account { balance: 11 });
    assert_eq!(second.when(Withdraw { amount: 12 }).await.then_rejected(InsufficientFunds(11)).state().balance, 11);
}

#[tokio::test]
async fn services_are_the_ones_that_were_given() {
    let fees = Arc::new(Fees { fee: 2, ..Fees::default() });
    Given::<Account>::events([Deposited { amount: 10 }])
        .services(fees.clone())
        .id("ada")
        .when(Withdraw { amount: 8 })
        .await
        .then_events([Withdrawn { amount: 8, fee: 2 }])
        .then_reply(0);
    assert_eq!(*fees.asked.lock().unwrap(), ["ada"]);
    Given::<Account>::events([Deposited { amount: 10 }])
        .services(Fees { fee: 3, ..Fees::default() })
        .when(Withdraw { amount: 8 })
        .await
        .then_rejected(InsufficientFunds(10));
}

#[tokio::test]
async fn the_context_is_the_one_that_was_given() {
    let clock = ManualClock::at(Timestamp::from_micros(7));
    let seen = |version, micros, command| Seen {
        id: "ada".to_owned(),
        version,
        now: Timestamp::from_micros(micros),
        command,
        correlation: command,
        note: None,
    };
    let given = Given::<Account>::events([Deposited { amount: 1 }]).id("ada").version(41_u64).clock(clock.clone());
    let looked = given.when(Look).await.then_no_events().then_reply(seen(41, 7, 1));
    clock.advance(Duration::from_micros(3));
    let deposited = looked.when(Deposit(1)).await.then_events([Deposited { amount: 1 }]);
    let looked = deposited.when(Look).await.then_no_events().then_reply(seen(42, 10, 3));

    let mut metadata = Metadata {
        command_id: CommandId::from_u128(5),
        correlation_id: CorrelationId::from_u128(6),
        ..Metadata::default()
    };
    metadata.entries.set("note", "from a test");
    let expected = Seen { command: 5, correlation: 6, note: Some("from a test".to_owned()), ..seen(42, 10, 0) };
    looked.when(Look).metadata(metadata).await.then_no_events().then_reply(expected);
}

#[tokio::test]
async fn unless_told_otherwise_a_test_begins_at_the_beginning() {
    let beginning = Seen {
        id: "account-1".to_owned(),
        version: 0,
        now: Timestamp::default(),
        command: 1,
        correlation: 1,
        note: None,
    };
    Given::<Account>::nothing().when(Look).await.then_no_events().then_reply(beginning);
}

#[tokio::test]
async fn what_comes_back_from_its_bytes_passes() {
    Given::<Account>::events([Deposited { amount: 9 }])
        .compare_states()
        .round_trip_states()
        .when(Look)
        .await
        .then_no_events()
        .round_trip_reply()
        .then_reply_where(|seen| seen.version == 1)
        .when(Withdraw { amount: 10 })
        .await
        .then_rejected(InsufficientFunds(9))
        .round_trip_rejection()
        .when(Withdraw { amount: 9 })
        .await
        .then_events([Withdrawn { amount: 9, fee: 0 }])
        .round_trip_reply()
        .then_reply(0);
}

/// Its bytes are never the same, and it is all the same: `==` says so.
#[tokio::test]
async fn a_state_without_an_order_is_compared_by_equality() {
    Given::<Odd>::events([OddEvent::Stirred])
        .compare_states()
        .round_trip_states()
        .when(Emit(vec![OddEvent::Seen]))
        .await
        .then_events([OddEvent::Seen])
        .then_reply(Lossy { number: 2 });
}

/// More may have happened than one commit holds.
#[tokio::test]
async fn a_history_may_be_longer_than_a_commit() {
    let long = vec![OddEvent::Seen; 3_000];
    let reply = Lossy { number: 3_001 };
    Given::<Odd>::events(long).when(Emit(vec![OddEvent::Seen])).await.then_events([OddEvent::Seen]).then_reply(reply);
}

#[tokio::test]
async fn codecs_and_limits_are_those_of_the_users_runtime() {
    Given::<Odd>::nothing()
        .codecs([CodecId::Bincode])
        .limits(Limits { event_bytes_max: 4 << 20, commit_bytes_max: 8 << 20, ..Limits::default() })
        .when(Emit(vec![OddEvent::Rated(f64::INFINITY), OddEvent::Written("x".repeat(2 << 20))]))
        .await
        .then_events([OddEvent::Rated(f64::INFINITY), OddEvent::Written("x".repeat(2 << 20))])
        .then_reply(Lossy { number: 2 });
}

/// An event that was written by hand for one codec is spared the other.
#[tokio::test]
async fn an_event_without_json_is_spared_it() {
    let wave = ByHand("hand.waved", 1);
    Given::<Hand>::nothing().when(wave.clone()).await.then_events([wave]).then_reply(());
}
