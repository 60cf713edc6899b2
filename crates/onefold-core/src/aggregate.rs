//! What a user implements: an aggregate, and one small `impl` per command.

use std::future::Future;

use crate::{Context, Decision, Event};

/// A type that decides on commands and applies events.
///
/// An aggregate's state is a pure function of its events: the state while it runs, the state after a replay and the
/// state after a restart are the same. So [`apply`](Aggregate::apply) must be total and pure: no clock, no randomness,
/// no I/O, no panic. All of those belong into [`Handle::handle`], whose result is written down as events.
///
/// ```
/// use onefold_core::{Aggregate, Context, Decision, Handle};
/// # use onefold_core::{CodecError, CodecId, DecodeError, Event, EventType, PayloadWriter};
/// # pub struct Opened;
/// # impl Event for Opened {
/// #     const TYPES: &'static [EventType] = &[EventType { name: "door.opened", revision: 1 }];
/// #     fn event_type(&self) -> EventType { Self::TYPES[0] }
/// #     fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> { Ok(()) }
/// #     fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> { Ok(Opened) }
/// # }
/// #[derive(Default)]
/// struct Door { opened: u64 }
///
/// impl Aggregate for Door {
///     const TYPE: &'static str = "door";
///     type Event = Opened;
///     type Rejection = std::convert::Infallible;
///     type Services = ();
///     fn apply(&mut self, _: &Opened) { self.opened += 1 }
/// }
///
/// struct Open;
///
/// impl Handle<Open> for Door {
///     type Reply = u64;
///     async fn handle(&self, _: Open, _: &Context<Self>) -> Result<Decision<Self, u64>, Self::Rejection> {
///         Ok(self.emit(Opened).reply(|door| door.opened))
///     }
/// }
/// ```
pub trait Aggregate: Default + Send + Sync + 'static {
    /// The aggregate's type as it stands on disk, in metrics and in messages. Never derived from the Rust path, so that
    /// code can be moved; never to be changed once there is data. 1 to 64 bytes of `a-z`, `0-9`, `_`, `-` and `.`,
    /// checked when the type is registered with a runtime.
    const TYPE: &'static str;

    /// The facts that make up this aggregate's stream.
    type Event: Event;

    /// How the domain says no. Usually a `thiserror` enum.
    type Rejection: std::error::Error + Send + Sync + 'static;

    /// What handlers may use besides the state: clients, pools, prices. Injected when the type is registered.
    type Services: Send + Sync + 'static;

    /// Brings the state up to date with one event. Total and pure, see the trait's introduction.
    fn apply(&mut self, event: &Self::Event);

    /// An estimate of the memory this state holds on the heap, in bytes, for the runtime's memory budget. The default, 0,
    /// suits small states.
    fn weight(&self) -> usize {
        0
    }

    /// Decides on one event: `Ok(self.emit(Withdrawn { amount }).reply(|account| account.balance))`.
    fn emit(&self, event: impl Into<Self::Event>) -> Decision<Self, ()> {
        Decision::nothing().and(event)
    }

    /// Decides on several events that land together or not at all.
    fn emit_all(&self, events: impl IntoIterator<Item = Self::Event>) -> Decision<Self, ()> {
        Decision::nothing().and_all(events)
    }

    /// Decides that nothing happens, and answers from the state: a query, or a command that was already done.
    fn reply<R>(&self, reply: impl FnOnce(&Self) -> R + Send + 'static) -> Decision<Self, R> {
        Decision::nothing().reply(reply)
    }
}

/// How an aggregate decides on commands of type `C`.
///
/// `&self` is deliberate: a handler that returns a rejection cannot leave dirty state behind. What should change goes into
/// the [`Decision`] as events.
///
/// A handler may await: a price, a check at another service. Meanwhile other commands of this one aggregate wait; other
/// aggregates don't notice. What a handler does to the outside world is its own affair; `cx.durable().await` waits until
/// every earlier decision of this aggregate is durable.
///
/// A handler may be polled by its caller's task or by the aggregate's actor, one after the other even. So it must not rely on
/// task-locals, nor on the `tracing` span around the `ask`: what it should know goes into the command or its metadata.
///
/// # Panics
///
/// A panic in a handler is caught: the caller gets an error that names the aggregate, nothing is stored, and the
/// aggregate is rebuilt from its journal before the next command.
pub trait Handle<C: Send + 'static>: Aggregate {
    /// What the caller gets when the decision is durable.
    type Reply: Send + 'static;

    /// Decides. Runs alone on this aggregate, on a state that includes every earlier decision.
    ///
    /// # Errors
    ///
    /// [`Aggregate::Rejection`] when the domain says no; then nothing happened.
    fn handle(
        &self,
        command: C,
        cx: &Context<Self>,
    ) -> impl Future<Output = Result<Decision<Self, Self::Reply>, Self::Rejection>> + Send;

    /// An estimate of the memory that a command holds on the heap, in bytes: its texts, its buffers. With the size of its
    /// type it is what the command counts for in the runtime's bound on waiting commands. Asked once, when the command is
    /// sent, so it must be quick. The default, 0, suits commands that point to little.
    ///
    /// ```ignore
    /// fn weight_of(upload: &Upload) -> usize {
    ///     upload.bytes.capacity()
    /// }
    /// ```
    fn weight_of(command: &C) -> usize {
        let _ = command;
        0
    }
}

/// Which events do not speak against a command of type `C` that was sent without having seen them.
///
/// Two people edit one aggregate from the same version. The second one's command comes with a version that is stale by then,
/// and is a conflict, unless what came in between has nothing to do with it: a new name and a new address go together, two
/// new addresses do not. A command with this trait may be asked with `or_merge()`; without, a stale version always conflicts.
///
/// ```
/// # use onefold_core::{Aggregate, Context, Decision, Handle, Merge};
/// # use onefold_core::{CodecError, CodecId, DecodeError, Event, EventType, PayloadWriter};
/// # pub enum Changed { Name(String), Address(String) }
/// # impl Event for Changed {
/// #     const TYPES: &'static [EventType] = &[EventType { name: "holder.changed", revision: 1 }];
/// #     fn event_type(&self) -> EventType { Self::TYPES[0] }
/// #     fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> { Ok(()) }
/// #     fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> { Ok(Changed::Name(String::new())) }
/// # }
/// # #[derive(Default)]
/// # struct Holder;
/// # impl Aggregate for Holder {
/// #     const TYPE: &'static str = "holder";
/// #     type Event = Changed;
/// #     type Rejection = std::convert::Infallible;
/// #     type Services = ();
/// #     fn apply(&mut self, _: &Changed) {}
/// # }
/// struct ChangeAddress(String);
/// # impl Handle<ChangeAddress> for Holder {
/// #     type Reply = ();
/// #     async fn handle(&self, c: ChangeAddress, _: &Context<Self>) -> Result<Decision<Self, ()>, Self::Rejection> {
/// #         Ok(self.emit(Changed::Address(c.0)))
/// #     }
/// # }
///
/// impl Merge<ChangeAddress> for Holder {
///     fn merges(_: &ChangeAddress, missed: &[Changed]) -> bool {
///         missed.iter().all(|event| matches!(event, Changed::Name(_)))
///     }
/// }
///
/// let move_house = ChangeAddress("Surrey".into());
/// assert!(Holder::merges(&move_house, &[Changed::Name("Ada King".into())]));
/// assert!(!Holder::merges(&move_house, &[Changed::Address("Paris".into())]));
/// ```
pub trait Merge<C: Send + 'static>: Handle<C> {
    /// Whether `command` may be decided although its sender has not seen `missed`: the events from the version that it
    /// expects, exclusive, up to the present one, in order; never none.
    ///
    /// It judges what the sender could not know, and no more: [`Handle::handle`] follows, on the state that includes what was
    /// missed, and may still reject. Pure, and quick: the aggregate waits.
    fn merges(command: &C, missed: &[Self::Event]) -> bool;
}
