//! What was said about a directory over its whole life, and whether what it holds agrees. Pure: lines in, findings out.
//!
//! The life of a directory is a sequence of transcripts: of loads, which attempt and are answered, and of readings, which
//! show what there is. Each may have been killed at any moment.

mod finding;
mod holders;
mod reading;
mod repeating;

use std::collections::{BTreeMap, HashMap};

pub use finding::{Finding, FindingKind};

use self::reading::Reading;
use super::transcript::{Holding, Line, Request, WrongKind};

/// What a command's sender knows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing: the process died first; or that it is perhaps stored.
    Open,
    /// Stored; its aggregates are at these versions.
    Stored { versions: Vec<u64> },
    /// Surely not stored.
    Refused,
}

/// A command that was sent.
#[derive(Clone, Debug)]
struct Attempt {
    request: Request,
    answer: Answer,
    /// It was sent before, and perhaps stored: a refusal of the repeat says nothing about that.
    is_doubtful: bool,
    /// By which load it was sent first.
    load: u32,
    /// How many readings had come to their end before: what those did not show must never appear.
    readings_before: u32,
}

/// A state that a read showed.
#[derive(Clone, Debug)]
struct Shown {
    stream: String,
    version: u64,
    digest: u64,
}

/// What was said about one directory.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    attempts: HashMap<u64, Attempt>,
    /// The command of each commit that was ever shown, by commit number.
    commits: Vec<u64>,
    /// How many loads there were.
    loads: u32,
    /// How many readings came to their end.
    readings: u32,
    /// What reads showed and no reading has confirmed yet.
    shown: Vec<Shown>,
    /// Who was seen to hold a claim, not confirmed yet.
    seen: Vec<Holding>,
    tally: Tally,
}

/// How much was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commands sent.
    pub attempted: u64,
    /// Of these, with an idempotency key.
    pub keyed: u64,
    /// How often one of them was sent again.
    pub repeated: u64,
    /// Of these, to another process than the first time.
    pub repeated_later: u64,
    /// Acknowledgements: how often a command was answered as stored, repeats included.
    pub acknowledged: u64,
    /// Commands acknowledged that took a claim, or held one for a while.
    pub claims_taken: u64,
    /// Commands acknowledged that confirmed, released or moved a claim.
    pub claims_changed: u64,
    /// Commands acknowledged that several aggregates decided on together.
    pub transacts: u64,
    /// Commands acknowledged that were asked for in pieces, by one `ask_all`.
    pub bulks: u64,
    /// Commands answered: surely not stored.
    pub refused: u64,
    /// Commands answered: perhaps stored.
    pub unknown: u64,
    /// States shown by reads under load.
    pub shown: u64,
    /// Commits in the last complete reading.
    pub commits: u64,
    /// Events in the last complete reading.
    pub events: u64,
    /// Commits that were stored without an answer: in flight when the process died.
    pub unanswered: u64,
}

impl Tally {
    /// Adds up what was said about several directories.
    pub fn add(&mut self, other: &Tally) {
        let Tally { attempted, acknowledged, refused, unknown, shown, commits, events, unanswered, .. } = *other;
        self.attempted += attempted;
        self.keyed += other.keyed;
        self.repeated += other.repeated;
        self.repeated_later += other.repeated_later;
        self.acknowledged += acknowledged;
        self.claims_taken += other.claims_taken;
        self.claims_changed += other.claims_changed;
        self.transacts += other.transacts;
        self.bulks += other.bulks;
        self.refused += refused;
        self.unknown += unknown;
        self.shown += shown;
        self.commits += commits;
        self.events += events;
        self.unanswered += unanswered;
    }

    /// A command was acknowledged for the first time.
    fn stored(&mut self, request: &Request) {
        self.transacts += u64::from(request.shares.len() > 1);
        self.bulks += u64::from(request.in_pieces().is_some());
        for step in request.shares.iter().filter_map(|share| share.step.as_ref()) {
            self.claims_taken += u64::from(step.takes());
            self.claims_changed += u64::from(!step.takes());
        }
    }

    /// What was acknowledged beside plain commands, for a table.
    pub fn extras(&self) -> [(&'static str, u64); 4] {
        [
            ("claims taken", self.claims_taken),
            ("claims confirmed, released, moved", self.claims_changed),
            ("decisions of several aggregates", self.transacts),
            ("commands in pieces, by ask_all", self.bulks),
        ]
    }
}

impl Ledger {
    /// Takes in what a load said.
    pub fn load(&mut self, lines: &[Line]) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.loads += 1;
        for line in lines {
            match line {
                Line::Attempt(request) => {
                    let attempt = Attempt {
                        request: request.clone(),
                        answer: Answer::Open,
                        is_doubtful: false,
                        load: self.loads,
                        readings_before: self.readings,
                    };
                    self.attempts.insert(request.number, attempt);
                    self.tally.attempted += 1;
                    self.tally.keyed += u64::from(request.keyed);
                }
                Line::Again { number } => self.again(*number),
                Line::Stored { number, versions } => findings.extend(self.stored(*number, versions)),
                Line::Refused { number, .. } => self.refused(*number),
                Line::Wrong { kind: WrongKind::Repeat, what } => {
                    findings.push(Finding::new(FindingKind::Repeated, what));
                }
                Line::Unknown { .. } => self.tally.unknown += 1,
                Line::Shown { .. } => self.note_shown(line),
                Line::Holds(holding) => self.seen.push(holding.clone()),
                Line::Panicked { what } => findings.push(Finding::new(FindingKind::Panicked, what)),
                Line::Failed { error } => findings.push(Finding::new(FindingKind::NotOpened, error)),
                _ => {}
            }
        }
        findings
    }

    fn note_shown(&mut self, line: &Line) {
        if let Line::Shown { stream, version, digest } = line {
            self.tally.shown += 1;
            self.shown.push(Shown { stream: stream.clone(), version: *version, digest: *digest });
        }
    }

    /// Takes in what a reading showed, and holds everything said before against it, as far as it got.
    pub fn read(&mut self, lines: &[Line]) -> Vec<Finding> {
        let mut reading = Reading::new(self);
        for line in lines {
            reading.line(line);
        }
        let Reading { mut findings, commits, numbers, streams, shown, holders, listed, is_complete, .. } = reading;
        self.shown.extend(shown);
        if is_complete {
            findings.extend(self.missing(&commits, &numbers));
            findings.extend(self.vanished_states(&streams));
            findings.extend(holders.compare(&listed));
            for seen in self.seen.drain(..).filter(|seen| !holders.was_given(seen)) {
                findings
                    .push(Finding::new(FindingKind::Vanished, format!("a look found {seen}, and no commit says so")));
            }
            self.readings += 1;
            self.tally.commits = commits.len() as u64;
            self.tally.events = streams.values().map(|digests| digests.len() as u64).sum();
            let open = |number: &&u64| self.attempts.get(*number).is_some_and(|attempt| attempt.answer == Answer::Open);
            self.tally.unanswered = commits.iter().filter(open).count() as u64;
            self.shown.clear();
        }
        if commits.len() > self.commits.len() {
            self.commits = commits;
        }
        findings
    }

    /// What a complete reading did not find.
    fn missing(&self, commits: &[u64], numbers: &HashMap<u64, u64>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if commits.len() < self.commits.len() {
            let (shown, now) = (self.commits.len(), commits.len());
            let what = format!("an earlier reading showed {shown} commits, this one ends after {now}");
            findings.push(Finding::new(FindingKind::Vanished, what));
        }
        for (number, attempt) in &self.attempts {
            if let Answer::Stored { versions } = &attempt.answer
                && !numbers.contains_key(number)
            {
                let request = &attempt.request;
                let what = format!("command {request} was answered as stored, at version {versions:?}");
                findings.push(Finding::new(FindingKind::Lost, what));
            }
        }
        findings
    }

    /// States that were shown, and that the events do not lead to.
    fn vanished_states(&self, streams: &BTreeMap<String, Vec<u64>>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for Shown { stream, version, digest } in self.shown.iter().filter(|shown| shown.version > 0) {
            let index = usize::try_from(*version - 1).unwrap_or(usize::MAX);
            let now = streams.get(stream).and_then(|digests| digests.get(index));
            if now != Some(digest) {
                let what = match now {
                    None => format!("{stream} was shown at version {version}, which is not there"),
                    Some(_) => format!("{stream} was shown at version {version} with other events before it"),
                };
                findings.push(Finding::new(FindingKind::Vanished, what));
            }
        }
        findings
    }

    /// How much was said.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
mod tests;
