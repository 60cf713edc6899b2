//! When to kill, and where it struck.

use clap::ValueEnum;

use crate::crash::random::Random;
use crate::crash::transcript::Line;

/// When to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Moment {
    /// In the first 100 ms of a process on a new directory.
    Creation,
    /// Under load.
    Load,
    /// Under load, and then up to three times more while the journal is being opened again.
    Recovery,
    /// While the journal is being closed.
    Closing,
    /// Under load, and then once more while everything is being read: what was shown must stay.
    Reading,
}

impl Moment {
    /// Picks one.
    pub(super) fn pick(random: &mut Random, is_new: bool) -> Moment {
        match (is_new, random.below(16)) {
            (true, 0..12) => Moment::Creation,
            (_, 0..8) => Moment::Load,
            (_, 8..12) => Moment::Recovery,
            (_, 12..14) => Moment::Closing,
            _ => Moment::Reading,
        }
    }
}

/// Where a kill struck, by what the process had said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Died {
    /// Before it touched the directory.
    Before,
    /// While it created the directory.
    Creating,
    /// While it opened the directory.
    Opening,
    /// Later.
    Working,
    /// It had come to its end already.
    After,
}

impl Died {
    /// All, in order.
    pub const ALL: [Died; 5] = [Died::Before, Died::Creating, Died::Opening, Died::Working, Died::After];

    /// For a table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Died::Before => "kills before the directory was touched",
            Died::Creating => "kills while the directory was created",
            Died::Opening => "kills while the directory was recovered",
            Died::Working => "kills at work",
            Died::After => "kills that came too late",
        }
    }

    /// Of a process that was killed after it had said so.
    pub(in crate::crash) fn of(lines: &[Line], is_first: bool) -> Died {
        let has_said = |line: fn(&Line) -> bool| lines.iter().any(line);
        if has_said(|line| matches!(line, Line::Done)) {
            Died::After
        } else if has_said(|line| matches!(line, Line::Opened { .. })) {
            Died::Working
        } else if !has_said(|line| matches!(line, Line::Opening)) {
            Died::Before
        } else if is_first {
            Died::Creating
        } else {
            Died::Opening
        }
    }
}
