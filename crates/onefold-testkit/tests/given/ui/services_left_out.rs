//! A test of an aggregate whose services have no default, and that says none.

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
    type Services = Drawer;
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

async fn test() {
    Given::<Till>::nothing().when(Count).await.then_events([TillEvent::Counted]);
}

fn main() {}
