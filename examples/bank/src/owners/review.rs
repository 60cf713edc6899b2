//! Somebody of the bank is to look at an account. One review per account, under the account's id.

use std::convert::Infallible;

use onefold::{Aggregate, Context, Decision, Event, Handle};
use serde::{Deserialize, Serialize};

/// Whether an account is to be looked at.
#[derive(Debug, Default)]
pub struct Review {
    is_requested: bool,
}

/// What can happen to a review. On disk: `review.requested`.
#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
#[event(prefix = "review")]
pub enum ReviewEvent {
    /// The account is to be looked at.
    Requested {
        /// Why.
        reason: String,
    },
}

impl Aggregate for Review {
    const TYPE: &'static str = "review";
    type Event = ReviewEvent;
    type Rejection = Infallible;
    type Services = ();

    fn apply(&mut self, ReviewEvent::Requested { .. }: &ReviewEvent) {
        self.is_requested = true;
    }
}

/// Asks that an account be looked at. Safe to repeat: the first request counts.
#[derive(Clone, Debug)]
pub struct RequestReview {
    /// Why.
    pub reason: String,
}

impl Handle<RequestReview> for Review {
    type Reply = ();

    async fn handle(&self, request: RequestReview, _: &Context<Self>) -> Result<Decision<Self, ()>, Infallible> {
        if self.is_requested {
            return Ok(Decision::nothing());
        }
        Ok(self.emit(ReviewEvent::Requested { reason: request.reason }))
    }
}

#[cfg(test)]
mod tests {
    use onefold_testkit::Given;

    use super::*;

    #[tokio::test]
    async fn a_review_is_requested_once() {
        let (request, requested) = (
            |reason: &str| RequestReview { reason: reason.into() },
            |reason: &str| ReviewEvent::Requested { reason: reason.into() },
        );
        Given::<Review>::nothing()
            .when(request("four accounts"))
            .await
            .then_events([requested("four accounts")])
            .when(request("five accounts"))
            .await
            .then_no_events();
    }
}
