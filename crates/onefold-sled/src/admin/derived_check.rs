//! Checks what is derived from the log, heads and index, against the log; and that nothing else is in sled.

use bytes::Bytes;
use onefold_core::StreamId;
use onefold_core::journal::record::RecordView;

use super::checker::LogChecker;
use super::log_scan::hex;
use super::problem::{Listed, Problem, ProblemKind, StreamLoss};
use super::{OnProgress, Progress};
use crate::block::{self, Parsed};
use crate::derived;
use crate::heads::Place;
use crate::keys;
use crate::store::{Store, StoreError};

/// Entries between two reports of progress.
const TELL_EVERY: u64 = 1_024;

/// Heads and index beside the log that was just walked.
pub(super) struct Derived<'a> {
    pub(super) store: &'a Store,
    pub(super) checker: &'a LogChecker,
    /// Both are complete up to this commit.
    pub(super) indexed: u64,
    pub(super) problems: &'a mut Listed<Problem>,
}

impl Derived<'_> {
    /// Checks all of it; counts heads and index entries.
    pub(super) fn check(&mut self, lost: &mut Listed<StreamLoss>, on_progress: OnProgress<'_>) -> (u64, u64) {
        if self.indexed > self.checker.commit {
            let evidence = format!("it says {}, the log ends at {}", self.indexed, self.checker.commit);
            self.problems.push(Problem::new(ProblemKind::MarkWrong, "the mark of the heads", evidence));
        }
        (self.check_heads(lost, &mut *on_progress), self.check_index(on_progress))
    }

    fn check_heads(&mut self, lost: &mut Listed<StreamLoss>, on_progress: OnProgress<'_>) -> u64 {
        let (mut heads, mut matched) = (0, 0);
        let total = self.checker.stream_count();
        for entry in of_kind(self.store, keys::HEAD) {
            let Some((key, value)) = self.readable(entry, "the heads") else { break };
            heads += 1;
            if heads % TELL_EVERY == 0 {
                on_progress(Progress { stage: "checking heads", done: heads, total });
            }
            matched += u64::from(self.check_head(&key, &value, lost));
        }
        if self.indexed >= self.checker.commit && matched < total && heads < total {
            let evidence = format!("{} of {total} streams have none", total - matched);
            self.problems.push(Problem::new(ProblemKind::HeadMissing, "the heads", evidence));
        }
        heads
    }

    /// Whether there is such a stream.
    fn check_head(&mut self, key: &Bytes, value: &Bytes, lost: &mut Listed<StreamLoss>) -> bool {
        let Some(stream) = keys::parse_head(key) else {
            let place = format!("key {}", hex(key));
            self.problems.push(Problem::new(ProblemKind::Foreign, place, "it is not the key of a stream's head"));
            return false;
        };
        let there = self.checker.place(&stream);
        let is_known = there.commit > 0;
        let Some(head) = derived::decode_head(key, value) else {
            self.wrong(ProblemKind::HeadDamaged, &stream, "it does not match its checksum".to_owned());
            return is_known;
        };
        if head == there {
            return is_known;
        }
        if head.version >= there.version && self.checker.in_hole(head.commit) {
            // Without events, what is gone has no version.
            if head.version > there.version {
                let (first_version, last_version) = (there.version + 1, head.version);
                lost.push(StreamLoss { stream, first_version, last_version });
            }
            return is_known;
        }
        // Beyond the last checkpoint a head may be as of any commit that the stream had since.
        let newer = there.commit > self.indexed;
        if newer && head.commit < there.commit && self.leads_to(&stream, head) {
            return is_known;
        }
        let Place { version, commit } = there;
        let evidence = format!(
            "it says version {} of commit {}, the log says version {version} of commit {commit}",
            head.version, head.commit
        );
        self.wrong(ProblemKind::HeadWrong, &stream, evidence);
        is_known
    }

    fn check_index(&mut self, on_progress: OnProgress<'_>) -> u64 {
        let (mut entries, mut good) = (0, 0);
        for entry in of_kind(self.store, keys::INDEX) {
            let Some((key, value)) = self.readable(entry, "the index") else { return entries };
            entries += 1;
            if entries % TELL_EVERY == 0 {
                on_progress(Progress { stage: "checking the index", done: entries, total: self.checker.index_entries });
            }
            let Some((stream, version)) = keys::parse_index(&key) else {
                let place = format!("key {}", hex(&key));
                self.problems.push(Problem::new(ProblemKind::Foreign, place, "it is not the key of an index entry"));
                continue;
            };
            match derived::decode_index(&key, &value) {
                None => {
                    let evidence = format!("that of version {version} does not match its checksum");
                    self.wrong(ProblemKind::IndexDamaged, &stream, evidence);
                }
                Some(commit) if self.checker.in_hole(commit) => {}
                Some(commit) if self.leads_to(&stream, Place { version, commit }) => {
                    good += u64::from(commit <= self.indexed);
                }
                Some(commit) => {
                    let evidence = format!("version {version} is not the stream's last one in commit {commit}");
                    self.wrong(ProblemKind::IndexWrong, &stream, evidence);
                }
            }
        }
        let expected = self.checker.index_entries;
        if good < expected {
            let evidence = format!("{} of {expected} entries are not there, or wrong", expected - good);
            self.problems.push(Problem::new(ProblemKind::IndexMissing, "the index", evidence));
        }
        entries
    }

    /// Whether the stream's part of that commit, as it is in sled, ends with that version.
    fn leads_to(&self, stream: &StreamId, place: Place) -> bool {
        let Some(record) = record_in_store(self.store, place.commit) else { return false };
        let view = RecordView::parse(&record).ok().filter(|view| view.commit().get() == place.commit);
        let part = view.and_then(|view| view.part_of(stream));
        part.is_some_and(|part| part.last_version().get() == place.version)
    }

    fn wrong(&mut self, kind: ProblemKind, stream: &StreamId, evidence: String) {
        let place = match kind {
            ProblemKind::IndexDamaged | ProblemKind::IndexWrong => format!("an index entry of {stream}"),
            _ => format!("the head of {stream}"),
        };
        self.problems.push(Problem { kind, place, evidence, stream: Some(stream.clone()) });
    }

    fn readable(&mut self, entry: Result<(Bytes, Bytes), StoreError>, place: &str) -> Option<(Bytes, Bytes)> {
        match entry {
            Ok(entry) => Some(entry),
            Err(reason) => {
                let evidence = format!("sled cannot be read there: {reason}");
                self.problems.push(Problem::new(ProblemKind::StoreUnreadable, place, evidence));
                None
            }
        }
    }
}

/// The entries whose keys begin with this byte.
pub(super) fn of_kind(store: &Store, kind: u8) -> impl Iterator<Item = Result<(Bytes, Bytes), StoreError>> + use<> {
    let mut high = vec![kind];
    // Longer than any key of ours, and no key holds more of these in a row.
    high.resize(600, 0xff);
    store.range(&[kind], &high)
}

/// Notes keys of kinds that no journal of this format has.
pub(super) fn note_foreign_keys(store: &Store, problems: &mut Listed<Problem>) {
    let known = [keys::CLAIM, keys::HEAD, keys::LOG, keys::MARK, keys::INDEX];
    let mut low = Vec::new();
    for kind in known.into_iter().map(Some).chain([None]) {
        let high = match kind {
            Some(kind) => [kind - 1].into_iter().chain([0xff; 600]).collect(),
            None => vec![0xff; 600],
        };
        // One of each stretch tells enough.
        if let Some(Ok((key, _))) = store.range(&low, &high).next() {
            let evidence = "no journal of this format writes such a key";
            problems.push(Problem::new(ProblemKind::Foreign, format!("key {}", hex(&key)), evidence));
        }
        low = kind.map_or(Vec::new(), |kind| vec![kind + 1]);
    }
}

/// The record of a commit as it is in sled, whatever its checksums say.
pub(super) fn record_in_store(store: &Store, commit: u64) -> Option<Bytes> {
    let (key, value) = store.last_in(&keys::log(0, 0), &keys::log(commit, u16::MAX)).ok()??;
    match block::parse(&key, &value).ok()? {
        Parsed::Records(block) => block.holds(commit).then(|| block.record(commit)),
        Parsed::Chunk { .. } => {
            let entries = store.range(&keys::log(commit, 0), &keys::log(commit, u16::MAX));
            let chunks: Result<Vec<_>, _> = entries.map(|entry| entry.map(|(_, value)| value)).collect();
            Some(block::assemble(commit, chunks.ok()?.into_iter()).ok()?.record(commit))
        }
    }
}
