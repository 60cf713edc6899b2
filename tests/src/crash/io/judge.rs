//! What a load under a fault must have said.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::crash::ledger::{Finding, FindingKind};
use crate::crash::process::Process;
use crate::crash::transcript::{Line, Request};

/// What a poisoned journal says.
pub(super) const POISONED: &str = "refuses writes after a failure";

/// Commands that were sent and are not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open(HashSet<u64>);

impl Open {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut open = HashSet::new();
        for line in lines {
            match line {
                Line::Attempt(Request { number, .. }) | Line::Again { number } => drop(open.insert(*number)),
                Line::Stored { number, .. } | Line::Refused { number, .. } | Line::Unknown { number, .. } => {
                    open.remove(number);
                }
                _ => {}
            }
        }
        Open(open)
    }

    /// Those of them that are still open.
    fn still(&self, lines: &[Line]) -> usize {
        Open::of(lines).0.intersection(&self.0).count()
    }
}

/// Waits until all of them are answered; says how long that took, or that it took too long.
pub(super) fn answered_in_time(
    process: &mut Process,
    open: &Open,
    timeout: Duration,
) -> anyhow::Result<Result<Duration, Finding>> {
    let begun = Instant::now();
    process.wait_until(|lines| open.still(lines) == 0, timeout)?;
    match open.still(process.lines()?) {
        0 => Ok(Ok(begun.elapsed())),
        still => {
            let what = format!("{still} commands have no answer after {timeout:?}");
            Ok(Err(Finding::new(FindingKind::Hung, what)))
        }
    }
}

/// Once the journal has refused a command, it stores none that is sent later: the poison stays.
pub(super) fn refused_for_good(lines: &[Line]) -> Vec<Finding> {
    let is_refusal = |line: &Line| match line {
        Line::Refused { error, .. } => error.contains(POISONED),
        Line::Unknown { .. } => true,
        _ => false,
    };
    let Some(refused) = lines.iter().position(is_refusal) else { return Vec::new() };
    let later: HashSet<u64> = lines[refused..].iter().filter_map(attempted).collect();
    let stored = lines.iter().filter_map(|line| match line {
        Line::Stored { number, .. } if later.contains(number) => {
            let what = format!("command {number} was stored, though the journal had failed before it was sent");
            Some(Finding::new(FindingKind::Wrong, what))
        }
        _ => None,
    });
    stored.collect()
}

fn attempted(line: &Line) -> Option<u64> {
    match line {
        Line::Attempt(Request { number, .. }) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::transcript;

    #[test]
    fn what_has_no_answer_is_open() {
        let lines =
            transcript::parse("attempt 1 a 1\nattempt 2 b 1\nattempt 3 c 1\nstored 2 1\nunknown 3 x\n").unwrap();
        let open = Open::of(&lines);
        assert_eq!(open, Open(HashSet::from([1])));
        assert_eq!(open.still(&lines), 1);
        let later = transcript::parse("attempt 1 a 1\nrefused 1 x\nattempt 4 a 1\n").unwrap();
        assert_eq!(open.still(&later), 0);
    }

    #[test]
    fn a_poisoned_journal_stores_nothing_sent_later() {
        let said = "attempt 1 a 1\nattempt 2 b 1\nunknown 1 the disk failed\nstored 2 1\nattempt 3 c 1\n";
        let sound = format!("{said}refused 3 the journal refuses writes after a failure\n");
        assert_eq!(refused_for_good(&transcript::parse(&sound).unwrap()), []);
        let unsound = format!("{said}stored 3 1\n");
        assert_eq!(refused_for_good(&transcript::parse(&unsound).unwrap()).len(), 1);
    }
}
