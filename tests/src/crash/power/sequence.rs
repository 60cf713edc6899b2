//! What happens in a cycle, up to the last cut.

use clap::ValueEnum;

use crate::crash::random::Random;

/// What happens in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sequence {
    /// The power goes in the first 100 ms of a new directory.
    Creation,
    /// Under load.
    Load,
    /// Under load, and then up to three times more while the journal is being opened again.
    Recovery,
    /// While the journal is being closed, or right after.
    Closing,
    /// The process is killed, the journal is opened again and read, and then the power goes: what was read must stay.
    KillReadCut,
    /// Writes fail, so that syncs do; the process is killed, the journal is opened again and read, and then the power goes.
    /// The page cache holds what the disk does not have: whoever believes it shows what will vanish.
    ErrorReadCut,
}

impl Sequence {
    /// All, in the order of the table.
    pub const ALL: [Sequence; 6] = [
        Sequence::Load,
        Sequence::Creation,
        Sequence::Recovery,
        Sequence::Closing,
        Sequence::KillReadCut,
        Sequence::ErrorReadCut,
    ];

    /// For the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sequence::Load => "load, cut",
            Sequence::Creation => "creation, cut",
            Sequence::Recovery => "load, cut, cut while opening",
            Sequence::Closing => "load, cut while closing",
            Sequence::KillReadCut => "load, kill, open and read, cut",
            Sequence::ErrorReadCut => "load, failing writes, kill, open and read, cut",
        }
    }

    /// Picks one. Not every disk can fail writes.
    pub(super) fn pick(random: &mut Random, is_new: bool, can_fail: bool) -> Sequence {
        match (is_new, random.below(16)) {
            (true, 0..10) => Sequence::Creation,
            (_, 0..5) => Sequence::Load,
            (_, 5..9) => Sequence::Recovery,
            (_, 9) => Sequence::Closing,
            (_, 13..) if can_fail => Sequence::ErrorReadCut,
            _ => Sequence::KillReadCut,
        }
    }
}
