//! The idempotency keys that an instance remembers: which commands it has answered already, and what.
//!
//! A pure function of the stream, as the state is: keys come in as their commits do, live or replayed, and the oldest is
//! forgotten by what the commits themselves say. A clock that jumps ahead in a single commit would make all older keys look
//! old; so would one that was ahead and is right again make new ones look older than they are. Therefore a key goes only when
//! it is older than so many keyed commits *and* older than so long, by the running maximum of the commits' times.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use onefold_core::journal::{KeyOutcome, KeyRecord};
use onefold_core::{IdempotencyKey, StreamVersion, Timestamp};

/// How long keys are remembered: at least so many, and at least for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) keys: usize,
    pub(crate) time: Duration,
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Of the command.
    pub(crate) fingerprint: u128,
    pub(crate) outcome: KeyOutcome,
    /// The number of the codec of the reply, or the rejection.
    pub(crate) codec: u8,
    pub(crate) reply: Bytes,
    /// The aggregate's version after it.
    pub(crate) version: StreamVersion,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_key: HashMap<IdempotencyKey, Remembered, ahash::RandomState>,
    /// In the order of their commits, with the newest time until then.
    order: VecDeque<(IdempotencyKey, Timestamp)>,
    newest: Timestamp,
    bytes: usize,
}

/// What a key occupies beside its text and its reply: twice in a table and a queue, with what those keep in reserve.
const KEY_BYTES: usize = 2 * (size_of::<(IdempotencyKey, Remembered)>() + size_of::<(IdempotencyKey, Timestamp)>());

impl Keys {
    /// What the key stands for, if it is remembered.
    pub(crate) fn get(&self, key: &str) -> Option<&Remembered> {
        self.by_key.get(key)
    }

    /// Adds the key of a commit, and forgets what is too old by now.
    pub(crate) fn add(&mut self, record: KeyRecord, version: StreamVersion, at: Timestamp, retention: Retention) {
        let KeyRecord { key, fingerprint, outcome, codec, reply } = record;
        let remembered = Remembered { fingerprint, outcome, codec, reply, version };
        self.newest = self.newest.max(at);
        self.bytes += bytes_of(&key, &remembered);
        if let Some(before) = self.by_key.insert(key.clone(), remembered) {
            // Never from the runtime, which looks first; a stream that was written elsewhere may hold it.
            self.bytes -= bytes_of(&key, &before);
            self.order.retain(|(known, _)| *known != key);
        }
        self.order.push_back((key, self.newest));
        self.forget_old(retention);
    }

    fn forget_old(&mut self, retention: Retention) {
        let time = u64::try_from(retention.time.as_micros()).unwrap_or(u64::MAX);
        while self.order.len() > retention.keys
            && let Some((_, at)) = self.order.front()
            && self.newest.as_micros().saturating_sub(at.as_micros()) > time
            && let Some((key, _)) = self.order.pop_front()
        {
            if let Some(forgotten) = self.by_key.remove(&key) {
                self.bytes -= bytes_of(&key, &forgotten);
            }
        }
    }

    /// The memory they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn bytes_of(key: &IdempotencyKey, remembered: &Remembered) -> usize {
    KEY_BYTES + key.as_str().len() + remembered.reply.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Retention = Retention { keys: 3, time: Duration::from_secs(10) };

    fn add(keys: &mut Keys, key: &str, second: u64) {
        let key = IdempotencyKey::new(key).unwrap();
        let record = KeyRecord { key, fingerprint: 7, outcome: KeyOutcome::Reply, codec: 1, reply: Bytes::new() };
        keys.add(record, StreamVersion::EMPTY, Timestamp::from_micros(second * 1_000_000), RETENTION);
    }

    fn known(keys: &Keys) -> String {
        ["a", "b", "c", "d", "e", "f"].into_iter().filter(|key| keys.get(key).is_some()).collect()
    }

    #[test]
    fn key_goes_when_it_is_old_by_number_and_by_time() {
        let mut keys = Keys::default();
        for (key, second) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            add(&mut keys, key, second);
        }
        assert_eq!(known(&keys), "abcd", "old by number only");
        add(&mut keys, "e", 12);
        assert_eq!(known(&keys), "bcde", "a is older than 10 s, b is not yet");
    }

    #[test]
    fn few_keys_stay_however_old() {
        let mut keys = Keys::default();
        for (key, second) in [("a", 1), ("b", 1_000), ("c", 100_000)] {
            add(&mut keys, key, second);
        }
        assert_eq!(known(&keys), "abc");
    }

    /// The clock of one commit is an hour ahead, those after it are right again.
    #[test]
    fn jump_of_the_clock_forgets_none_too_early() {
        let mut keys = Keys::default();
        for (key, second) in [("a", 1), ("b", 2), ("c", 3_600), ("d", 3), ("e", 4), ("f", 5)] {
            add(&mut keys, key, second);
        }
        assert_eq!(known(&keys), "cdef", "what came before the jump is old by number, too");
        add(&mut keys, "a", 14);
        assert_eq!(known(&keys), "acdef", "what came after it counts from the jump on");
    }

    #[test]
    fn bytes_are_given_back() {
        let mut keys = Keys::default();
        let mut most = 0;
        for second in 0..1_000 {
            add(&mut keys, &format!("a key that is longer than 24 bytes, {second}"), second * 100);
            most = most.max(keys.bytes());
        }
        assert_eq!(keys.order.len(), 3);
        assert!(most < 4 * 1_000, "{most}");
        add(&mut keys, "a", 200_000);
        add(&mut keys, "a", 200_001);
        assert_eq!(keys.order.len(), 3, "the same key counts once");
    }
}
