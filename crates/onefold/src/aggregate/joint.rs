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
mod vote;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use onefold_core::Limits;

pub(crate) use self::commit::{Seat, Share};
pub(crate) use self::party::Party;
pub(crate) use self::vote::{Refusal, Vote};
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
    /// The participants that wait, by index.
    waiting: Vec<Option<Waker>>,
    caller: Option<Waker>,
    /// The aggregates that are held: what their handlers must not ask.
    chain: Option<Arc<Chain>>,
    /// What they have decided, to be looked at together.
    votes: Vec<Vote>,
    /// What all of it takes, as far as it is known.
    bytes: usize,
    /// Why that cannot be: for the one whose failure it is.
    refusal: Option<Refusal>,
    /// Whether anything of it is stored.
    stores: bool,
    /// What they add to the commit.
    shares: Vec<Share>,
    /// The commit is complete, whatever comes of it.
    submitted: bool,
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

/// What a caller leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// Nothing is stored, for sure.
    Unstored,
    /// It is on its way to the journal.
    Perhaps,
    /// It has ended already, like this.
    Over(End),
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
            waiting: vec![None; participants],
            caller: None,
            chain: None,
            votes: Vec::with_capacity(participants),
            bytes: 0,
            refusal: None,
            stores: false,
            shares: Vec::with_capacity(participants),
            submitted: false,
        };
        Arc::new(Joint { shared, state: Mutex::new(state) })
    }

    /// The caller's side: everybody is in their queue, and these are the aggregates.
    pub(crate) fn seal(&self, chain: Option<Arc<Chain>>) {
        let mut state = self.state.lock();
        state.chain = chain;
        let awake = state.arrive(Stage::Gathering, &self.shared.config.limits);
        drop(state);
        awake.carry_out();
    }

    /// The caller's side: its deadline has passed.
    pub(crate) fn leave(&self) -> Leaving {
        let mut state = self.state.lock();
        match state.stage {
            Stage::Over(end) => return Leaving::Over(end),
            Stage::Applying | Stage::Submitted if state.stores => return Leaving::Perhaps,
            _ => (),
        }
        let awake = match state.stage {
            Stage::Gathering | Stage::Deciding => state.end(End::Left),
            _ => Awake::default(),
        };
        drop(state);
        awake.carry_out();
        Leaving::Unstored
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
        if state.submitted || matches!(state.stage, Stage::Over(_)) {
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
    fn arrive(&mut self, stage: Stage, limits: &Limits) -> Awake {
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
            Stage::Deciding if self.repeats == 0 => match vote::refusal(&mut self.votes, limits) {
                Some((index, refusal)) => {
                    self.refusal = Some(refusal);
                    return self.end(End::Failed(index));
                }
                None => {
                    self.stores = self.votes.iter().any(|vote| vote.stores);
                    self.bytes = vote::bytes(&self.votes);
                    Stage::Applying
                }
            },
            Stage::Deciding if self.repeats == self.participants => return self.end(End::Repeated),
            // Keys are kept for a while: one has forgotten what another remembers.
            Stage::Deciding => return self.end(End::Failed(self.first_repeat)),
            _ => {
                // IMPORTANT: before anybody sees it: appends in flight are counted.
                self.shares.iter().for_each(Share::count);
                self.submitted = true;
                Stage::Submitted
            }
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
