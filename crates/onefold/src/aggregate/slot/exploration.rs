//! Every order in which callers, the actor, the releaser and a passivation take the slot's locks, as far as chance and
//! `shuttle` find them: nothing is lost, nothing runs twice, nobody waits for ever.
//!
//! ```sh
//! .ci/explore
//! ```
//!
//! The registry is a lock around the current slot: that of the runtime is a `DashMap`, whose own locks shuttle does not know.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as Waiting, Poll};
use std::time::Duration;

use onefold_core::journal::MemoryJournal;
use onefold_core::{
    Aggregate, CodecError, CodecId, Context, Decision, DecodeError, Event, EventType, Handle, PayloadWriter, StreamId,
    SystemClock,
};
use shuttle::future::block_on;
use shuttle::thread;
use tokio::time::Instant;

use super::{Pushed, Slot};
use crate::aggregate::call::Call;
use crate::aggregate::execution::Command;
use crate::aggregate::kind::Kind;
use crate::aggregate::run;
use crate::config::Config;
use crate::error::Error;
use crate::receipt::ReplyOnly;
use crate::runtime::residency::{Entered, Resident};
use crate::runtime::shared::Shared;
use crate::sync::Mutex;

/// How many orders each test tries.
const ORDERS: usize = 2_000;

#[derive(Default)]
struct Count(u64);

struct Counted;

impl Event for Counted {
    const TYPES: &'static [EventType] = &[EventType { name: "count.counted", revision: 1 }];
    fn event_type(&self) -> EventType {
        Self::TYPES[0]
    }
    fn encode(&self, _: CodecId, _: &mut PayloadWriter<'_>) -> Result<(), CodecError> {
        Ok(())
    }
    fn decode(_: &str, _: u16, _: CodecId, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Counted)
    }
}

impl Aggregate for Count {
    const TYPE: &'static str = "count";
    type Event = Counted;
    type Rejection = std::convert::Infallible;
    /// How many handlers have run.
    type Services = Arc<AtomicU64>;
    fn apply(&mut self, _: &Counted) {
        self.0 += 1;
    }
}

/// Lets others go first so often, then counts.
struct Increase(u32);

impl Handle<Increase> for Count {
    type Reply = u64;

    async fn handle(
        &self,
        Increase(mut yields): Increase,
        cx: &Context<Self>,
    ) -> Result<Decision<Self, u64>, Self::Rejection> {
        cx.services().fetch_add(1, Ordering::SeqCst);
        poll_fn(|cx: &mut Waiting<'_>| match yields {
            0 => Poll::Ready(()),
            _ => {
                yields -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        Ok(self.emit(Counted).reply(|count| count.0))
    }
}

type Ask = Call<Count, Command<Count, Increase, ReplyOnly>>;

/// One aggregate, its registry, and how often its handlers ran.
struct World {
    kind: Arc<Kind<Count>>,
    current: Mutex<Arc<Slot<Count>>>,
    ran: Arc<AtomicU64>,
}

impl World {
    fn new(tokio: &tokio::runtime::Handle) -> Arc<Self> {
        let (journal, clock) = (Arc::new(MemoryJournal::new()), Arc::new(SystemClock));
        let shared = Shared::new(Config::default(), journal, clock, Some(1), tokio.clone());
        let ran = Arc::new(AtomicU64::new(0));
        let kind = Kind::new(shared, ran.clone());
        let first = Slot::new(&kind, stream());
        let world = Arc::new(World { kind, current: Mutex::new(first.clone()), ran });
        assert!(matches!(world.kind.shared.residency.enter(first), Entered::Welcome));
        world
    }

    /// What `dispatch` does: finds the slot, or its successor, and runs the call at once or queues it.
    fn send(&self, yields: u32, cx: &mut Waiting<'_>) -> Arc<Ask> {
        let (deadline, bytes) = (Instant::now() + Duration::from_secs(3_600), 100);
        self.kind.shared.admission.admit(bytes).unwrap_or_else(|_| panic!("there is room"));
        let make = |slot: &Arc<Slot<Count>>, waker| {
            Arc::new(Call::new(slot.clone(), Command::new(Increase(yields)), deadline, None, waker, bytes))
        };
        let mut current = self.current.lock();
        loop {
            let (slot, mut queued) = (current.clone(), None);
            let waker = cx.waker().clone();
            match slot.push(1, bytes, true, || queued.insert(make(&slot, Some(waker))).clone()) {
                Pushed::Begin(instance) => {
                    drop(current);
                    let call = make(&slot, None);
                    run::begin(instance, call.clone(), cx);
                    return call;
                }
                Pushed::Queued(summon) => {
                    drop(current);
                    summon.carry_out();
                    return queued.expect("queued");
                }
                Pushed::Full { .. } => panic!("there is room"),
                Pushed::Closed => {
                    let successor = Slot::new(&self.kind, stream());
                    *current = successor.clone();
                    assert!(matches!(self.kind.shared.residency.enter(successor), Entered::Welcome));
                }
            }
        }
    }

    fn ask(&self, yields: u32) -> Result<u64, Error<std::convert::Infallible>> {
        let mut call = None;
        block_on(poll_fn(|cx| {
            let call: &mut Arc<Ask> = call.get_or_insert_with(|| self.send(yields, cx));
            call.poll_answer(cx)
        }))
    }

    /// Asks, and leaves without waiting.
    fn ask_and_leave(&self, yields: u32) {
        block_on(poll_fn(|cx| {
            self.send(yields, cx).abandon();
            Poll::Ready(())
        }));
    }

    fn passivate(&self) {
        let slot = self.current.lock().clone();
        if slot.evict() {
            slot.retire();
        }
    }

    /// Ends it, and tells how often handlers ran.
    fn end(&self) -> u64 {
        let slot = self.current.lock().clone();
        if slot.close_now(|| unreachable!("nobody waits any more")) {
            slot.retire();
        }
        self.kind.shared.releaser.close();
        self.ran.load(Ordering::SeqCst)
    }
}

fn stream() -> StreamId {
    StreamId::new(Count::TYPE, "a").expect("a valid id")
}

/// Explores `body` in many orders, each with a world of its own.
fn explore(body: impl Fn(Arc<World>) + Send + Sync + 'static) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a tokio runtime");
    let _within = tokio.enter();
    let handle = tokio.handle().clone();
    let explored = move || body(World::new(&handle));
    shuttle::check_pct(explored, ORDERS, 4);
}

fn spawn<T: Send + 'static>(
    world: &Arc<World>,
    run: impl FnOnce(&World) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || run(&world))
}

#[test]
fn two_callers_and_a_passivation_lose_nothing() {
    explore(|world| {
        let callers = [0, 1].map(|yields| spawn(&world, move |world| [world.ask(yields), world.ask(0)]));
        let passivation = spawn(&world, |world| (world.passivate(), world.passivate()));
        let answers = callers.map(|caller| caller.join().expect("no panic"));
        passivation.join().expect("no panic");
        let mut seen: Vec<u64> = answers.into_iter().flatten().map(|answer| answer.expect("counted")).collect();
        seen.sort_unstable();
        assert_eq!((seen, world.end()), (vec![1, 2, 3, 4], 4), "each ran once, on what those before it left");
    });
}

#[test]
fn run_that_is_not_ready_is_handed_over_once() {
    explore(|world| {
        let callers = [2, 1, 0].map(|yields| spawn(&world, move |world| world.ask(yields)));
        let mut seen: Vec<_> = callers.map(|caller| caller.join().expect("no panic").expect("counted")).into();
        seen.sort_unstable();
        assert_eq!((seen, world.end()), (vec![1, 2, 3], 3));
    });
}

#[test]
fn actor_that_dozes_misses_no_arrival() {
    explore(|world| {
        let callers = [0, 1].map(|yields| spawn(&world, move |world| [world.ask(yields), world.ask(yields)]));
        let dozing = spawn(&world, |world| {
            for _ in 0..3 {
                let slot = world.current.lock().clone();
                slot.let_doze();
            }
        });
        let answers = callers.map(|caller| caller.join().expect("no panic"));
        dozing.join().expect("no panic");
        let mut seen: Vec<u64> = answers.into_iter().flatten().map(|answer| answer.expect("counted")).collect();
        seen.sort_unstable();
        assert_eq!((seen, world.end()), (vec![1, 2, 3, 4], 4));
    });
}

#[test]
fn cancelled_call_runs_whole_or_not_at_all() {
    explore(|world| {
        let stays = spawn(&world, |world| world.ask(1));
        let leaves = spawn(&world, |world| world.ask_and_leave(1));
        let passivation = spawn(&world, World::passivate);
        let seen = stays.join().expect("no panic").expect("counted");
        leaves.join().expect("no panic");
        passivation.join().expect("no panic");
        // Behind whatever the one who left may have begun.
        let last = world.ask(0).expect("counted");
        let ran = world.end();
        assert!(
            (seen, last, ran) == (1, 2, 2) || ((1..=2).contains(&seen) && (last, ran) == (3, 3)),
            "{seen} {last} {ran}"
        );
    });
}
