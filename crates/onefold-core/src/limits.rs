//! How large things may be. Every limit has its own error and is enforced before memory is spent on what breaks it.

/// Bytes of an aggregate id at most. Part of the format, not configurable: ids are keys on disk.
pub(crate) const ID_BYTES_MAX: usize = 255;

/// Bytes of an aggregate type at most. Part of the format.
pub(crate) const AGGREGATE_TYPE_BYTES_MAX: u8 = 64;

/// Bytes of an event's name at most. Part of the format.
pub(crate) const EVENT_NAME_BYTES_MAX: usize = 128;

/// The size limits of a runtime, all configurable up to what the format can hold.
///
/// ```
/// use onefold_core::Limits;
/// let limits = Limits { event_bytes_max: 64 * 1024, ..Limits::default() };
/// assert!(limits.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an aggregate id; default and most 255.
    pub id_bytes_max: usize,
    /// Bytes of one encoded event's payload; default 1 MiB, at most 16 MiB.
    pub event_bytes_max: usize,
    /// Events in one commit; default 1,024, at most 65,536.
    pub events_per_commit_max: usize,
    /// Changes of claims in one commit; default 256, at most 1,024.
    pub claims_per_commit_max: usize,
    /// Bytes of an encoded reply, or rejection, that an idempotency key remembers; those of several commands under one key are
    /// one. Default 64 KiB, at most 16 MiB.
    pub reply_bytes_max: usize,
    /// Bytes of one commit: its encoded events, its metadata and what keys remember; default 4 MiB, at most 64 MiB.
    pub commit_bytes_max: usize,
    /// Bytes of a command's encoded metadata; default 16 KiB, at most 1 MiB.
    pub metadata_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            id_bytes_max: ID_BYTES_MAX,
            event_bytes_max: 1024 * 1024,
            events_per_commit_max: 1024,
            claims_per_commit_max: 256,
            reply_bytes_max: 64 * 1024,
            commit_bytes_max: 4 * 1024 * 1024,
            metadata_bytes_max: 16 * 1024,
        }
    }
}

impl Limits {
    /// The largest limits that the format and the decoders accept. What a store reads is checked against these, so that
    /// lowering a limit never makes old data unreadable.
    pub const CEILING: Limits = Limits {
        id_bytes_max: ID_BYTES_MAX,
        event_bytes_max: 16 * 1024 * 1024,
        events_per_commit_max: 65_536,
        claims_per_commit_max: 1024,
        reply_bytes_max: 16 * 1024 * 1024,
        commit_bytes_max: 64 * 1024 * 1024,
        metadata_bytes_max: 1024 * 1024,
    };

    /// Checks that no limit is zero or above its ceiling.
    ///
    /// # Errors
    ///
    /// A sentence that names the limit and its range.
    pub fn validate(&self) -> Result<(), String> {
        let rows = [
            ("id_bytes_max", self.id_bytes_max, Self::CEILING.id_bytes_max),
            ("event_bytes_max", self.event_bytes_max, Self::CEILING.event_bytes_max),
            ("events_per_commit_max", self.events_per_commit_max, Self::CEILING.events_per_commit_max),
            ("claims_per_commit_max", self.claims_per_commit_max, Self::CEILING.claims_per_commit_max),
            ("reply_bytes_max", self.reply_bytes_max, Self::CEILING.reply_bytes_max),
            ("commit_bytes_max", self.commit_bytes_max, Self::CEILING.commit_bytes_max),
            ("metadata_bytes_max", self.metadata_bytes_max, Self::CEILING.metadata_bytes_max),
        ];
        match rows.iter().find(|(_, value, ceiling)| *value == 0 || value > ceiling) {
            Some((name, value, ceiling)) => Err(format!("{name} must be between 1 and {ceiling}, it is {value}")),
            None => Ok(()),
        }
    }
}

/// Something is larger than its limit. Nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TooLarge {
    /// An event's payload (`event_bytes_max`). It was given up at the limit, so its full size is not known.
    #[error(
        "event {event} encodes to more than {limit} bytes (event_bytes_max): store large data elsewhere and refer to it"
    )]
    Event {
        /// The event's name.
        event: &'static str,
        /// The limit in force.
        limit: usize,
    },
    /// The encoded reply of a command with an idempotency key (`reply_bytes_max`). It was given up at the limit.
    #[error("the reply has more than {limit} bytes (reply_bytes_max), too many to be remembered under its key")]
    Reply {
        /// The limit in force.
        limit: usize,
    },
    /// The number of events in one decision (`events_per_commit_max`).
    #[error("the decision has {actual} events, the limit is {limit} (events_per_commit_max): split the command")]
    EventsPerCommit {
        /// How many.
        actual: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The number of changes of claims in one decision (`claims_per_commit_max`).
    #[error("the decision changes {actual} claims, the limit is {limit} (claims_per_commit_max): split the command")]
    ClaimsPerCommit {
        /// How many.
        actual: usize,
        /// The limit in force.
        limit: usize,
    },
    /// A commit's events, metadata and remembered reply together (`commit_bytes_max`).
    #[error("the commit has at least {actual} bytes, the limit is {limit} (commit_bytes_max): split the command")]
    Commit {
        /// Its bytes so far, when it was given up.
        actual: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The number of commands in one bulk (`bulk_commands_max`).
    #[error("the bulk has {actual} commands, the limit is {limit} (bulk_commands_max): split it")]
    CommandsPerBulk {
        /// How many.
        actual: usize,
        /// The limit in force.
        limit: usize,
    },
    /// A command's metadata (`metadata_bytes_max`).
    #[error("the metadata has {actual} bytes, the limit is {limit} (metadata_bytes_max)")]
    Metadata {
        /// Its encoded bytes.
        actual: usize,
        /// The limit in force.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_validated_by_name() {
        assert_eq!(Limits::default().validate(), Ok(()));
        assert_eq!(Limits::CEILING.validate(), Ok(()));
        let zero = Limits { event_bytes_max: 0, ..Limits::default() };
        assert!(zero.validate().is_err_and(|message| message.starts_with("event_bytes_max must be")));
        let huge = Limits { commit_bytes_max: usize::MAX, ..Limits::default() };
        assert!(huge.validate().is_err_and(|message| message.starts_with("commit_bytes_max must be")));
    }
}
