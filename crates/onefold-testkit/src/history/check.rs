//! The checker: three passes over the operations, one over the journal.

use std::collections::{BTreeMap, HashMap};

use onefold_core::{CommitNumber, StreamId, StreamVersion};

use super::{Operation, OperationId, Reply, StoredEvent, Violation};

/// What a sound history was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Operations in all.
    pub operations: usize,
    /// Successes with events.
    pub stored: usize,
    /// Reads, and successes without events.
    pub reads: usize,
    /// Rejections without a version.
    pub rejected: usize,
    /// Surely not stored.
    pub not_stored: usize,
    /// Of unknown outcome, those still under way included.
    pub unknown: usize,
    /// Of these, how many the journal has.
    pub unknown_stored: usize,
    /// Streams with events.
    pub streams: usize,
    /// Events in the journal.
    pub events: usize,
}

/// What the journal has of one operation.
#[derive(Clone, Copy)]
struct Landed {
    commit: CommitNumber,
    first: StreamVersion,
    last: StreamVersion,
}

pub(super) fn check(operations: &[Operation], stored: &[StoredEvent]) -> Result<Report, Violation> {
    check_replies(operations)?;
    let streams = check_dense(stored)?;
    let landed = check_writers(operations, stored)?;
    for (index, operation) in operations.iter().enumerate() {
        let id = OperationId(index as u64);
        check_outcome(id, operation, landed.get(&id))?;
        check_read(id, operation, streams.get(&operation.stream))?;
    }
    check_real_time(operations, &landed)?;
    Ok(report(operations, stored, &streams, &landed))
}

/// No two successes replied the same version.
fn check_replies(operations: &[Operation]) -> Result<(), Violation> {
    let mut owners: HashMap<(&StreamId, u64), OperationId> = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        let Reply::Stored { version, events } = operation.reply() else { continue };
        let (second, stream) = (OperationId(index as u64), &operation.stream);
        let Some(before) = version.get().checked_sub(events) else {
            return Err(Violation::ImpossibleVersion { stream: stream.clone(), operation: second, version, events });
        };
        for version in before + 1..=version.get() {
            if let Some(first) = owners.insert((stream, version), second) {
                let (stream, version) = (stream.clone(), StreamVersion::new(version));
                return Err(Violation::SameVersion { stream, version, first, second });
            }
        }
    }
    Ok(())
}

/// The commits of each stream, by version, without gap.
fn check_dense(stored: &[StoredEvent]) -> Result<BTreeMap<&StreamId, Vec<CommitNumber>>, Violation> {
    let mut events: Vec<_> = stored.iter().collect();
    events.sort_by_key(|event| (&event.stream, event.version));
    let mut streams: BTreeMap<&StreamId, Vec<CommitNumber>> = BTreeMap::new();
    for event in events {
        let commits = streams.entry(&event.stream).or_default();
        let expected = StreamVersion::new(commits.len() as u64 + 1);
        if event.version != expected {
            return Err(Violation::Gap { stream: event.stream.clone(), expected, found: event.version });
        }
        commits.push(event.commit);
    }
    Ok(streams)
}

/// Every event has a writer, who wrote once, in one piece.
fn check_writers(operations: &[Operation], stored: &[StoredEvent]) -> Result<HashMap<OperationId, Landed>, Violation> {
    let mut landed: HashMap<OperationId, Landed> = HashMap::new();
    let mut events: Vec<_> = stored.iter().collect();
    events.sort_by_key(|event| (&event.stream, event.version));
    for event in events {
        let (stream, version, commit) = (event.stream.clone(), event.version, event.commit);
        let on_stream = |id: &OperationId| {
            usize::try_from(id.0)
                .is_ok_and(|index| operations.get(index).is_some_and(|operation| operation.stream == stream))
        };
        let Some(operation) = event.operation.filter(on_stream) else {
            return Err(Violation::Stranger { stream, version, operation: event.operation });
        };
        let known = landed.entry(operation).or_insert(Landed { commit, first: version, last: version });
        if known.commit != commit {
            return Err(Violation::Twice { stream, operation, first: known.commit, second: commit });
        }
        if version > known.last.next() {
            return Err(Violation::Interleaved { stream, operation, version });
        }
        known.last = version;
    }
    Ok(landed)
}

/// An operation is in the journal as its reply says.
fn check_outcome(id: OperationId, operation: &Operation, landed: Option<&Landed>) -> Result<(), Violation> {
    let stream = operation.stream.clone();
    match (operation.reply(), landed) {
        (Reply::Unknown, _) | (Reply::Read { .. } | Reply::Rejected | Reply::NotStored, None) => Ok(()),
        (Reply::Stored { version, .. }, None) => Err(Violation::Lost { stream, operation: id, version }),
        (Reply::Stored { version, events }, Some(landed)) => {
            let told = (StreamVersion::new(version.get() - events + 1), version);
            let found = (landed.first, landed.last);
            if told == found { Ok(()) } else { Err(Violation::Misplaced { stream, operation: id, told, found }) }
        }
        (reply, Some(landed)) => Err(Violation::Resurrected { stream, operation: id, reply, version: landed.first }),
    }
}

/// A read saw the end of a commit, or an empty stream.
fn check_read(id: OperationId, operation: &Operation, commits: Option<&Vec<CommitNumber>>) -> Result<(), Violation> {
    let Reply::Read { version } = operation.reply() else { return Ok(()) };
    let commits = commits.map_or(&[][..], Vec::as_slice);
    let stream = operation.stream.clone();
    let Some((seen, unseen)) = usize::try_from(version.get()).ok().and_then(|at| commits.split_at_checked(at)) else {
        let head = StreamVersion::new(commits.len() as u64);
        return Err(Violation::ReadBeyondHead { stream, operation: id, version, head });
    };
    match (seen.last(), unseen.first()) {
        (Some(last), Some(next)) if last == next => Err(Violation::TornRead { stream, operation: id, version }),
        _ => Ok(()),
    }
}

/// What returned before another began stands before it. An unknown one that landed may have landed after its return, but
/// not before its beginning.
fn check_real_time(operations: &[Operation], landed: &HashMap<OperationId, Landed>) -> Result<(), Violation> {
    struct Point {
        id: OperationId,
        /// The version before its events, and after.
        before: StreamVersion,
        after: StreamVersion,
    }
    let mut moments: HashMap<&StreamId, BTreeMap<u64, (bool, Point)>> = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        let id = OperationId(index as u64);
        let (before, after) = match (operation.reply(), landed.get(&id)) {
            (Reply::Read { version }, _) => (version, version),
            (Reply::Stored { .. } | Reply::Unknown, Some(landed)) => {
                (StreamVersion::new(landed.first.get() - 1), landed.last)
            }
            _ => continue,
        };
        let moments = moments.entry(&operation.stream).or_default();
        moments.insert(operation.began, (true, Point { id, before, after }));
        if let Some((returned, reply)) = operation.returned
            && reply != Reply::Unknown
        {
            moments.insert(returned, (false, Point { id, before, after }));
        }
    }
    for (stream, moments) in moments {
        let mut furthest: Option<Point> = None;
        for (began, point) in moments.into_values() {
            match &furthest {
                Some(earlier) if began && point.before < earlier.after => {
                    return Err(Violation::OutOfOrder {
                        stream: stream.clone(),
                        earlier: earlier.id,
                        earlier_at: earlier.after,
                        later: point.id,
                        later_at: point.before,
                    });
                }
                Some(earlier) if began || point.after <= earlier.after => {}
                None if began => {}
                _ => furthest = Some(point),
            }
        }
    }
    Ok(())
}

fn report(
    operations: &[Operation],
    stored: &[StoredEvent],
    streams: &BTreeMap<&StreamId, Vec<CommitNumber>>,
    landed: &HashMap<OperationId, Landed>,
) -> Report {
    let mut report =
        Report { operations: operations.len(), streams: streams.len(), events: stored.len(), ..Report::default() };
    for (index, operation) in operations.iter().enumerate() {
        match operation.reply() {
            Reply::Stored { .. } => report.stored += 1,
            Reply::Read { .. } => report.reads += 1,
            Reply::Rejected => report.rejected += 1,
            Reply::NotStored => report.not_stored += 1,
            Reply::Unknown => {
                report.unknown += 1;
                report.unknown_stored += usize::from(landed.contains_key(&OperationId(index as u64)));
            }
        }
    }
    report
}

impl Operation {
    fn reply(&self) -> Reply {
        self.returned.map_or(Reply::Unknown, |(_, reply)| reply)
    }
}
