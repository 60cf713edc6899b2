//! One reading of a directory, line by line: what can be judged as soon as it is seen.

use std::collections::{BTreeMap, HashMap};

use super::{Answer, Finding, FindingKind, Ledger, Shown};
use crate::crash::chronicle::Chronicle;
use crate::crash::transcript::{CommitLine, Line, WrongKind};

/// What one reading has shown so far.
pub(super) struct Reading<'a> {
    ledger: &'a Ledger,
    pub(super) findings: Vec<Finding>,
    /// The command of each commit.
    pub(super) commits: Vec<u64>,
    /// In which commit each command is.
    pub(super) numbers: HashMap<u64, u64>,
    /// The digest after each event.
    pub(super) streams: BTreeMap<String, Vec<u64>>,
    /// States that the runtime brought back.
    pub(super) shown: Vec<Shown>,
    next_position: u64,
    /// Whether it read everything.
    pub(super) is_complete: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> Self {
        Reading {
            ledger,
            findings: Vec::new(),
            commits: Vec::new(),
            numbers: HashMap::new(),
            streams: BTreeMap::new(),
            shown: Vec::new(),
            next_position: 1,
            is_complete: false,
        }
    }

    pub(super) fn line(&mut self, line: &Line) {
        match line {
            Line::Commit(commit) => self.commit(commit),
            Line::Shown { stream, version, digest } => {
                self.shown.push(Shown { stream: stream.clone(), version: *version, digest: *digest });
            }
            Line::Wrong { kind: WrongKind::Torn, what } => self.find(FindingKind::Torn, what),
            Line::Wrong { kind: WrongKind::Repeat, what } => self.find(FindingKind::Repeated, what),
            Line::Wrong { kind: WrongKind::Content | WrongKind::Differs, what } => self.find(FindingKind::Wrong, what),
            Line::Panicked { what } => self.find(FindingKind::Panicked, what),
            Line::Failed { error } => self.find(FindingKind::NotOpened, error),
            Line::Done => self.is_complete = true,
            _ => {}
        }
    }

    fn commit(&mut self, line: &CommitLine) {
        let CommitLine { commit, position, stream, version, number, events, .. } = line;
        let place = self.commits.len();
        if *commit != place as u64 + 1 {
            self.find(FindingKind::Gapped, format!("after commit {place} comes {commit}"));
        }
        if *position != self.next_position {
            let before = self.next_position - 1;
            self.find(FindingKind::Gapped, format!("commit {commit}: after position {before} comes {position}"));
        }
        self.next_position = position + u64::from(*events);
        let head = self.streams.get(stream).map_or(0, |digests| digests.len() as u64);
        if *version != head + 1 {
            let what = format!("commit {commit}: {stream} is at version {head}, and then comes {version}");
            self.find(FindingKind::Gapped, what);
        }
        self.apply(stream, *number, *events);
        if let Some(other) = self.numbers.insert(*number, *commit) {
            self.find(FindingKind::Doubled, format!("command {number} is in commit {other} and in commit {commit}"));
        }
        match self.ledger.commits.get(place) {
            Some(shown) if shown != number => {
                let what = format!("commit {commit} was shown to be of command {shown}, and now is of {number}");
                self.find(FindingKind::Vanished, what);
            }
            shown => self.judge(line, shown.is_some()),
        }
        self.commits.push(*number);
    }

    fn apply(&mut self, stream: &str, number: u64, events: u16) {
        if !self.streams.contains_key(stream) {
            self.streams.insert(stream.to_owned(), Vec::new());
        }
        let Some(digests) = self.streams.get_mut(stream) else { return };
        for place in 0..events {
            let before = digests.last().copied().unwrap_or(0);
            digests.push(Chronicle::digest_after(before, number, place));
        }
    }

    /// Against what its sender said.
    fn judge(&mut self, line: &CommitLine, was_shown_before: bool) {
        let CommitLine { commit, stream, version, number, events, keyed, .. } = line;
        let Some(attempt) = self.ledger.attempts.get(number) else {
            let what = format!("commit {commit} is of command {number}, which nobody sent");
            return self.find(FindingKind::Wrong, what);
        };
        if attempt.stream != *stream {
            let sent = &attempt.stream;
            self.find(FindingKind::Wrong, format!("command {number} was sent to {sent}, and stored for {stream}"));
        }
        if attempt.events != *events {
            let sent = attempt.events;
            self.find(FindingKind::Torn, format!("command {number} had {sent} events, and {events} are stored"));
        }
        if attempt.keyed != *keyed {
            let (had, has) = (attempt.keyed, keyed);
            let what = format!("command {number}: a key? {had}. Commit {commit} remembers it? {has}");
            self.find(FindingKind::KeyLost, what);
        }
        let last = version + u64::from(*events) - 1;
        match attempt.answer {
            Answer::Stored { version } if version != last => {
                let what = format!("command {number} was answered with version {version}, and stored at {last}");
                self.find(FindingKind::Wrong, what);
            }
            Answer::Refused => {
                let what = format!("command {number} was answered as surely not stored, and is commit {commit}");
                self.find(FindingKind::StoredThough, what);
            }
            _ => {}
        }
        if !was_shown_before && attempt.readings_before < self.ledger.readings {
            let what = format!("commit {commit} with command {number} was not there at an earlier reading");
            self.find(FindingKind::Resurrected, what);
        }
    }

    fn find(&mut self, kind: FindingKind, what: impl Into<String>) {
        self.findings.push(Finding::new(kind, what));
    }
}
