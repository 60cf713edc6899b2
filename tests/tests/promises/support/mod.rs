//! What the promise tests share: one aggregate that does what a test says, a world around it, and a journal whose
//! durability the test decides.

mod capture;
mod random;
mod slow_journal;
mod tally;
mod world;

pub(crate) use capture::capture;
pub(crate) use random::Random;
pub(crate) use slow_journal::{SlowJournal, Valve};
pub(crate) use tally::{
    Add, Do, Forge, Forged, Forger, Happened, Mindful, No, Seen, Spend, Tally, Tools, endless, slow,
};
pub(crate) use world::{World, block_on, poll_once, reason, settle, stream};
