//! Steps that nothing follows: warnings, which this crate turns into errors.
#![deny(unused_must_use)]

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

async fn given_alone() {
    Given::<Till>::nothing();
}

async fn a_command_alone() {
    Given::<Till>::nothing().when(Count);
}

async fn an_outcome_that_nobody_looks_at() {
    Given::<Till>::nothing().when(Count).await;
}

fn main() {}
