//! Commands with idempotency keys: which are to be sent again, and what the answers say.

use super::{Answer, Attempt, Finding, FindingKind, Ledger};
use crate::crash::transcript::Line;

/// How many commands of open outcome a load sends again at most, and how many that were acknowledged.
const OPEN_MAX: usize = 1_024;
const ACKNOWLEDGED_MAX: usize = 64;

impl Ledger {
    /// What the next load is to send again, in the words of the first time: the newest commands with keys whose outcome is
    /// open, and some whose outcome is known.
    pub fn to_be_repeated(&self) -> Vec<Line> {
        // IMPORTANT: what was acknowledged only after a reading has found it. A repeat would bring back what was lost.
        let may_be_lost = |attempt: &Attempt| {
            matches!(attempt.answer, Answer::Stored { .. }) && attempt.readings_before == self.readings
        };
        let keyed = self.attempts.iter().filter(|(_, attempt)| attempt.request.keyed && !may_be_lost(attempt));
        let (mut known, mut open): (Vec<_>, Vec<_>) = keyed.partition(|(_, attempt)| attempt.answer != Answer::Open);
        open.sort_by_key(|(number, _)| std::cmp::Reverse(**number));
        open.truncate(OPEN_MAX);
        known.sort_by_key(|(number, _)| **number);
        // The newest, which were just about to be stored when the process died, and others spread over all.
        let newest = known.iter().rev().take(ACKNOWLEDGED_MAX / 2);
        let step = known.len().div_ceil(ACKNOWLEDGED_MAX / 2).max(1);
        let mut chosen: Vec<_> = newest.chain(known.iter().step_by(step)).chain(&open).collect();
        chosen.sort_by_key(|(number, _)| **number);
        chosen.dedup_by_key(|(number, _)| **number);
        chosen.into_iter().map(|(_, attempt)| Line::Attempt(attempt.request.clone())).collect()
    }

    /// A command is about to be sent again.
    pub(super) fn again(&mut self, number: u64) {
        let Some(attempt) = self.attempts.get_mut(&number) else { return };
        self.tally.repeated += 1;
        self.tally.repeated_later += u64::from(attempt.load != self.loads);
        match attempt.answer {
            Answer::Stored { .. } => return,
            Answer::Open => attempt.is_doubtful = true,
            Answer::Refused => attempt.answer = Answer::Open,
        }
        // If it is not there yet, it may come now.
        attempt.readings_before = self.readings;
    }

    /// A command was answered as stored, perhaps not for the first time.
    pub(super) fn stored(&mut self, number: u64, versions: &[u64]) -> Option<Finding> {
        self.tally.acknowledged += 1;
        let attempt = self.attempts.get_mut(&number)?;
        match std::mem::replace(&mut attempt.answer, Answer::Stored { versions: versions.to_vec() }) {
            Answer::Stored { versions: first } if first != versions => {
                let what = format!("command {number} was answered with version {first:?}, and again with {versions:?}");
                Some(Finding::new(FindingKind::Repeated, what))
            }
            Answer::Stored { .. } => None,
            Answer::Open | Answer::Refused => {
                self.tally.stored(&attempt.request);
                None
            }
        }
    }

    /// Of this sending surely nothing was stored. Of an earlier one perhaps.
    pub(super) fn refused(&mut self, number: u64) {
        self.tally.refused += 1;
        if let Some(attempt) = self.attempts.get_mut(&number)
            && attempt.answer == Answer::Open
            && !attempt.is_doubtful
        {
            attempt.answer = Answer::Refused;
        }
    }
}
