//! What does not agree.

use std::fmt;

/// Of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// Acknowledged and not there.
    Lost,
    /// One command twice.
    Doubled,
    /// Numbers that leave one out, or come again.
    Gapped,
    /// A commit that is not whole.
    Torn,
    /// Shown before and not there any more.
    Vanished,
    /// Not there before, and there now.
    Resurrected,
    /// Answered as surely not stored, and there.
    StoredThough,
    /// A command that was sent again with its idempotency key was answered otherwise than the first time.
    Repeated,
    /// A commit does not remember its command's idempotency key.
    KeyLost,
    /// A claim was given to one aggregate while another held it.
    TwoHolders,
    /// A claim was taken, or changed, by a command that is stored, and is not.
    ClaimLost,
    /// A claim's holder is another than the commits say, or a commit changes what it cannot.
    ClaimWrong,
    /// What went from one aggregate to another became more or less on the way.
    Unbalanced,
    /// Content that was not written like this, or two ways of reading that differ.
    Wrong,
    /// The directory does not open, or cannot be read.
    NotOpened,
    /// Too slow to be called an answer.
    Hung,
    /// A thread panicked, or the process aborted.
    Panicked,
}

impl FindingKind {
    /// All, in the order of tables.
    pub const ALL: [FindingKind; 17] = [
        FindingKind::Lost,
        FindingKind::Doubled,
        FindingKind::Gapped,
        FindingKind::Torn,
        FindingKind::Vanished,
        FindingKind::Resurrected,
        FindingKind::StoredThough,
        FindingKind::Repeated,
        FindingKind::KeyLost,
        FindingKind::TwoHolders,
        FindingKind::ClaimLost,
        FindingKind::ClaimWrong,
        FindingKind::Unbalanced,
        FindingKind::Wrong,
        FindingKind::NotOpened,
        FindingKind::Hung,
        FindingKind::Panicked,
    ];

    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Lost => "acknowledged but lost",
            FindingKind::Doubled => "doubled",
            FindingKind::Gapped => "gapped",
            FindingKind::Torn => "torn",
            FindingKind::Vanished => "shown, then gone",
            FindingKind::Resurrected => "gone, then there",
            FindingKind::StoredThough => "refused but stored",
            FindingKind::Repeated => "repeat answered otherwise",
            FindingKind::KeyLost => "key lost",
            FindingKind::TwoHolders => "claim with two holders",
            FindingKind::ClaimLost => "claim lost",
            FindingKind::ClaimWrong => "claim held by another",
            FindingKind::Unbalanced => "not conserved",
            FindingKind::Wrong => "wrong content",
            FindingKind::NotOpened => "does not open",
            FindingKind::Hung => "hangs",
            FindingKind::Panicked => "panics",
        }
    }
}

/// One thing that does not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Of which kind.
    pub kind: FindingKind,
    /// In words.
    pub what: String,
}

impl Finding {
    /// A finding.
    pub fn new(kind: FindingKind, what: impl Into<String>) -> Self {
        Finding { kind, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.what)
    }
}
