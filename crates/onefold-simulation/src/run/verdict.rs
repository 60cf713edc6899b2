//! What can only be judged at the end: the history against the journal, and the states that callers were shown against what
//! its events give.

use std::collections::BTreeMap;

use onefold::journal::RecordedCommit;
use onefold::{Aggregate, StreamId, StreamVersion};
use onefold_testkit::ClaimsByLog;
use onefold_testkit::history::{Report, StoredEvent, operation_in_metadata};

use super::World;
use crate::Violation;
use crate::simulated::digest;

pub(super) fn judge<A: Aggregate>(world: &World<A>) -> Result<Report, Violation> {
    let mut stored = Vec::new();
    let mut digests: BTreeMap<StreamId, Vec<u64>> = BTreeMap::new();
    let mut position = 0;
    let mut claims = ClaimsByLog::default();
    let mut keys = Keys::default();
    for (commit, number) in world.disk.commits().into_iter().zip(1u64..) {
        let wrong = |reason| Violation::Numbers { commit: number, reason };
        if commit.number.get() != number {
            return Err(wrong(format!("it has the number {}", commit.number)));
        }
        check_together(world, &commit)?;
        for (stream, part) in commit.parts {
            if part.first_position.get() != position + 1 {
                return Err(wrong(format!("position {} follows {position}", part.first_position)));
            }
            position += u64::from(part.event_count);
            let wrong = |reason| Violation::Claims { commit: number, reason };
            let extras = part.extras().ok_or_else(|| wrong("its extras do not parse".to_owned()))?;
            claims.note(commit.number, &stream, &extras).map_err(wrong)?;
            let operation = operation_in_metadata(&part).map(|marked| world.witness.participant(marked, &stream));
            let of_command = operation.and_then(|operation| world.witness.key_of(operation));
            keys.note(
                number,
                &stream,
                of_command.as_deref(),
                extras.key.as_ref().map(|record| record.key().to_string()).as_deref(),
            )?;
            let digests = digests.entry(stream.clone()).or_insert_with(|| vec![0]);
            for (frame, index) in part.events().zip(0u64..) {
                let version = part.first_version.plus(index);
                let Some(frame) = frame else {
                    return Err(Violation::Unreadable { stream, version, reason: "it does not parse".to_owned() });
                };
                let before = digests.last().copied().unwrap_or(0);
                digests.push(digest(before, frame.name, frame.payload));
                stored.push(StoredEvent { stream: stream.clone(), version, commit: commit.number, operation });
            }
        }
    }
    let report = world.witness.history.check(&stored)?;
    for (operation, stream, version, shown) in world.witness.shown() {
        if digest_at(&digests, &stream, version) != Some(shown) {
            return Err(Violation::StateDiffers { stream, operation, version });
        }
    }
    Ok(report)
}

/// A commit has what all that were asked together decided.
fn check_together<A: Aggregate>(world: &World<A>, commit: &RecordedCommit) -> Result<(), Violation> {
    let Some(marked) = commit.parts.first().and_then(|(_, part)| operation_in_metadata(part)) else { return Ok(()) };
    let parts: Vec<_> = commit.parts.iter().map(|(stream, part)| (stream.clone(), part.event_count.into())).collect();
    world.witness.check_together(marked, &parts)
}

/// The idempotency keys of the journal's commits.
#[derive(Default)]
struct Keys(BTreeMap<(StreamId, String), u64>);

impl Keys {
    /// A commit remembers the key of its command, and no other commit does.
    fn note(
        &mut self,
        commit: u64,
        stream: &StreamId,
        key: Option<&str>,
        remembered: Option<&str>,
    ) -> Result<(), Violation> {
        let stream = stream.clone();
        for key in [key, remembered].into_iter().flatten() {
            if let Some(first) = self.0.insert((stream.clone(), key.to_owned()), commit)
                && first != commit
            {
                return Err(Violation::SecondEffect { stream, key: key.to_owned(), first, second: commit });
            }
        }
        if key != remembered {
            let (key, remembered) = (key.map(str::to_owned), remembered.map(str::to_owned));
            return Err(Violation::KeyNotStored { stream, commit, key, remembered });
        }
        Ok(())
    }
}

fn digest_at(digests: &BTreeMap<StreamId, Vec<u64>>, stream: &StreamId, version: StreamVersion) -> Option<u64> {
    let Some(digests) = digests.get(stream) else { return (version == StreamVersion::EMPTY).then_some(0) };
    digests.get(usize::try_from(version.get()).ok()?).copied()
}
