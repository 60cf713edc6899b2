//! What a handler returns: the events that happened, and how to answer from the state after them.

mod claims;

use std::fmt;

use smallvec::SmallVec;

pub use self::claims::{ClaimRefused, ClaimRequest};
use crate::Aggregate;

type Reply<A, R> = Box<dyn FnOnce(&A) -> R + Send>;

/// The outcome of a successful [`Handle::handle`](crate::Handle::handle): events, and a reply computed from the state
/// *after* those events, so that it cannot show anything else.
///
/// Built with [`Aggregate::emit`], [`Aggregate::emit_all`] or [`Aggregate::reply`]. It may also take, hold and give up
/// [claims](crate::ClaimName), values that are unique across aggregates, in the same commit as its events.
#[must_use = "a decision does nothing until the handler returns it"]
pub struct Decision<A: Aggregate, R> {
    events: SmallVec<[A::Event; 1]>,
    reply: Reply<A, R>,
    /// Few decisions have any: the others do not carry the room for them.
    claims: Option<Box<claims::Requests<A::Rejection>>>,
}

/// A decision taken apart. For runtimes and test kits.
pub struct DecisionParts<A: Aggregate, R> {
    /// The events decided on, in order.
    pub events: SmallVec<[A::Event; 1]>,
    /// Changes of claims, in order.
    pub claims: Vec<ClaimRequest<A::Rejection>>,
    /// The reply, to be run on the state after the events.
    pub reply: Box<dyn FnOnce(&A) -> R + Send>,
}

impl<A: Aggregate> Decision<A, ()> {
    /// No event and no answer but `()`.
    pub fn nothing() -> Self {
        Decision { events: SmallVec::new(), reply: Box::new(|_| ()), claims: None }
    }
}

impl<A: Aggregate, R> Decision<A, R> {
    /// Adds an event. All events of a decision land in one commit.
    pub fn and(mut self, event: impl Into<A::Event>) -> Self {
        self.events.push(event.into());
        self
    }

    /// Adds several events, in order.
    pub fn and_all(mut self, events: impl IntoIterator<Item = A::Event>) -> Self {
        self.events.extend(events);
        self
    }

    /// Sets the reply: a closure over the state after the events. It runs at once; its result is held back until the
    /// events are durable.
    pub fn reply<S>(self, reply: impl FnOnce(&A) -> S + Send + 'static) -> Decision<A, S> {
        Decision { events: self.events, reply: Box::new(reply), claims: self.claims }
    }

    /// The events decided on, in order.
    pub fn events(&self) -> &[A::Event] {
        &self.events
    }

    /// Takes the decision apart.
    pub fn into_parts(self) -> DecisionParts<A, R> {
        let Decision { events, reply, claims } = self;
        DecisionParts { events, claims: claims.map(|requests| requests.0).unwrap_or_default(), reply }
    }
}

impl<A: Aggregate, R> fmt::Debug for Decision<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.events.iter().map(|event| crate::Event::event_type(event).name);
        f.debug_list().entries(names).finish()
    }
}

impl<A: Aggregate, R> fmt::Debug for DecisionParts<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.events.iter().map(|event| crate::Event::event_type(event).name).collect();
        f.debug_struct("DecisionParts").field("events", &names).field("claims", &self.claims).finish_non_exhaustive()
    }
}
