//! Checks claims: that what the log says of each follows from what it said before, and that sled's entries are what it led to.
//!
//! Holds some 60 bytes per claim that somebody holds: claims and streams are known by two keyed hashes.

use std::collections::HashMap;

use onefold_core::journal::record::RecordView;
use onefold_core::journal::{ClaimFact, RecordedCommit};
use onefold_core::{ClaimName, CommitNumber, Holder, StreamId, Timestamp};

use super::checker::{Hashers, LogChecker};
use super::derived_check::{of_kind, record_in_store};
use super::log_scan::hex;
use super::problem::{Listed, Problem, ProblemKind};
use super::{OnProgress, Progress};
use crate::store::Store;
use crate::{derived, keys};

/// Entries between two reports of progress.
const TELL_EVERY: u64 = 1_024;

/// What the log said of each claim last.
pub(super) struct ClaimLedger {
    claims: HashMap<u128, LastFact>,
    /// Claims that nobody holds since a commit up to this one are forgotten.
    settled: u64,
    /// Facts that do not follow from those before.
    pub(super) broken: Listed<Problem>,
}

#[derive(Clone, Copy)]
struct LastFact {
    commit: u64,
    /// The holder's stream, and its limit.
    holder: Option<(u128, Option<Timestamp>)>,
}

impl ClaimLedger {
    pub(super) fn new(settled: u64) -> Self {
        ClaimLedger { claims: HashMap::new(), settled, broken: Listed::default() }
    }

    /// Takes in a commit's facts. Behind a hole in the log, facts may lead on from some that are gone.
    pub(super) fn note(&mut self, commit: &RecordedCommit, hashers: &Hashers, behind_a_hole: bool) {
        let number = commit.number;
        for (stream, part) in commit.parts.iter().filter(|(_, part)| !part.extras_bytes.is_empty()) {
            for fact in part.extras().unwrap_or_default().claims {
                let key = hashers.hash(fact.claim());
                let before = self.claims.remove(&key);
                if !behind_a_hole && !follows(&fact, before, hashers.hash(stream)) {
                    let evidence = format!("{fact:?} by {stream} does not follow from what was before");
                    let (kind, commit) = (ProblemKind::ClaimBroken, number.get());
                    self.broken.push(Problem::of_commits(kind, commit, commit, evidence));
                }
                let holder =
                    fact.holder(stream, number).map(|holder| (hashers.hash(&holder.stream), holder.expires_at));
                if holder.is_some() || number.get() > self.settled {
                    self.claims.insert(key, LastFact { commit: number.get(), holder });
                }
            }
        }
    }
}

/// Whether a fact by `stream` can come behind that one.
fn follows(fact: &ClaimFact, before: Option<LastFact>, stream: u128) -> bool {
    let before = before.and_then(|fact| Some((fact.commit, fact.holder?)));
    let is_own = before.is_some_and(|(_, (holder, _))| holder == stream);
    match fact {
        ClaimFact::Taken { .. } => is_own || before.is_none(),
        ClaimFact::Released { .. } | ClaimFact::Moved { .. } => is_own,
        ClaimFact::Expired { since, .. } => {
            before.is_some_and(|(commit, (_, expires_at))| commit == since.get() && expires_at.is_some())
        }
        _ => false,
    }
}

/// The claims in sled, beside the log that was just walked.
pub(super) struct StoredClaims<'a> {
    pub(super) store: &'a Store,
    pub(super) checker: &'a LogChecker,
    /// They are complete up to this commit.
    pub(super) indexed: u64,
    pub(super) problems: &'a mut Listed<Problem>,
}

impl StoredClaims<'_> {
    /// Checks all of them; says how many there are.
    pub(super) fn check(&mut self, on_progress: OnProgress<'_>) -> u64 {
        let ledger = &self.checker.claims.claims;
        let settled = ledger.values().filter(|fact| fact.holder.is_some() && fact.commit <= self.indexed);
        let expected = settled.count() as u64;
        let (mut entries, mut good) = (0, 0);
        for entry in of_kind(self.store, keys::CLAIM) {
            let (key, value) = match entry {
                Ok(entry) => entry,
                Err(reason) => {
                    let evidence = format!("sled cannot be read there: {reason}");
                    self.problems.push(Problem::new(ProblemKind::StoreUnreadable, "the claims", evidence));
                    return entries;
                }
            };
            entries += 1;
            if entries % TELL_EVERY == 0 {
                on_progress(Progress { stage: "checking claims", done: entries, total: expected });
            }
            let Some(name) = keys::parse_claim(&key) else {
                let place = format!("key {}", hex(&key));
                self.problems.push(Problem::new(ProblemKind::Foreign, place, "it is not the key of a claim"));
                continue;
            };
            match derived::decode_claim(&key, &value) {
                Some(holder) => good += u64::from(self.check_one(&name, &holder)),
                None => self.wrong(ProblemKind::ClaimDamaged, &name, "it does not match its checksum".to_owned()),
            }
        }
        // What is not in the log can't be missed.
        if good < expected && self.checker.holes.iter().all(|hole| hole.recorded.is_some()) {
            let evidence = format!("{} of {expected} claims are not there, or wrong", expected - good);
            self.problems.push(Problem::new(ProblemKind::ClaimMissing, "the claims", evidence));
        }
        entries
    }

    /// Whether it is one of those that have to be there, as it is.
    fn check_one(&mut self, name: &ClaimName, holder: &Holder) -> bool {
        let hashers = &self.checker.hashers;
        let known = self.checker.claims.claims.get(&hashers.hash(name)).copied();
        let stored =
            LastFact { commit: holder.since.get(), holder: Some((hashers.hash(&holder.stream), holder.expires_at)) };
        if known.is_some_and(|known| (known.commit, known.holder) == (stored.commit, stored.holder)) {
            return stored.commit <= self.indexed;
        }
        // Beyond the last checkpoint an entry may be as of any commit that changed the claim since.
        let newer = known.is_some_and(|known| known.commit > self.indexed && stored.commit < known.commit);
        if self.checker.in_hole(stored.commit) || (newer && self.was_given(name, holder)) {
            return false;
        }
        let evidence = format!("it says {} since commit {}, the log says otherwise", holder.stream, holder.since);
        self.wrong(ProblemKind::ClaimWrong, name, evidence);
        false
    }

    /// Whether the commit that an entry names, as it is in sled, made that stream the holder.
    fn was_given(&self, name: &ClaimName, holder: &Holder) -> bool {
        let Some(record) = record_in_store(self.store, holder.since.get()) else { return false };
        let commit = RecordView::parse(&record).and_then(|view| view.to_commit(&record));
        let Ok(commit) = commit else { return false };
        let gives = |number: CommitNumber, stream: &StreamId, fact: &ClaimFact| {
            fact.claim() == name && fact.holder(stream, number).as_ref() == Some(holder)
        };
        commit.parts.iter().any(|(stream, part)| {
            part.extras().unwrap_or_default().claims.iter().any(|fact| gives(commit.number, stream, fact))
        })
    }

    fn wrong(&mut self, kind: ProblemKind, name: &ClaimName, evidence: String) {
        self.problems.push(Problem::new(kind, format!("the claim {name}"), evidence));
    }
}
