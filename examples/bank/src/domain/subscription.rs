//! A customer's part in an offer of which there are only so many: one of its places, reserved for a while, then confirmed.
//!
//! ```text
//!   Reserve ──▶ ┌──────────────┐ ──▶ Reserved     holds place/{offer}/{n} until its limit
//!   Confirm ──▶ │ Subscription │ ──▶ Confirmed    for good; not after somebody else was given the place
//!   GiveUp ───▶ └──────────────┘ ──▶ GivenUp      the place is free at once
//! ```
//!
//! A place is a claim, so it is nobody's or one customer's. Nobody counts the places that are left: there are as many as there
//! are names for them.

#[cfg(test)]
mod tests;

use std::time::Duration;

use onefold::{Aggregate, Context, Decision, Event, Handle, Timestamp};
use serde::{Deserialize, Serialize};

/// The namespace of the claims on places.
pub const PLACES: &str = "place";

/// One place of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Of which offer.
    pub offer: String,
    /// From 1.
    pub number: u32,
}

impl Place {
    /// The value of its claim.
    pub fn claim(&self) -> String {
        format!("{}/{}", self.offer, self.number)
    }
}

/// One customer's part in one offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Subscription {
    /// They have no place.
    #[default]
    Without,
    /// They have one for a while.
    Reserved(Place),
    /// They have one.
    Confirmed(Place),
}

/// A fact about a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
#[event(prefix = "subscription")]
pub enum SubscriptionEvent {
    /// They have a place until then.
    Reserved {
        /// Which.
        place: Place,
        /// When somebody else may have it.
        expires_at: Timestamp,
    },
    /// The place is theirs.
    Confirmed,
    /// They do without.
    GivenUp,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionRejection {
    /// Somebody else has it, for a while at least.
    #[error("place {number} of {offer} is taken")]
    PlaceTaken {
        /// Of which offer.
        offer: String,
        /// Which.
        number: u32,
    },
    /// One is enough.
    #[error("they have place {number} of {offer} already")]
    HasPlace {
        /// Of which offer.
        offer: String,
        /// Which.
        number: u32,
    },
    /// Nothing is reserved.
    #[error("there is no reservation")]
    NotReserved,
    /// The time was up, and somebody else has the place.
    #[error("the reservation of place {number} of {offer} is over")]
    TooLate {
        /// Of which offer.
        offer: String,
        /// Which.
        number: u32,
    },
}

/// Takes a place for a while.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// Which.
    pub place: Place,
    /// How long.
    pub time: Duration,
}

/// Keeps the place that is reserved.
#[derive(Clone, Copy, Debug)]
pub struct Confirm;

/// Lets the place that is reserved go.
#[derive(Clone, Copy, Debug)]
pub struct GiveUp;

type Decided = Result<Decision<Subscription, ()>, SubscriptionRejection>;

impl Aggregate for Subscription {
    const TYPE: &'static str = "subscription";
    type Event = SubscriptionEvent;
    type Rejection = SubscriptionRejection;
    type Services = ();

    fn apply(&mut self, event: &SubscriptionEvent) {
        *self = match (event, std::mem::take(self)) {
            (SubscriptionEvent::Reserved { place, .. }, _) => Subscription::Reserved(place.clone()),
            (SubscriptionEvent::Confirmed, Subscription::Reserved(place)) => Subscription::Confirmed(place),
            (SubscriptionEvent::Confirmed, other) => other,
            (SubscriptionEvent::GivenUp, _) => Subscription::Without,
        };
    }
}

impl Subscription {
    fn reserved(&self) -> Result<&Place, SubscriptionRejection> {
        match self {
            Subscription::Reserved(place) => Ok(place),
            Subscription::Without | Subscription::Confirmed(_) => Err(SubscriptionRejection::NotReserved),
        }
    }
}

fn too_late(Place { offer, number }: Place) -> SubscriptionRejection {
    SubscriptionRejection::TooLate { offer, number }
}

impl Handle<Reserve> for Subscription {
    type Reply = ();

    async fn handle(&self, Reserve { place, time }: Reserve, cx: &Context<Self>) -> Decided {
        if let Subscription::Reserved(Place { offer, number }) | Subscription::Confirmed(Place { offer, number }) = self
        {
            return Err(SubscriptionRejection::HasPlace { offer: offer.clone(), number: *number });
        }
        let (claim, expires_at) = (place.claim(), cx.now().plus(time));
        let taken = SubscriptionRejection::PlaceTaken { offer: place.offer.clone(), number: place.number };
        let reserved = self.emit(SubscriptionEvent::Reserved { place, expires_at });
        Ok(reserved.hold(PLACES, claim, expires_at).or_reject(|_| taken))
    }
}

impl Handle<Confirm> for Subscription {
    type Reply = ();

    async fn handle(&self, _: Confirm, _: &Context<Self>) -> Decided {
        let place = self.reserved()?.clone();
        let confirmed = self.emit(SubscriptionEvent::Confirmed).confirm(PLACES, place.claim());
        Ok(confirmed.or_reject(|_| too_late(place)))
    }
}

impl Handle<GiveUp> for Subscription {
    type Reply = ();

    async fn handle(&self, _: GiveUp, _: &Context<Self>) -> Decided {
        let place = self.reserved()?.clone();
        let given_up = self.emit(SubscriptionEvent::GivenUp).release(PLACES, place.claim());
        Ok(given_up.or_reject(|_| too_late(place)))
    }
}
