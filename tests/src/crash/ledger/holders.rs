//! Who holds which claim, by the facts of the commits, one after the other. What a fact cannot be is found at once.

use std::collections::{BTreeMap, HashSet};

use super::{Finding, FindingKind};
use crate::crash::transcript::{Fact, Holding};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    now: BTreeMap<String, Holding>,
    /// Every claim that was ever given: to which aggregate, by which commit, until when.
    given: HashSet<Holding>,
}

impl Holders {
    /// One more fact, of `stream`'s part of a commit.
    pub(super) fn note(&mut self, commit: u64, stream: &str, fact: &Fact) -> Option<Finding> {
        let (claim, to) = match fact {
            Fact::Taken(claim, until) => (claim, Some((stream, *until))),
            Fact::Moved(claim, to, until) => (claim, Some((to.as_str(), *until))),
            Fact::Released(claim) | Fact::Expired(claim, _) => (claim, None),
        };
        let before = self.now.remove(claim);
        let finding = objection(commit, stream, fact, before.as_ref());
        if let Some((stream, until)) = to {
            let holding = Holding { claim: claim.clone(), stream: stream.to_owned(), since: commit, until };
            self.given.insert(holding.clone());
            self.now.insert(claim.clone(), holding);
        }
        finding
    }

    /// Somebody was told that a claim is held so: then a commit made it so.
    pub(super) fn was_given(&self, holding: &Holding) -> bool {
        self.given.contains(holding)
    }

    /// What the journal says of all claims, against what its commits say.
    pub(super) fn compare(&self, listed: &BTreeMap<String, Holding>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (claim, holding) in &self.now {
            match listed.get(claim) {
                None => findings.push(Finding::new(FindingKind::ClaimLost, format!("{holding}, and nobody is listed"))),
                Some(told) if told != holding => {
                    let what = format!("by the log it is {holding}, listed is {told}");
                    findings.push(Finding::new(FindingKind::ClaimWrong, what));
                }
                Some(_) => {}
            }
        }
        let free = listed.iter().filter(|(claim, _)| !self.now.contains_key(*claim));
        findings.extend(free.map(|(_, told)| {
            Finding::new(FindingKind::ClaimWrong, format!("listed is {told}, by the log nobody holds it"))
        }));
        findings
    }
}

/// Why a fact cannot be, when `before` holds the claim.
fn objection(commit: u64, stream: &str, fact: &Fact, before: Option<&Holding>) -> Option<Finding> {
    let wrong = |why: &str| Some(Finding::new(FindingKind::ClaimWrong, format!("commit {commit}: {fact} {why}")));
    match (fact, before) {
        (Fact::Taken(..), Some(before)) if before.stream != stream => {
            let what = format!("commit {commit}: {fact} by {stream}, while it is {before}");
            Some(Finding::new(FindingKind::TwoHolders, what))
        }
        (Fact::Taken(_, Some(_)), Some(before)) if before.until.is_none() => wrong("limits what was held for good"),
        (Fact::Taken(..), _) => None,
        (Fact::Moved(_, _, until), Some(before)) if before.stream == stream => match before.until == *until {
            true => None,
            false => wrong("changes the limit"),
        },
        (Fact::Released(_), Some(before)) if before.stream == stream => None,
        (Fact::Moved(..) | Fact::Released(_), _) => wrong(&format!("by {stream}, which does not hold it")),
        (Fact::Expired(_, since), Some(before)) if before.since == *since && before.until.is_some() => None,
        (Fact::Expired(..), _) => wrong("ends what is no such hold"),
    }
}
