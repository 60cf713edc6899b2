//! Expectations in another order than: when, what happened, what was answered.

use onefold_core::{Aggregate, Context, Decision, Handle};
use onefold_testkit::Given;

#[derive(Debug, PartialEq, onefold_derive::Event)]
#[event(prefix = "till", crate = "onefold_core")]
enum TillEvent {
    Counted,
}

#[derive(Default)]
struct Till;

/// There is no till without a drawer.
struct Drawer;

impl Aggregate for Till {
    const TYPE: &'static str = "till";
    type Event = TillEvent;
    type Rejection = std::convert::Infallible;
    type Services = ();
    fn apply(&mut self, _: &TillEvent) {}
}

#[derive(Debug)]
struct Count;

impl Handle<Count> for Till {
    type Reply = u64;
    async fn handle(&self, _: Count, _: &Context<Self>) -> Result<Decision<Self, u64>, Self::Rejection> {
        Ok(self.emit(TillEvent::Counted).reply(|_| 1))
    }
}

async fn an_expectation_before_the_command() {
    Given::<Till>::nothing().then_events([TillEvent::Counted]);
}

async fn a_command_that_is_not_awaited() {
    Given::<Till>::nothing().when(Count).then_events([TillEvent::Counted]);
}

async fn a_reply_before_what_happened() {
    Given::<Till>::nothing().when(Count).await.then_reply(1);
}

async fn the_next_command_before_any_expectation() {
    Given::<Till>::nothing().when(Count).await.when(Count).await.then_no_events();
}

async fn a_rejection_after_events() {
    Given::<Till>::nothing().when(Count).await.then_events([TillEvent::Counted]).then_rejected_where(|_| true);
}

async fn a_reply_after_a_rejection() {
    Given::<Till>::nothing().when(Count).await.then_rejected_where(|_| true).then_reply(1);
}

async fn two_replies() {
    Given::<Till>::nothing().when(Count).await.then_events([TillEvent::Counted]).then_reply(1).then_reply(1);
}

async fn services_after_the_command() {
    Given::<Till>::nothing().when(Count).services(()).await.then_no_events();
}

fn main() {}
