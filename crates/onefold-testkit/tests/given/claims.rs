//! Claims in a test: who holds what before, what a decision makes of it, and what is said when it cannot be made.

use std::time::Duration;

use onefold_core::{Aggregate, Context, Decision, Handle, Limits, StreamId, Timestamp};
use onefold_derive::Event;
use onefold_testkit::{Given, ManualClock};

use crate::finding::failure;

#[derive(Debug, Default, PartialEq)]
struct Guest;

#[derive(Clone, Debug, PartialEq, Event)]
#[event(prefix = "guest", crate = "onefold_core")]
enum GuestEvent {
    Came,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{claim} is not to be had, {holder:?} has it")]
struct Full {
    claim: String,
    holder: Option<StreamId>,
}

impl Aggregate for Guest {
    const TYPE: &'static str = "guest";
    type Event = GuestEvent;
    type Rejection = Full;
    type Services = ();

    fn apply(&mut self, _: &GuestEvent) {}
}

/// What is asked of one seat.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Take(&'static str),
    TakeOrReject(&'static str),
    Hold(&'static str, Timestamp),
    Confirm(&'static str),
    Prolong(&'static str, Timestamp),
    Release(&'static str),
    ReleaseOrReject(&'static str),
    HandOn(&'static str),
    Swap(&'static str, &'static str),
    Panic(&'static str),
    Nothing,
}

impl Handle<Ask> for Guest {
    type Reply = ();

    async fn handle(&self, ask: Ask, _: &Context<Self>) -> Result<Decision<Self, ()>, Full> {
        let came = self.emit(GuestEvent::Came);
        let reject = |refused: onefold_core::ClaimRefused| Full {
            claim: refused.claim.to_string(),
            holder: refused.holder.map(|holder| holder.stream),
        };
        Ok(match ask {
            Ask::Take(seat) => came.claim("seat", seat),
            Ask::TakeOrReject(seat) => came.claim("seat", seat).or_reject(reject),
            Ask::Hold(seat, limit) => came.hold("seat", seat, limit),
            Ask::Confirm(seat) => came.confirm("seat", seat),
            Ask::Prolong(seat, limit) => came.prolong("seat", seat, limit),
            Ask::Release(seat) => came.release("seat", seat),
            Ask::ReleaseOrReject(seat) => came.release("seat", seat).or_reject(reject),
            Ask::HandOn(seat) => came.move_claim("seat", seat, stream("friend")),
            Ask::Swap(seat, for_seat) => came.release("seat", seat).claim("seat", for_seat).or_reject(reject),
            Ask::Panic(seat) => came.claim("seat", seat).or_reject(|_| panic!("lost for words")),
            Ask::Nothing => Decision::nothing(),
        })
    }
}

fn stream(id: &str) -> StreamId {
    StreamId::new("guest", id).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

const CAME: [GuestEvent; 1] = [GuestEvent::Came];

#[tokio::test]
async fn claims_are_taken_handed_on_and_given_up() {
    Given::<Guest>::nothing()
        .when(Ask::Take("1"))
        .await
        .then_events(CAME)
        .then_claims([("seat", "1")])
        .then_reply(())
        .when(Ask::Take("2"))
        .await
        .then_events(CAME)
        .then_claims([("seat", "2"), ("seat", "1")])
        .when(Ask::Swap("1", "3"))
        .await
        .then_events(CAME)
        .then_claims([("seat", "2"), ("seat", "3")])
        .when(Ask::HandOn("2"))
        .await
        .then_events(CAME)
        .then_claims([("seat", "3")])
        .when(Ask::TakeOrReject("2"))
        .await
        .then_rejected(Full { claim: "seat/2".into(), holder: Some(stream("friend")) })
        .when(Ask::Release("3"))
        .await
        .then_events(CAME)
        .then_claims([])
        .when(Ask::Nothing)
        .await
        .then_no_events()
        .then_claims([]);
}

/// All or nothing: a swap that fails gives up nothing.
#[tokio::test]
async fn refusal_is_the_rejection_that_stands_behind_it() {
    let somebody = || Some(stream("somebody-else"));
    Given::<Guest>::nothing()
        .taken("seat", "1")
        .holds("seat", "2")
        .when(Ask::TakeOrReject("1"))
        .await
        .then_rejected(Full { claim: "seat/1".into(), holder: somebody() })
        .when(Ask::Swap("2", "1"))
        .await
        .then_rejected(Full { claim: "seat/1".into(), holder: somebody() })
        .when(Ask::ReleaseOrReject("3"))
        .await
        .then_rejected(Full { claim: "seat/3".into(), holder: None })
        .when(Ask::Nothing)
        .await
        .then_no_events()
        .then_claims([("seat", "2")]);
}

#[tokio::test]
async fn holds_last_as_long_as_the_clock_and_the_others_let_them() {
    let clock = ManualClock::default();
    let until = |limit: Option<u64>| {
        move |held: &[(onefold_core::ClaimName, onefold_core::Holder)]| {
            held.len() == 1 && held[0].1.expires_at == limit.map(at)
        }
    };
    let given = Given::<Guest>::nothing().clock(clock.clone()).taken_until("seat", "1", at(60));
    let refused = given.when(Ask::TakeOrReject("1")).await.then_rejected_where(|full| full.claim == "seat/1");
    clock.advance(Duration::from_secs(60));
    refused
        .when(Ask::Hold("1", at(120)))
        .await
        .then_events(CAME)
        .then_claims_where(until(Some(120)))
        .when(Ask::Prolong("1", at(180)))
        .await
        .then_events(CAME)
        .then_claims_where(until(Some(180)))
        .when(Ask::Confirm("1"))
        .await
        .then_events(CAME)
        .then_claims_where(until(None));
    Given::<Guest>::nothing()
        .id("ada")
        .holds_until("seat", "1", at(0))
        .when(Ask::Confirm("1"))
        .await
        .then_events(CAME)
        .then_claims_where(until(None));
}

/// The message, without the line break behind it.
async fn message<T>(test: impl Future<Output = T>) -> String {
    failure(test).await.trim_end().to_owned()
}

#[tokio::test]
async fn refusal_without_words_fails_the_test() {
    let taken = message(async {
        Given::<Guest>::events(CAME).holds("seat", "2").taken("seat", "1").when(Ask::Take("1")).await.then_events(CAME)
    });
    let expected = "\
guest/guest-1: the decision cannot be carried out: the caller is told `ClaimTaken`

given  Came
       seat/1 is taken
       holds seat/2
when   Take(\"1\")

guest/guest-1 cannot have the claim seat/1: guest/somebody-else holds it

With `.or_reject(…)` behind the change it is a rejection.";
    assert_eq!(taken.await, expected);
    let rows = [
        (Ask::Confirm("1"), "`ClaimNotHeld`", "guest/guest-1 does not hold the claim seat/1: guest/somebody-else does"),
        (Ask::Release("3"), "`ClaimNotHeld`", "guest/guest-1 does not hold the claim seat/3\n"),
        (Ask::Take(""), "`InvalidClaim`", "a claim's value must not be empty"),
        (Ask::Panic("1"), "`or_reject` panicked", "lost for words"),
    ];
    for (ask, kind, words) in rows {
        let message = message(async { Given::<Guest>::nothing().taken("seat", "1").when(ask).await.then_no_events() });
        let message = message.await;
        assert!(message.lines().next().is_some_and(|line| line.ends_with(kind)), "{message}");
        assert!(message.contains(words), "{message}");
    }
    let limits = Limits { claims_per_commit_max: 1, ..Limits::default() };
    let given = Given::<Guest>::nothing().limits(limits).holds("seat", "1");
    let message = message(async { given.when(Ask::Swap("1", "2")).await.then_events(CAME) }).await;
    assert!(message.contains("`TooLarge`") && message.contains("claims_per_commit_max"), "{message}");
}

#[tokio::test]
async fn other_claims_are_shown_line_by_line() {
    let message = message(async {
        Given::<Guest>::nothing()
            .holds_until("seat", "1", at(60))
            .when(Ask::Take("2"))
            .await
            .then_events(CAME)
            .then_claims([("seat", "1"), ("seat", "3")])
    });
    let expected = "\
guest/guest-1: the aggregate does not hold the expected claims

given  holds seat/1 until 60.000000
when   Take(\"2\")
then   Came
       holds seat/2

- expected
+ held

  seat/1
- seat/3
+ seat/2";
    assert_eq!(message.await, expected);
    let none = failure(async {
        Given::<Guest>::nothing().when(Ask::Nothing).await.then_no_events().then_claims([("seat", "1")])
    });
    assert!(none.await.ends_with("\n- seat/1\n+ nothing\n"));
    let disliked = failure(async {
        Given::<Guest>::nothing().when(Ask::Take("2")).await.then_events(CAME).then_claims_where(|held| held.is_empty())
    });
    assert!(disliked.await.contains("the claims that the aggregate holds are not as expected"));
}

#[test]
#[should_panic(expected = "a claim's namespace is 1 to 64 of")]
fn claim_that_cannot_be_is_refused_at_once() {
    let _ = Given::<Guest>::nothing().taken("Seat", "1");
}
