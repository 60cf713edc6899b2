//! One reading of a directory, line by line: what can be judged as soon as it is seen.

use std::collections::{BTreeMap, HashMap};

use super::holders::Holders;
use super::{Answer, Attempt, Finding, FindingKind, Ledger, Shown};
use crate::crash::chronicle::Chronicle;
use crate::crash::transcript::{CommitLine, Fact, Holding, Line, Part, WrongKind};

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
    /// Who holds which claim by the commits so far, and what the journal says at the end.
    pub(super) holders: Holders,
    pub(super) listed: BTreeMap<String, Holding>,
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
            holders: Holders::default(),
            listed: BTreeMap::new(),
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
            Line::Holds(holding) => drop(self.listed.insert(holding.claim.clone(), holding.clone())),
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
        let CommitLine { commit, position, number, parts, .. } = line;
        let place = self.commits.len();
        if *commit != place as u64 + 1 {
            self.find(FindingKind::Gapped, format!("after commit {place} comes {commit}"));
        }
        if *position != self.next_position {
            let before = self.next_position - 1;
            self.find(FindingKind::Gapped, format!("commit {commit}: after position {before} comes {position}"));
        }
        self.next_position = position + line.events();
        for part in parts {
            self.part(*commit, *number, part);
        }
        let total: i64 = parts.iter().map(|part| part.amount).sum();
        if total != 0 {
            self.find(FindingKind::Unbalanced, format!("commit {commit} with command {number} makes {total}"));
        }
        if *number == 0 {
            // The end of a hold, which nobody sent.
            let ends =
                |part: &Part| part.events == 0 && part.facts.iter().all(|fact| matches!(fact, Fact::Expired(..)));
            if !parts.iter().all(ends) {
                self.find(
                    FindingKind::Wrong,
                    format!("commit {commit} is of no command, and more than the end of a hold"),
                );
            }
        } else if let Some(other) = self.numbers.insert(*number, *commit) {
            self.find(FindingKind::Doubled, format!("command {number} is in commit {other} and in commit {commit}"));
        }
        match self.ledger.commits.get(place) {
            Some(shown) if shown != number => {
                let what = format!("commit {commit} was shown to be of command {shown}, and now is of {number}");
                self.find(FindingKind::Vanished, what);
            }
            _ if *number == 0 => {}
            shown => self.judge(line, shown.is_some()),
        }
        self.commits.push(*number);
    }

    /// One aggregate's part: its place, its events, its claims.
    fn part(&mut self, commit: u64, number: u64, part: &Part) {
        let Part { stream, version, events, first, facts, .. } = part;
        let head = self.streams.get(stream).map_or(0, |digests| digests.len() as u64);
        if *version != head + 1 {
            let what = format!("commit {commit}: {stream} is at version {head}, and then comes {version}");
            self.find(FindingKind::Gapped, what);
        }
        if *events > 0 {
            let digests = self.streams.entry(stream.clone()).or_default();
            for place in *first..*first + *events {
                let before = digests.last().copied().unwrap_or(0);
                digests.push(Chronicle::digest_after(before, number, place));
            }
        }
        for fact in facts {
            self.findings.extend(self.holders.note(commit, stream, fact));
        }
    }

    /// Against what its sender said.
    fn judge(&mut self, line: &CommitLine, was_shown_before: bool) {
        let CommitLine { commit, number, keyed, .. } = line;
        let Some(attempt) = self.ledger.attempts.get(number) else {
            let what = format!("commit {commit} is of command {number}, which nobody sent");
            return self.find(FindingKind::Wrong, what);
        };
        self.shares(line, attempt);
        if attempt.request.keyed != *keyed {
            let (had, has) = (attempt.request.keyed, keyed);
            let what = format!("command {number}: a key? {had}. Commit {commit} remembers it? {has}");
            self.find(FindingKind::KeyLost, what);
        }
        if attempt.answer == Answer::Refused {
            let what = format!("command {number} was answered as surely not stored, and is commit {commit}");
            self.find(FindingKind::StoredThough, what);
        }
        if !was_shown_before && attempt.readings_before < self.ledger.readings {
            let what = format!("commit {commit} with command {number} was not there at an earlier reading");
            self.find(FindingKind::Resurrected, what);
        }
    }

    /// Each aggregate's part against what it was sent, and was answered.
    fn shares(&mut self, line: &CommitLine, attempt: &Attempt) {
        let CommitLine { commit, number, parts, .. } = line;
        let (sent, stored) = (attempt.request.shares.len(), parts.len());
        if sent != stored {
            self.find(
                FindingKind::Torn,
                format!("command {number} was sent to {sent} aggregates, stored for {stored}"),
            );
        }
        for (index, (first, share)) in attempt.request.placed().enumerate() {
            let stream = &share.stream;
            let Some(part) = parts.iter().find(|part| part.stream == *stream) else {
                self.find(
                    FindingKind::Wrong,
                    format!("command {number} was sent to {stream}, and is not stored for it"),
                );
                continue;
            };
            if (share.events, first) != (part.events, part.first) {
                let (sent, stored) = (share.events, part.events);
                self.find(FindingKind::Torn, format!("command {number} had {sent} events, and {stored} are stored"));
            }
            if share.amount != part.amount {
                let (sent, stored) = (share.amount, part.amount);
                self.find(
                    FindingKind::Unbalanced,
                    format!("command {number}: {stored} instead of {sent} for {stream}"),
                );
            }
            let done: Vec<_> = part.facts.iter().filter(|fact| !matches!(fact, Fact::Expired(..))).collect();
            match &share.step {
                Some(step) if !matches!(*done, [fact] if step.is_done_by(fact)) => {
                    let what = format!("command {number} asks for {step}, commit {commit} has {:?}", part.facts);
                    self.find(FindingKind::ClaimLost, what);
                }
                None if !part.facts.is_empty() => {
                    let what = format!("command {number} asks for no claim, commit {commit} has {:?}", part.facts);
                    self.find(FindingKind::ClaimWrong, what);
                }
                _ => {}
            }
            let last = part.version + u64::from(part.events) - 1;
            if let Answer::Stored { versions } = &attempt.answer
                && versions.get(index) != Some(&last)
            {
                let what = format!("command {number} was answered with version {versions:?}, and stored at {last}");
                self.find(FindingKind::Wrong, what);
            }
        }
    }

    fn find(&mut self, kind: FindingKind, what: impl Into<String>) {
        self.findings.push(Finding::new(kind, what));
    }
}
