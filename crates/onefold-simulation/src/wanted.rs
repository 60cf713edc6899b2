//! What a caller wants done, with or without an idempotency key, and how it is sent: the same command each time.

use onefold::{Aggregate, Aggregates, Ask, StreamId};
use onefold_testkit::history::OPERATION_ENTRY;

use crate::scenario::Parts;
use crate::simulated::{Order, Simulated, Twist};
use crate::witness::{Intent, Keyed, OperationId};
use crate::{Command, Random};

/// See the module.
pub(crate) struct Wanted {
    /// Of which aggregate, by its place among them.
    pub(crate) aggregate: usize,
    /// What the command is drawn from.
    pub(crate) draw: Random,
    pub(crate) keyed: Option<Keyed>,
}

impl Wanted {
    /// By its key. Whether a rejection is remembered is said anew each time.
    pub(crate) fn of(intent: Intent, random: &mut Random) -> Self {
        let Intent { number, aggregate, draw, key } = intent;
        Wanted { aggregate, draw, keyed: Some(Keyed { key, intent: number, remembers: random.one_in(2) }) }
    }

    /// The command, the same each time.
    pub(crate) fn command<A: Aggregate>(&self, parts: &Parts<A>) -> Command<A> {
        (parts.commands)(&mut self.draw.clone())
    }
}

/// The command in its shell, ready to be sent.
pub(crate) fn ask<A: Aggregate>(
    aggregates: &Aggregates<Simulated<A>>,
    stream: &StreamId,
    operation: OperationId,
    command: Command<A>,
    twist: Twist,
    keyed: Option<&Keyed>,
) -> Ask<Simulated<A>, Order<A>> {
    let intent = keyed.map_or(0, |keyed| keyed.intent);
    let ask = aggregates.ask(stream.aggregate_id(), Order { operation, intent, command, twist });
    let ask = ask.metadata(OPERATION_ENTRY, operation.get().to_string());
    match keyed {
        Some(keyed) if keyed.remembers => ask.idempotency_key(&keyed.key).remember_rejection(),
        Some(keyed) => ask.idempotency_key(&keyed.key),
        None => ask,
    }
}
