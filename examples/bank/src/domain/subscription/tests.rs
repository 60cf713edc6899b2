//! A place is reserved, confirmed, given up, or lost to the next.

use std::time::Duration;

use onefold::Timestamp;
use onefold_testkit::{Given, ManualClock};

use super::SubscriptionEvent::{Confirmed, GivenUp, Reserved};
use super::SubscriptionRejection::{HasPlace, NotReserved, PlaceTaken, TooLate};
use super::{Confirm, GiveUp, PLACES, Place, Reserve, Subscription, SubscriptionEvent};

const MINUTE: Duration = Duration::from_secs(60);

fn given(events: impl IntoIterator<Item = SubscriptionEvent>) -> Given<Subscription> {
    Given::events(events).compare_states()
}

fn place(number: u32) -> Place {
    Place { offer: "bonds".into(), number }
}

fn reserve(number: u32) -> Reserve {
    Reserve { place: place(number), time: MINUTE }
}

fn limit(minutes: u32) -> Timestamp {
    Timestamp::default().plus(MINUTE * minutes)
}

fn reserved(number: u32, minutes: u32) -> SubscriptionEvent {
    Reserved { place: place(number), expires_at: limit(minutes) }
}

#[tokio::test]
async fn place_is_reserved_and_confirmed() {
    given([])
        .when(reserve(1))
        .await
        .then_events([reserved(1, 1)])
        .then_claims_where(|held| held.len() == 1 && held[0].1.expires_at == Some(limit(1)))
        .when(reserve(2))
        .await
        .then_rejected(HasPlace { offer: "bonds".into(), number: 1 })
        .when(Confirm)
        .await
        .then_events([Confirmed])
        .then_claims_where(|held| held.len() == 1 && held[0].1.expires_at.is_none())
        .when(Confirm)
        .await
        .then_rejected(NotReserved);
}

#[tokio::test]
async fn place_that_is_given_up_is_free() {
    given([reserved(1, 1)])
        .holds_until(PLACES, "bonds/1", limit(1))
        .when(GiveUp)
        .await
        .then_events([GivenUp])
        .then_claims([])
        .when(GiveUp)
        .await
        .then_rejected(NotReserved);
}

#[tokio::test]
async fn place_whose_time_is_up_goes_to_the_next() {
    let clock = ManualClock::default();
    let waiting = given([]).clock(clock.clone()).taken_until(PLACES, "bonds/1", limit(1)).when(reserve(1)).await;
    let refused = waiting.then_rejected(PlaceTaken { offer: "bonds".into(), number: 1 });
    clock.advance(MINUTE);
    refused.when(reserve(1)).await.then_events([reserved(1, 2)]).then_claims([(PLACES, "bonds/1")]);

    let lost = given([reserved(1, 1)]).clock(clock).taken_until(PLACES, "bonds/1", limit(2));
    let too_late = || TooLate { offer: "bonds".into(), number: 1 };
    lost.when(Confirm).await.then_rejected(too_late()).when(GiveUp).await.then_rejected(too_late());
}
