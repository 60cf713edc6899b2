//! The user's aggregate in a shell that sees what happens to it, and does what a seed says: panics, sleeps, waits.
//!
//! The runtime runs the shell as it runs any aggregate. Type and events are the user's own, so what is stored is what would be
//! stored without the shell, but for the replies that are remembered with idempotency keys.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_core::future::BoxFuture;
use onefold::{
    Aggregate, AwaitDurable, Clock, CodecId, Context, Decision, Event, Handle, PayloadWriter, StreamVersion,
};
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::Notify;

use crate::command::{Command, Decided};
use crate::scenario::Invariant;
use crate::witness::{OperationId, Witness};

/// See the module.
#[derive(Default)]
pub(crate) struct Simulated<A> {
    pub(crate) inner: A,
    pub(crate) version: StreamVersion,
    /// Depends on every event applied and on their order.
    pub(crate) digest: u64,
    /// The stage that panics next.
    armed: AtomicU8,
}

/// What the shell's handlers use.
pub(crate) struct Tools<A: Aggregate> {
    pub(crate) services: Arc<A::Services>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) invariant: Option<Invariant<A>>,
}

/// A command with what happens to it on the way.
pub(crate) struct Order<A: Aggregate> {
    pub(crate) operation: OperationId,
    /// What is wanted, the same for each repeat; 0 for a command without a key.
    pub(crate) intent: u64,
    pub(crate) command: Command<A>,
    pub(crate) twist: Twist,
}

/// What tells commands apart: `Command` cannot be serialized, what it was drawn for can.
impl<A: Aggregate> Serialize for Order<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct("Order", &self.intent)
    }
}

/// What happens while a command is handled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Twist {
    /// So often the handler lets others go first.
    pub(crate) yields: u32,
    pub(crate) sleep: Duration,
    /// Waits until everything before is durable.
    pub(crate) durable: bool,
    pub(crate) panic: Option<Stage>,
}

/// Where a panic strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Handle,
    Apply,
    Reply,
    Weight,
}

/// What a caller learns from the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// What it was asked for; 0 without a key.
    pub(crate) intent: u64,
    pub(crate) version: StreamVersion,
    pub(crate) digest: u64,
    pub(crate) events: u64,
}

/// A rejection of the aggregate's, as it is told and remembered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{text}")]
pub(crate) struct Refused {
    pub(crate) intent: u64,
    /// The state that was decided on.
    pub(crate) version: StreamVersion,
    pub(crate) digest: u64,
    pub(crate) text: String,
}

/// What an injected panic says.
pub(crate) const INJECTED: &str = "simulated panic";

/// Without the panic hook, which would print every one of them.
fn panic_on_purpose() -> ! {
    resume_unwind(Box::new(INJECTED))
}

/// One event more.
pub(crate) fn digest(before: u64, name: &str, payload: &[u8]) -> u64 {
    // FNV-1a.
    let bytes = name.bytes().chain([0]).chain(payload.iter().copied());
    bytes.fold(before ^ 0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

impl<A: Aggregate> Simulated<A> {
    /// Panics if that was arranged for this stage.
    fn pass(&self, stage: Stage) {
        if self.armed.load(Ordering::Relaxed) == stage as u8 + 1 {
            self.armed.store(0, Ordering::Relaxed);
            panic_on_purpose();
        }
    }

    fn seen(&self, intent: u64, events: u64) -> Seen {
        Seen { intent, version: self.version, digest: self.digest, events }
    }
}

impl<A: Aggregate> Aggregate for Simulated<A> {
    const TYPE: &'static str = A::TYPE;
    type Event = A::Event;
    type Rejection = Refused;
    type Services = Tools<A>;

    fn apply(&mut self, event: &A::Event) {
        self.pass(Stage::Apply);
        let mut payload = Vec::new();
        // An event that can't be encoded never gets here.
        let _ = event.encode(CodecId::Bincode, &mut PayloadWriter::new(&mut payload, usize::MAX));
        self.digest = digest(self.digest, event.event_type().name, &payload);
        self.version = self.version.next();
        self.inner.apply(event);
    }

    fn weight(&self) -> usize {
        self.pass(Stage::Weight);
        self.inner.weight()
    }
}

impl<A: Aggregate> Handle<Order<A>> for Simulated<A> {
    type Reply = Seen;

    async fn handle(&self, order: Order<A>, cx: &Context<Self>) -> Result<Decision<Self, Seen>, Refused> {
        let Order { operation, intent, command, twist } = order;
        let Tools { services, clock, witness, invariant } = cx.services();
        self.armed.store(0, Ordering::Relaxed);
        let running = Witness::started(witness, operation, self.version, self.digest);
        witness.check_version(operation, cx.version(), self.version);
        for _ in 0..twist.yields {
            tokio::task::yield_now().await;
        }
        if twist.durable {
            cx.durable().await;
            witness.check_durable(operation, self.version);
        }
        if !twist.sleep.is_zero() {
            tokio::time::sleep(twist.sleep).await;
        }
        if twist.panic == Some(Stage::Handle) {
            panic_on_purpose();
        }
        let bridge = Arc::new(Bridge::default());
        let mut context = Context::new(services.clone(), cx.id().clone(), clock.clone(), bridge.clone());
        context.prepare(cx.version(), cx.metadata().clone());
        let decided = with_bridge(&bridge, command.decide(&self.inner, &context), || Box::pin(cx.durable())).await;
        let Decided { events, claims, reply } = match decided {
            Ok(decided) => decided,
            Err(rejection) => {
                running.rejected();
                let text = rejection.to_string();
                return Err(Refused { intent, version: self.version, digest: self.digest, text });
            }
        };
        let count = events.len() as u64;
        running.decided(count, !claims.is_empty());
        if let Some(stage) = twist.panic {
            self.armed.store(stage as u8 + 1, Ordering::Relaxed);
        }
        let (witness, invariant) = (witness.clone(), invariant.clone());
        let (version, digest) = (self.version, self.digest);
        let refused = move |rejection: A::Rejection| Refused { intent, version, digest, text: rejection.to_string() };
        let claims = claims.into_iter().map(|request| request.map_rejection(refused));
        Ok(self.emit_all(events).and_claims(claims).reply(move |state| {
            state.pass(Stage::Reply);
            if let Err(reason) = reply(&state.inner) {
                witness.wrong_reply(operation, reason);
            }
            if let Some(Err(reason)) = invariant.map(|invariant| invariant(&state.inner)) {
                witness.broken_invariant(operation, state.version, reason);
            }
            state.seen(intent, count)
        }))
    }
}

/// Lets the user's handler wait for durability though it has a context of its own.
#[derive(Default)]
struct Bridge {
    asked: AtomicBool,
    durable: Notify,
}

impl AwaitDurable for Bridge {
    fn durable(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let durable = self.durable.notified();
            self.asked.store(true, Ordering::Relaxed);
            durable.await;
        })
    }
}

/// Runs `handling`; whenever it waits at the bridge, the shell's own context is asked.
async fn with_bridge<'a, T>(
    bridge: &Bridge,
    handling: impl Future<Output = T>,
    durable: impl Fn() -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
) -> T {
    let mut handling = std::pin::pin!(handling);
    let mut waiting = None;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = handling.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            if bridge.asked.swap(false, Ordering::Relaxed) {
                waiting = Some(durable());
            }
            let Some(asked) = &mut waiting else { return Poll::Pending };
            if asked.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            waiting = None;
            bridge.durable.notify_waiters();
        }
    })
    .await
}
