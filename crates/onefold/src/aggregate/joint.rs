//! One decision of several aggregates: where they wait for each other, and the commit that they share.
//!
//! ```text
//!   gathering ──▶ deciding ──▶ applying ──▶ submitted ──▶ over
//!       │            │            │
//!       └────────────┴────────────┴──▶ over: one of them failed; nothing is stored
//! ```
//!
//! Each participant is run by its own aggregate's actor, and goes on when all have come as far: held with nothing in flight,
//! decided, applied. The caller is one more of those who gather: it comes last, when everybody is in their queue. Until all
//! have decided nobody has applied anything, and a failure costs nobody anything. The last one to apply takes the commit to
//! the journal.

mod commit;
mod party;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub(crate) use self::commit::{Seat, Share};
pub(crate) use self::party::Party;
use super::scope::Chain;
use crate::runtime::deadlines::Waiting;
use crate::runtime::shared::Shared;
use crate::sync::Mutex;

/// See the module.
pub(crate) struct Joint {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    stage: Stage,
    participants: usize,
    /// How many have come to the end of the stage.
    arrived: usize,
    /// How many turned out to be repeats, which are not decided again, and the first of them.
    repeats: usize,
    first_repeat: usize,
    /// Whether any of them has something to store; known when all have decided.
    stores: bool,
    /// The participants that wait, by index.
    waiting: Vec<Option<Waker>>,
    caller: Option<Waker>,
    /// The aggregates that are held: what their handlers must not ask.
    chain: Option<Arc<Chain>>,
    /// What they add to the commit.
    shares: Vec<Share>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Gathering,
    Deciding,
    Applying,
    Submitted,
    Over(End),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The commit is stored: everybody has an answer.
    Stored,
    /// All were repeats: everybody answers what it remembers.
    Repeated,
    /// This participant failed; its answer tells why. Nothing is stored, unless that answer says otherwise.
    Failed(usize),
    /// The caller has left. Nothing is stored.
    Left,
}

/// Whom to wake, when the lock is given back.
#[must_use]
#[derive(Default)]
struct Awake(Vec<Waker>);

impl Awake {
    fn carry_out(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl Joint {
    pub(crate) fn new(shared: Arc<Shared>, participants: usize) -> Arc<Self> {
        let state = State {
            stage: Stage::Gathering,
            participants,
            arrived: 0,
            repeats: 0,
            first_repeat: usize::MAX,
            stores: false,
            waiting: vec![None; participants],
            caller: None,
            chain: None,
            shares: Vec::new(),
        };
        Arc::new(Joint { shared, state: Mutex::new(state) })
    }

    /// The caller's side: everybody is in their queue, and these are the aggregates.
    pub(crate) fn seal(&self, chain: Option<Arc<Chain>>) {
        let mut state = self.state.lock();
        state.chain = chain;
        let awake = state.arrive(Stage::Gathering);
        drop(state);
        awake.carry_out();
    }

    /// The caller's side: its deadline has passed. Whether nothing is stored, for sure.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.stage, Stage::Gathering | Stage::Deciding) {
            return !state.stores;
        }
        let awake = state.end(End::Left);
        drop(state);
        awake.carry_out();
        true
    }

    /// The caller's side: it goes away. What has begun runs whole.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.caller = None;
        let awake = match state.stage {
            Stage::Gathering => state.end(End::Left),
            _ => Awake::default(),
        };
        drop(state);
        awake.carry_out();
    }

    /// The caller's side: how it ended.
    pub(crate) fn poll_end(&self, cx: &Context<'_>) -> Poll<End> {
        let mut state = self.state.lock();
        if let Stage::Over(end) = state.stage {
            return Poll::Ready(end);
        }
        state.caller = Some(cx.waker().clone());
        Poll::Pending
    }

    /// A participant failed, before its share was handed to the journal.
    fn fail(&self, index: usize) {
        let mut state = self.state.lock();
        if matches!(state.stage, Stage::Submitted | Stage::Over(_)) {
            return;
        }
        let awake = state.end(End::Failed(index));
        let shares = std::mem::take(&mut state.shares);
        drop(state);
        drop(shares);
        awake.carry_out();
    }

    /// The journal has decided, and everybody was told.
    fn settle(&self, end: End) {
        let awake = self.state.lock().end(end);
        awake.carry_out();
    }
}

impl State {
    /// One more has come to the end of `stage`; the last one opens the next.
    fn arrive(&mut self, stage: Stage) -> Awake {
        if self.stage != stage {
            return Awake::default();
        }
        self.arrived += 1;
        // The caller gathers, too.
        if self.arrived < self.participants + usize::from(stage == Stage::Gathering) {
            return Awake::default();
        }
        self.arrived = 0;
        self.stage = match stage {
            Stage::Gathering => Stage::Deciding,
            Stage::Deciding if self.repeats == 0 => Stage::Applying,
            Stage::Deciding if self.repeats == self.participants => return self.end(End::Repeated),
            // Keys are kept for a while: one has forgotten what another remembers.
            Stage::Deciding => return self.end(End::Failed(self.first_repeat)),
            _ => Stage::Submitted,
        };
        Awake(self.take_waiting())
    }

    fn end(&mut self, end: End) -> Awake {
        self.stage = Stage::Over(end);
        let mut awake = self.take_waiting();
        awake.extend(self.caller.take());
        Awake(awake)
    }

    fn take_waiting(&mut self) -> Vec<Waker> {
        self.waiting.iter_mut().filter_map(Option::take).collect()
    }
}

impl Waiting for Joint {
    fn nudge(&self) {
        let caller = self.state.lock().caller.clone();
        if let Some(caller) = caller {
            caller.wake();
        }
    }
}
