//! The idempotency keys that an instance remembers: which commands it has answered already, and what.
//!
//! ```text
//!   few keys    filter: surely new?  if not, one by one ─┐
//!   many keys   table: where is the record of this one? ─┴─▶ log: the records, in order
//! ```
//!
//! A pure function of the stream, as the state is: keys come in as their commits do, live or replayed, and the oldest is
//! forgotten by what the commits themselves say. A clock that jumps ahead in a single commit would make all older keys look
//! old; so would one that was ahead and is right again make new ones look older than they are. Therefore a key goes only when
//! it is older than so many keyed commits *and* older than so long, by the running maximum of the commits' times.

mod filter;
mod log;

use std::sync::LazyLock;
use std::time::Duration;

use hashbrown::HashTable;
use onefold_core::journal::{KeyRecord, PackedKey};
use onefold_core::{StreamVersion, Timestamp};

use self::filter::Filter;
use self::log::{Log, Place};

/// How long keys are remembered: at least so many, and at least for so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) keys: usize,
    pub(crate) time: Duration,
}

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered<'a> {
    pub(crate) record: KeyRecord<&'a [u8]>,
    /// The aggregate's version after it.
    pub(crate) version: StreamVersion,
}

/// See the module. Nearly every key is new, and most aggregates have few: then some bits tell of most new ones that they are
/// none of those, and nothing else is looked at.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// In the order of their commits.
    log: Log,
    count: usize,
    /// Of each key, as long as there is no table.
    filter: Filter,
    /// Where each key's last record is, once there are many.
    table: Option<Box<HashTable<Place>>>,
    newest: Timestamp,
}

/// So many keys are looked at one by one, if they have to be looked at.
const FEW: usize = 32;

impl Keys {
    /// What the key stands for, if it is remembered.
    pub(crate) fn get(&self, key: PackedKey<'_>) -> Option<Remembered<'_>> {
        let hash = hash_of(key);
        let place = match &self.table {
            Some(table) => *table.find(hash, |place| self.log.has_key(*place, key))?,
            None if !self.filter.may_hold(hash) => return None,
            None => self.log.places().filter(|place| self.log.has_key(*place, key)).last()?,
        };
        Some(self.log.get(place)?.remembered)
    }

    /// Adds the key of a commit, and forgets what is too old by now. Should it be there already, as in a stream that was
    /// written elsewhere, the new one counts.
    pub(crate) fn add(
        &mut self,
        record: &KeyRecord<impl AsRef<[u8]>>,
        version: StreamVersion,
        at: Timestamp,
        retention: Retention,
    ) {
        self.newest = self.newest.max(at);
        let place = self.log.push(record, version, self.newest);
        self.count += 1;
        match &mut self.table {
            Some(table) => note(table, &self.log, record.key(), place),
            None if self.count > FEW => self.make_table(),
            None => self.filter.add(hash_of(record.key())),
        }
        self.forget_old(retention);
    }

    fn forget_old(&mut self, retention: Retention) {
        let time = u64::try_from(retention.time.as_micros()).unwrap_or(u64::MAX);
        while self.count > retention.keys
            && let Some(place) = self.log.oldest()
            && let Some(oldest) = self.log.get(place)
            && self.newest.as_micros().saturating_sub(oldest.at.as_micros()) > time
        {
            let hash = hash_of(oldest.remembered.record.key());
            // The filter can't take one back.
            let table = match &mut self.table {
                Some(table) => table,
                None => {
                    self.make_table();
                    continue;
                }
            };
            if let Ok(entry) = table.find_entry(hash, |other| *other == place) {
                entry.remove();
            }
            self.log.forget_oldest();
            self.count -= 1;
            if table.len() * 4 < table.capacity() {
                table.shrink_to(table.len() * 2, hash_at(&self.log));
            }
        }
    }

    fn make_table(&mut self) {
        let mut table = Box::new(HashTable::with_capacity(2 * FEW));
        for place in self.log.places() {
            if let Some(entry) = self.log.get(place) {
                note(&mut table, &self.log, entry.remembered.record.key(), place);
            }
        }
        self.table = Some(table);
    }

    /// The memory they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.log.allocated_bytes() + self.table.as_ref().map_or(0, |table| table.allocation_size())
    }
}

/// Notes where a key's record is, in place of an older one.
fn note(table: &mut HashTable<Place>, log: &Log, key: PackedKey<'_>, place: Place) {
    table.entry(hash_of(key), |other| log.has_key(*other, key), hash_at(log)).insert(place);
}

fn hash_at(log: &Log) -> impl Fn(&Place) -> u64 + use<'_> {
    |place| log.get(*place).map_or(0, |entry| hash_of(entry.remembered.record.key()))
}

/// Keyed anew in each process: whoever chooses the keys can't choose those that lie on one heap.
fn hash_of(key: PackedKey<'_>) -> u64 {
    static HASHING: LazyLock<ahash::RandomState> = LazyLock::new(ahash::RandomState::new);
    HASHING.hash_one(key)
}

#[cfg(test)]
mod tests {
    use onefold_core::journal::{KeyDraft, KeyOutcome};

    use super::*;

    const RETENTION: Retention = Retention { keys: 3, time: Duration::from_secs(10) };

    fn add(keys: &mut Keys, key: &str, second: u64) {
        let record = KeyRecord::new(key, 7, KeyOutcome::Reply, 1, &[]).unwrap();
        keys.add(&record, StreamVersion::EMPTY, Timestamp::from_micros(second * 1_000_000), RETENTION);
    }

    /// The version that a key stands for.
    fn version_of(keys: &Keys, key: &str) -> Option<u64> {
        let draft = KeyDraft::new(key, 0).unwrap();
        keys.get(draft.key()).map(|remembered| remembered.version.get())
    }

    fn known(keys: &Keys) -> String {
        ["a", "b", "c", "d", "e", "f"].into_iter().filter(|key| version_of(keys, key).is_some()).collect()
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

    /// After a burst that was kept for its hour, memory is what the few that are left take.
    #[test]
    fn bytes_are_given_back() {
        let mut keys = Keys::default();
        for number in 0..5_000 {
            add(&mut keys, &format!("a key of a burst, {number}"), 1);
        }
        let burst = keys.bytes();
        assert!(burst > 5_000 * 50, "{burst}");
        for second in [100, 101, 102] {
            add(&mut keys, &format!("a key of {second}"), second);
        }
        assert_eq!(keys.count, 3);
        assert!(keys.bytes() < 3_000, "{} of {burst}", keys.bytes());
    }

    /// As in a stream that was written elsewhere: the last record of a key counts, and outlives the one before it.
    #[test]
    fn last_record_of_a_key_counts() {
        for others in [0_u64, 3, 100] {
            let mut keys = Keys::default();
            add(&mut keys, "a", 1);
            for number in 0..others {
                add(&mut keys, &format!("other {number}"), 1);
            }
            let again = KeyRecord::new("a", 8, KeyOutcome::Rejection, 1, &[]).unwrap();
            let retention = Retention { keys: 1_000, ..RETENTION };
            keys.add(&again, StreamVersion::new(5), Timestamp::from_micros(1_000_000), retention);
            assert_eq!(version_of(&keys, "a"), Some(5), "{others}");
            add(&mut keys, "z", 100);
            add(&mut keys, "y", 100);
            assert_eq!(version_of(&keys, "a"), Some(5), "{others}");
        }
    }

    /// Few or many, kept long or forgotten, doubled or not: what is found is what a plain list would hold.
    #[test]
    fn many_keys_are_found_as_few_are() {
        let retention = Retention { keys: 100, time: Duration::from_secs(10) };
        let mut keys = Keys::default();
        let mut list: Vec<(String, u64)> = Vec::new();
        for number in 0..400_u64 {
            let name = format!("key {}", if number % 37 == 36 { number - 20 } else { number });
            let record = KeyRecord::new(&name, number, KeyOutcome::Reply, 1, &[]).unwrap();
            let at = Timestamp::from_micros(number * 1_000_000);
            keys.add(&record, StreamVersion::new(number), at, retention);
            list.push((name, number));
            while list.len() > 100 && number - list[0].1 > 10 {
                list.remove(0);
            }
            for other in 0..=number {
                let name = format!("key {other}");
                let found = version_of(&keys, &name);
                let expected = list.iter().rfind(|(known, _)| *known == name).map(|(_, version)| *version);
                assert_eq!(found, expected, "{name} after {number}");
            }
        }
    }
}
