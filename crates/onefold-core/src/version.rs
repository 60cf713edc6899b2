//! The numbers: a newtype each, so that none can stand in for another.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Wraps the number.
            pub const fn new(number: u64) -> Self {
                $name(number)
            }

            /// The bare number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                $name(self.0 + 1)
            }

            /// The number `count` further on.
            #[must_use]
            pub const fn plus(self, count: u64) -> Self {
                $name(self.0 + count)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The number of a stream's last event. The first event is 1; an empty stream is at 0.
    StreamVersion
}

number! {
    /// An event's place in the whole journal: dense, gap-free, in commit order. The first event of a journal is at 1;
    /// 0 stands before it.
    GlobalPosition
}

number! {
    /// The number of a commit: dense in the whole journal, with events or without. The first is 1; 0 means none.
    CommitNumber
}

impl StreamVersion {
    /// The version of a stream without events.
    pub const EMPTY: StreamVersion = StreamVersion(0);
}

impl From<u64> for StreamVersion {
    fn from(number: u64) -> Self {
        StreamVersion(number)
    }
}

impl GlobalPosition {
    /// Before the first event.
    pub const START: GlobalPosition = GlobalPosition(0);
}

impl CommitNumber {
    /// No commit: stands before the first.
    pub const NONE: CommitNumber = CommitNumber(0);
}

/// What the writer of events believes about the stream's version.
///
/// ```
/// use onefold_core::{ExpectedVersion, StreamVersion};
/// assert!(ExpectedVersion::from(7).accepts(StreamVersion::new(7)));
/// assert!(!ExpectedVersion::NoStream.accepts(StreamVersion::new(1)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Any version will do.
    #[default]
    Any,
    /// The stream has no event yet.
    NoStream,
    /// The stream's last event has exactly this number.
    Exact(StreamVersion),
}

impl ExpectedVersion {
    /// Whether a stream at `actual` meets the expectation.
    pub fn accepts(self, actual: StreamVersion) -> bool {
        match self {
            ExpectedVersion::Any => true,
            ExpectedVersion::NoStream => actual == StreamVersion::EMPTY,
            ExpectedVersion::Exact(version) => actual == version,
        }
    }
}

impl From<StreamVersion> for ExpectedVersion {
    fn from(version: StreamVersion) -> Self {
        ExpectedVersion::Exact(version)
    }
}

/// The last version that whoever expects this can have seen, so that `accounts.events(id, expected)` gives what was missed:
/// of [`Any`](ExpectedVersion::Any) and [`NoStream`](ExpectedVersion::NoStream) that is none, the version of an empty stream.
///
/// ```
/// use onefold_core::{ExpectedVersion, StreamVersion};
/// assert_eq!(StreamVersion::from(ExpectedVersion::from(7)), StreamVersion::new(7));
/// assert_eq!(StreamVersion::from(ExpectedVersion::NoStream), StreamVersion::EMPTY);
/// ```
impl From<ExpectedVersion> for StreamVersion {
    fn from(expected: ExpectedVersion) -> Self {
        match expected {
            ExpectedVersion::Any | ExpectedVersion::NoStream => StreamVersion::EMPTY,
            ExpectedVersion::Exact(version) => version,
        }
    }
}

impl From<u64> for ExpectedVersion {
    fn from(version: u64) -> Self {
        ExpectedVersion::Exact(StreamVersion::new(version))
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpectedVersion::Any => f.write_str("any version"),
            ExpectedVersion::NoStream => f.write_str("no stream"),
            ExpectedVersion::Exact(version) => write!(f, "version {version}"),
        }
    }
}
