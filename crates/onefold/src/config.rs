//! Every bound of the runtime, by name, in one place; validated at start.

use std::time::Duration;

use onefold_core::{CodecId, Limits};

/// How a runtime behaves. All bounds have defaults that suit a service on a small machine.
///
/// ```
/// use onefold::Config;
/// use std::time::Duration;
/// let config = Config { idle_timeout: Duration::from_secs(60), ..Config::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// Size limits of ids, events, commits and metadata. At the bound: `TooLarge`.
    pub limits: Limits,
    /// The codec that new events are written with. What is stored may be of any codec. Default: bincode.
    pub codec: CodecId,
    /// How long a caller waits when it names no deadline of its own. Default: 30 s. At the bound: `NotStored` before the
    /// decision was submitted to the journal, from then on `OutcomeUnknown` if it has events.
    pub deadline: Duration,
    /// How long one `handle` may take. Default: 10 s. At the bound it is dropped: `NotStored`.
    pub handler_timeout: Duration,
    /// How long bringing back an instance may take. Default: 60 s. At the bound: `NotStored`, and the next command tries
    /// again. A replay longer than 2 ms leaves the processor to others while they are served: beside others it may take
    /// several times as long as alone (on two workers eight times, on sixteen no longer).
    pub recovery_timeout: Duration,
    /// How many instances replay at the same time; a permit is taken per chunk, in turn. At most four times as many streams
    /// are open for replay, each with a chunk read ahead. Default: 32. At the bound: recoveries wait.
    pub recoveries_max: usize,
    /// After how long without a command an instance is let go. Default: 5 min.
    pub idle_timeout: Duration,
    /// How many instances are in memory at most. Default: 131,072. At the bound the least recently used idle one of a
    /// sample goes; with none idle, commands for others wait in line.
    pub resident_max: usize,
    /// Memory of resident instances at most: 8 KiB each and what `Aggregate::weight` says. Default: 2 GiB. At the bound: as
    /// `resident_max`.
    pub resident_bytes_max: usize,
    /// How many aggregates wait in line for a place in memory at most. Default: 16,384. At the bound: `Overloaded`.
    pub residency_line_max: usize,
    /// How many commands of one aggregate are admitted and not yet answered at most. Default: 4,096. At the bound:
    /// `Overloaded`.
    pub admitted_per_aggregate_max: usize,
    /// How many commands in total are admitted and not yet answered at most; at least 16 times
    /// `admitted_per_aggregate_max`, so that no aggregate takes more than its share. Default: 65,536. At the bound:
    /// `Overloaded`.
    pub admitted_max: usize,
    /// How many bytes admitted commands may take, by the size of their type and of the runtime's own record; those of one
    /// aggregate a sixteenth of it, or a single larger one. Default: 256 MiB. At the bound: `Overloaded`.
    pub admitted_bytes_max: usize,
    /// How long it may take to write what is admitted, once the journal is behind: when an append takes half as long, or finds
    /// no room, no more commands and reads are admitted than the journal answers in this time at its present pace, 64 at
    /// least, and of one aggregate a sixteenth of that. Default: 1 s. At the bound: `Overloaded`, whose limit is then that
    /// number. For a journal whose every append takes long choose more.
    pub backlog_time_max: Duration,
    /// How many of an aggregate's idempotency keys are remembered at least, the newest ones. A key is forgotten when it is
    /// older than so many commands with keys *and* older than
    /// [`idempotency_retention`](Config::idempotency_retention). Default: 1,024. Must be the same in every process that
    /// opens the journal, or a repeat may find a key forgotten that another process would have found.
    pub idempotency_keys_min: usize,
    /// For how long an aggregate's idempotency keys are remembered at least, by the times of its commits. Default: 1 h.
    pub idempotency_retention: Duration,
    /// Memory for the idempotency keys of one aggregate at most, with their replies; counted as part of its weight. Default:
    /// 64 MiB. At the bound: `Overloaded` for commands with a new key, until older keys may be forgotten; repeats are
    /// answered. A key is never forgotten early.
    pub idempotency_bytes_max: usize,
    /// How many commands one [`ask_all`](crate::Aggregates::ask_all) may have. Their events together are bounded by
    /// [`limits`](Config::limits), as those of any commit. Default: 1,024. At the bound: `TooLarge`.
    pub bulk_commands_max: usize,
    /// How many aggregates one [`transact`](crate::transact) may have. Default: 64. At the bound: `InvalidTransact`.
    pub transact_participants_max: usize,
    /// How long an aggregate waits for the other participants of a `transact`, and handles nothing else meanwhile. Default:
    /// 2 s. At the bound: `NotStored`, of all of them.
    pub transact_hold_max: Duration,
    /// How many missed events a command with a stale expected version is weighed against at most, when it asks for that by
    /// [`or_merge`](crate::Ask::or_merge). Default: 256. At the bound: `Conflict`.
    pub missed_events_max: usize,
    /// How many stored bytes they may have. Default: 1 MiB. At the bound: `Conflict`.
    pub missed_bytes_max: usize,
    /// How many commands an aggregate handles before it lets others run. Default: 64.
    pub turn_commands_max: u32,
    /// How many crashes of an aggregate within [`crash_window`](Config::crash_window) quarantine it. Default: 3.
    pub crashes_max: u32,
    /// See [`crashes_max`](Config::crashes_max). Default: 60 s.
    pub crash_window: Duration,
    /// How long the first quarantine lasts; each further one lasts twice as long. Default: 1 s.
    pub quarantine_min: Duration,
    /// How long a quarantine lasts at most. Default: 5 min.
    pub quarantine_max: Duration,
    /// How many aggregates with recent crashes are remembered at most; at the bound the oldest is forgotten. Default:
    /// 65,536.
    pub crash_records_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::default(),
            codec: CodecId::Bincode,
            deadline: Duration::from_secs(30),
            handler_timeout: Duration::from_secs(10),
            recovery_timeout: Duration::from_secs(60),
            recoveries_max: 32,
            idle_timeout: Duration::from_secs(300),
            resident_max: 131_072,
            resident_bytes_max: 2 * 1024 * 1024 * 1024,
            residency_line_max: 16_384,
            admitted_per_aggregate_max: 4_096,
            admitted_max: 65_536,
            admitted_bytes_max: 256 * 1024 * 1024,
            backlog_time_max: Duration::from_secs(1),
            idempotency_keys_min: 1_024,
            idempotency_retention: Duration::from_secs(3_600),
            idempotency_bytes_max: 64 * 1024 * 1024,
            bulk_commands_max: 1024,
            transact_participants_max: 64,
            transact_hold_max: Duration::from_secs(2),
            missed_events_max: 256,
            missed_bytes_max: 1024 * 1024,
            turn_commands_max: 64,
            crashes_max: 3,
            crash_window: Duration::from_secs(60),
            quarantine_min: Duration::from_secs(1),
            quarantine_max: Duration::from_secs(300),
            crash_records_max: 65_536,
        }
    }
}

/// What an idle instance is charged for in [`Config::resident_bytes_max`], beyond its own weight.
pub(crate) const RESIDENT_BYTES: usize = 8 * 1024;

/// One aggregate holds at most this share of any total bound.
pub(crate) const SHARE: usize = 16;

impl Config {
    /// Checks every bound.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first bound that makes no sense, and the rule it breaks.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.limits.validate().map_err(ConfigError)?;
        let durations = [
            ("deadline", self.deadline),
            ("handler_timeout", self.handler_timeout),
            ("recovery_timeout", self.recovery_timeout),
            ("idle_timeout", self.idle_timeout),
            ("transact_hold_max", self.transact_hold_max),
            ("backlog_time_max", self.backlog_time_max),
            ("crash_window", self.crash_window),
            ("quarantine_min", self.quarantine_min),
        ];
        if let Some((name, _)) = durations.iter().find(|(_, value)| value.is_zero()) {
            return Err(ConfigError(format!("{name} must be more than zero")));
        }
        let counts = [
            ("recoveries_max", self.recoveries_max),
            ("resident_max", self.resident_max),
            ("residency_line_max", self.residency_line_max),
            ("admitted_per_aggregate_max", self.admitted_per_aggregate_max),
            ("idempotency_keys_min", self.idempotency_keys_min),
            ("idempotency_bytes_max", self.idempotency_bytes_max),
            ("bulk_commands_max", self.bulk_commands_max),
            ("transact_participants_max", self.transact_participants_max),
            ("missed_events_max", self.missed_events_max),
            ("missed_bytes_max", self.missed_bytes_max),
            ("turn_commands_max", self.turn_commands_max as usize),
            ("crashes_max", self.crashes_max as usize),
            ("crash_records_max", self.crash_records_max),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError(format!("{name} must be at least 1")));
        }
        let least = [
            ("admitted_max", self.admitted_max, self.admitted_per_aggregate_max.saturating_mul(SHARE)),
            ("admitted_bytes_max", self.admitted_bytes_max, 64 * 1024),
            ("resident_bytes_max", self.resident_bytes_max, RESIDENT_BYTES),
        ];
        if let Some((name, value, least)) = least.iter().find(|(_, value, least)| value < least) {
            return Err(ConfigError(format!("{name} must be at least {least}, it is {value}")));
        }
        if self.admitted_max >= 1 << 24 || self.admitted_bytes_max >= 1 << 40 {
            return Err(ConfigError("admitted_max must be below 2^24 and admitted_bytes_max below 2^40".to_owned()));
        }
        if self.quarantine_max < self.quarantine_min {
            return Err(ConfigError("quarantine_max must not be less than quarantine_min".to_owned()));
        }
        Ok(())
    }
}

/// A bound that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is wrong: {0}")]
pub struct ConfigError(pub(crate) String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_validated_by_name() {
        assert_eq!(Config::default().validate(), Ok(()));
        let cases = [
            (Config { deadline: Duration::ZERO, ..Config::default() }, "deadline"),
            (Config { resident_max: 0, ..Config::default() }, "resident_max"),
            (Config { admitted_max: 65_535, ..Config::default() }, "admitted_max"),
            (Config { backlog_time_max: Duration::ZERO, ..Config::default() }, "backlog_time_max"),
            (Config { admitted_bytes_max: 0, ..Config::default() }, "admitted_bytes_max"),
            (Config { quarantine_max: Duration::ZERO, ..Config::default() }, "quarantine_max"),
            (Config { limits: Limits { event_bytes_max: 0, ..Limits::default() }, ..Config::default() }, "event_bytes"),
        ];
        for (config, name) in cases {
            let error = config.validate().expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
