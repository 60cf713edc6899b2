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

/// See the module. Most aggregates have few keys: those lie beside each other, and each is looked at.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// In the order of their commits.
    entries: VecDeque<Entry>,
    /// The number of the first of them: each that comes has the next.
    first: u64,
    /// The number of each key, once there are many.
    numbers: Option<HashMap<IdempotencyKey, u64, ahash::RandomState>>,
    newest: Timestamp,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// Of the key, so that few of those that differ are looked at themselves.
    hash: u64,
    key: IdempotencyKey,
    remembered: Remembered,
    /// The newest time of all commits until then.
    at: Timestamp,
}

/// So many keys are looked at one by one.
const FEW: usize = 16;

/// What a key occupies beside its text and its reply: in a queue and a table, with what those keep in reserve.
const KEY_BYTES: usize = 2 * (size_of::<Entry>() + size_of::<(IdempotencyKey, u64)>());

impl Keys {
    /// What the key stands for, if it is remembered.
    pub(crate) fn get(&self, key: &str) -> Option<&Remembered> {
        let position = self.position(key)?;
        Some(&self.entries.get(position)?.remembered)
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.numbers {
            Some(numbers) => usize::try_from(numbers.get(key)?.checked_sub(self.first)?).ok(),
            None => {
                let hash = hash_of(key);
                self.entries.iter().position(|entry| entry.hash == hash && entry.key.as_str() == key)
            }
        }
    }

    /// Adds the key of a commit, and forgets what is too old by now.
    pub(crate) fn add(&mut self, record: KeyRecord, version: StreamVersion, at: Timestamp, retention: Retention) {
        let KeyRecord { key, fingerprint, outcome, codec, reply } = record;
        let remembered = Remembered { fingerprint, outcome, codec, reply, version };
        self.newest = self.newest.max(at);
        // Never from the runtime, which looks first; a stream that was written elsewhere may hold it.
        if let Some(before) = self.position(key.as_str()).and_then(|position| self.entries.remove(position)) {
            self.bytes -= bytes_of(&before);
            self.numbers = None;
        }
        let entry = Entry { hash: hash_of(key.as_str()), key, remembered, at: self.newest };
        self.bytes += bytes_of(&entry);
        if let Some(numbers) = &mut self.numbers {
            numbers.insert(entry.key.clone(), self.first + self.entries.len() as u64);
        }
        self.entries.push_back(entry);
        if self.numbers.is_none() && self.entries.len() > FEW {
            self.numbers =
                Some((self.first..).zip(&self.entries).map(|(number, entry)| (entry.key.clone(), number)).collect());
        }
        self.forget_old(retention);
    }

    fn forget_old(&mut self, retention: Retention) {
        let time = u64::try_from(retention.time.as_micros()).unwrap_or(u64::MAX);
        while self.entries.len() > retention.keys
            && let Some(oldest) = self.entries.front()
            && self.newest.as_micros().saturating_sub(oldest.at.as_micros()) > time
            && let Some(oldest) = self.entries.pop_front()
        {
            self.first += 1;
            self.bytes -= bytes_of(&oldest);
            if let Some(numbers) = &mut self.numbers {
                numbers.remove(&oldest.key);
            }
        }
    }

    /// The memory they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn bytes_of(entry: &Entry) -> usize {
    KEY_BYTES + entry.key.as_str().len() + entry.remembered.reply.len()
}

/// Fowler, Noll and Vo's (FNV-1a): for keys of one aggregate, of which each that is alike is compared.
fn hash_of(key: &str) -> u64 {
    key.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
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
        assert_eq!(keys.entries.len(), 3);
        assert!(most < 4 * 1_000, "{most}");
        add(&mut keys, "a", 200_000);
        add(&mut keys, "a", 200_001);
        assert_eq!(keys.entries.len(), 3, "the same key counts once");
    }

    /// Few or many, kept long or forgotten, doubled or not: what is found is what a plain list would hold.
    #[test]
    fn many_keys_are_found_as_few_are() {
        let retention = Retention { keys: 40, time: Duration::from_secs(10) };
        let mut keys = Keys::default();
        let mut list: Vec<(String, u64)> = Vec::new();
        for number in 0..400_u64 {
            let name = format!("key {}", if number % 37 == 36 { number - 20 } else { number });
            let record = KeyRecord {
                key: IdempotencyKey::new(&name).unwrap(),
                fingerprint: number.into(),
                outcome: KeyOutcome::Reply,
                codec: 1,
                reply: Bytes::new(),
            };
            let at = Timestamp::from_micros(number * 1_000_000);
            keys.add(record, StreamVersion::new(number), at, retention);
            list.retain(|(known, _)| *known != name);
            list.push((name, number));
            while list.len() > 40 && number - list[0].1 > 10 {
                list.remove(0);
            }
            for other in 0..=number {
                let name = format!("key {other}");
                let found = keys.get(&name).map(|remembered| remembered.version.get());
                let expected = list.iter().find(|(known, _)| *known == name).map(|(_, version)| *version);
                assert_eq!(found, expected, "{name} after {number}");
            }
        }
    }
}
