//! A runtime for one order: everything but the sweeper, whose part a test plays, and an end that leaves nothing behind.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use onefold_core::SystemClock;
use onefold_core::journal::Journal;
use shuttle::future::block_on;
use shuttle::thread;
use tokio::runtime::Handle;

use super::count::{Count, Increase, Then, Watch};
use super::journal::{Fault, LateJournal};
use crate::aggregate::kind::Kind;
use crate::aggregates::Aggregates;
use crate::config::Config;
use crate::error::Error;
use crate::runtime::shared::{KindOps, Shared};
use crate::sync::explored::{cut_off_tasks_from, join_all_tasks};
use crate::transact::{TransactError, transact};

pub(super) type Answer = Result<u64, Error<std::convert::Infallible>>;

pub(super) type Failure = TransactError<std::convert::Infallible>;

/// What a test sets: narrow bounds, and what goes wrong.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) resident_max: usize,
    pub(super) residency_line_max: usize,
    /// How many appends the journal takes before it has decided any.
    pub(super) appends_max: usize,
    pub(super) fault: Option<(usize, Fault)>,
    /// So many panics quarantine an aggregate.
    pub(super) crashes_max: u32,
}

impl Setting {
    /// Nothing is scarce, and nothing goes wrong.
    pub(super) const WIDE: Setting =
        Setting { resident_max: 16, residency_line_max: 16, appends_max: 16, fault: None, crashes_max: 16 };
}

/// The journal's task and the releaser's are there first, the others are actors'.
const TASKS_OF_ALL: usize = 2;

/// See the module.
pub(super) struct World {
    shared: Arc<Shared>,
    kind: Arc<Kind<Count>>,
    aggregates: Aggregates<Count>,
    journal: LateJournal,
}

impl World {
    pub(super) fn new(tokio: &Handle, setting: Setting) -> Arc<Self> {
        let journal = LateJournal::new(setting.appends_max, setting.fault);
        crate::sync::spawn(tokio, journal.clone().write());
        let config = Config {
            resident_max: setting.resident_max,
            residency_line_max: setting.residency_line_max,
            deadline: Duration::from_secs(3_600),
            crashes_max: setting.crashes_max,
            ..Config::default()
        };
        let shared_journal: Arc<dyn Journal> = Arc::new(journal.clone());
        let shared = Shared::new(config, shared_journal, Arc::new(SystemClock), Some(1), tokio.clone());
        let kind = Kind::new(shared.clone(), Watch::new(journal.clone()));
        let aggregates = Aggregates::new(kind.clone());
        Arc::new(World { shared, kind, aggregates, journal })
    }

    /// Asks aggregate `id` to increase, after so many pauses of its handler, and waits for the answer.
    pub(super) fn ask(&self, id: &str, pauses: u32) -> Answer {
        self.ask_for(id, Increase { pauses, then: Then::Decide })
    }

    /// Asks, and waits for the answer, which must not show what is not durable.
    pub(super) fn ask_for(&self, id: &str, increase: Increase) -> Answer {
        self.checked(id, block_on(self.aggregates.ask(id, increase)))
    }

    /// Asks for all of them at the first poll, in this order, and waits for the answers.
    pub(super) fn ask_at_once<const N: usize>(&self, id: &str, increases: [Increase; N]) -> [Answer; N] {
        let mut asks = increases.map(|increase| (Box::pin(self.aggregates.ask(id, increase)), None));
        block_on(poll_fn(|cx| {
            for (ask, answer) in &mut asks {
                if answer.is_none()
                    && let Poll::Ready(ready) = ask.as_mut().poll(cx)
                {
                    *answer = Some(ready);
                }
            }
            if asks.iter().all(|(_, answer)| answer.is_some()) { Poll::Ready(()) } else { Poll::Pending }
        }));
        asks.map(|(_, answer)| self.checked(id, answer.expect("answered")))
    }

    /// Asks two aggregates together, and waits for the answers.
    pub(super) fn ask_together(&self, ids: [&str; 2], increases: [Increase; 2]) -> Result<[u64; 2], Failure> {
        let [(one, first), (two, second)] = [(ids[0], increases[0]), (ids[1], increases[1])];
        let counts = block_on(transact([self.aggregates.ask(one, first), self.aggregates.ask(two, second)]));
        if let Ok(counts) = &counts {
            for (id, shown) in ids.iter().zip(counts) {
                self.kind.services.check_durable(id, *shown, "an answer");
            }
        }
        counts
    }

    /// Asks two aggregates together, and leaves after so many polls. Whether they were faster.
    pub(super) fn ask_together_and_leave(&self, ids: [&str; 2], increases: [Increase; 2], mut polls: u32) -> bool {
        let [(one, first), (two, second)] = [(ids[0], increases[0]), (ids[1], increases[1])];
        let mut asks = pin!(transact([self.aggregates.ask(one, first), self.aggregates.ask(two, second)]));
        block_on(poll_fn(|cx| match asks.as_mut().poll(cx) {
            Poll::Ready(counts) => Poll::Ready(counts.is_ok()),
            Poll::Pending if polls <= 1 => Poll::Ready(false),
            Poll::Pending => {
                polls -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }))
    }

    /// Asks, and leaves after so many polls. Returns the answer if it was faster.
    pub(super) fn ask_and_leave(&self, id: &str, increase: Increase, mut polls: u32) -> Option<Answer> {
        let mut ask = pin!(self.aggregates.ask(id, increase));
        let answer = block_on(poll_fn(|cx| match ask.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if polls <= 1 => Poll::Ready(None),
            Poll::Pending => {
                polls -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }));
        answer.map(|answer| self.checked(id, answer))
    }

    /// Asks with a deadline of a second; see [`let_time_pass`](World::let_time_pass).
    pub(super) fn ask_within_a_second(&self, id: &str, increase: Increase) -> Answer {
        let answer = block_on(self.aggregates.ask(id, increase).deadline(Duration::from_secs(1)));
        self.checked(id, answer)
    }

    /// Asks when its deadline has passed already. Such a call never runs, so it is not begun by its caller either.
    pub(super) fn ask_too_late(&self, id: &str, increase: Increase) -> Answer {
        block_on(self.aggregates.ask(id, increase).deadline(Duration::ZERO))
    }

    /// Reads what aggregate `id` is, and its version.
    pub(super) fn read(&self, id: &str) -> Answer {
        self.checked(id, block_on(self.aggregates.read(id, |count| count.0)))
    }

    fn checked(&self, id: &str, answer: Answer) -> Answer {
        let residents = self.shared.residency.count();
        assert!(residents <= self.shared.config.resident_max, "{residents} residents");
        if let Ok(shown) = &answer {
            self.kind.services.check_durable(id, *shown, "an answer");
        }
        answer
    }

    /// Two seconds pass, and those whose deadline that was are told.
    pub(super) fn let_time_pass(&self) {
        block_on(tokio::time::advance(Duration::from_secs(2)));
        self.shared.deadlines.look();
    }

    /// The sweeper's part: lets go of all that are idle.
    pub(super) fn passivate(&self) {
        self.shared.residency.sweep(0, |_| true, |_| false);
        self.shared.residency.serve_line();
    }

    /// The sweeper's part: sends home all actors that have nothing to do.
    pub(super) fn let_doze(&self) {
        self.shared.residency.sweep(0, |_| false, |_| true);
    }

    /// The runtime ends, and waits for nobody.
    pub(super) fn end_at_once(&self) {
        self.shared.begin_closing();
        self.kind.close_all();
    }

    /// The releaser's task ends; acknowledgements go on without it.
    pub(super) fn close_releaser(&self) {
        self.shared.releaser.close();
    }

    /// Every actor is dropped where it stands, as tokio does it at its end.
    pub(super) fn cut_off_actors(&self) {
        cut_off_tasks_from(TASKS_OF_ALL);
    }

    /// Waits until everybody was answered, those included who have left.
    pub(super) fn wait_until_quiet(&self) {
        block_on(self.shared.admission.until_empty());
    }

    /// How many events of aggregate `id` are durable.
    pub(super) fn stored(&self, id: &str) -> u64 {
        self.journal.durable_events(id)
    }

    /// How many handlers have begun.
    pub(super) fn begun(&self) -> u64 {
        self.kind.services.begun()
    }

    pub(super) fn was_opened_early(&self) -> bool {
        self.journal.was_opened_early()
    }

    /// Ends it as a shutdown does, waits for all tasks, and looks whether anything is left.
    pub(super) fn end(self: Arc<Self>) {
        let world = Arc::into_inner(self).expect("everybody else was waited for");
        world.wait_until_quiet();
        world.passivate();
        if world.shared.residency.count() == 0 && !world.shared.residency.has_line() {
            assert_eq!(world.kind.slots_known(), 0, "a slot that was let go was not forgotten");
        }
        if !world.shared.is_closing() {
            world.end_at_once();
        }
        world.journal.end();
        world.shared.releaser.close();
        join_all_tasks();
        let World { shared, kind, aggregates, .. } = world;
        assert_eq!(kind.services.objections(), Vec::<String>::new());
        assert_eq!(shared.residency.count(), 0, "a place in memory was not given back");
        assert!(!shared.residency.has_line(), "somebody is left in line");
        assert_eq!(kind.slots_known(), 0, "a slot was not forgotten");
        let left = Arc::downgrade(&shared);
        drop((shared, kind, aggregates));
        assert_eq!(left.strong_count(), 0, "somebody holds on to what all share");
    }
}

/// Somebody who does something meanwhile.
pub(super) fn spawn<T: Send + 'static>(
    world: &Arc<World>,
    run: impl FnOnce(&World) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || run(&world))
}

/// Waits for somebody.
pub(super) fn join<T>(somebody: thread::JoinHandle<T>) -> T {
    somebody.join().expect("no panic")
}
