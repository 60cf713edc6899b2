//! What a handler returns: the events that happened, and how to answer from the state after them.

use std::fmt;

use smallvec::SmallVec;

use crate::Aggregate;

type Reply<A, R> = Box<dyn FnOnce(&A) -> R + Send>;

/// The outcome of a successful [`Handle::handle`](crate::Handle::handle): events, and a reply computed from the state
/// *after* those events, so that it cannot show anything else.
///
/// Built with [`Aggregate::emit`], [`Aggregate::emit_all`] or [`Aggregate::reply`].
#[must_use = "a decision does nothing until the handler returns it"]
pub struct Decision<A: Aggregate, R> {
    events: SmallVec<[A::Event; 1]>,
    reply: Reply<A, R>,
}

impl<A: Aggregate> Decision<A, ()> {
    /// No event and no answer but `()`.
    pub fn nothing() -> Self {
        Decision { events: SmallVec::new(), reply: Box::new(|_| ()) }
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
        Decision { events: self.events, reply: Box::new(reply) }
    }

    /// The events decided on, in order.
    pub fn events(&self) -> &[A::Event] {
        &self.events
    }

    /// Takes the decision apart: the events, and the reply to run once they are applied.
    pub fn into_parts(self) -> (SmallVec<[A::Event; 1]>, impl FnOnce(&A) -> R + Send) {
        (self.events, self.reply)
    }
}

impl<A: Aggregate, R> fmt::Debug for Decision<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.events.iter().map(|event| crate::Event::event_type(event).name);
        f.debug_list().entries(names).finish()
    }
}
