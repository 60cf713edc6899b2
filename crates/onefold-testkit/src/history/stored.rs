//! What the journal holds in the end, and who wrote it.

use std::sync::Arc;

use futures_util::StreamExt;
use onefold_core::journal::{EventFrame, FeedItem, Journal, ReadError, RecordedPart};
use onefold_core::{Checkpoint, CommitNumber, StreamId, StreamVersion};

use super::{OPERATION_ENTRY, OperationId};

/// One event of the journal, as the checker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The aggregate.
    pub stream: StreamId,
    /// The event's version.
    pub version: StreamVersion,
    /// The commit it came with.
    pub commit: CommitNumber,
    /// Who wrote it; `None` if that is not to be found.
    pub operation: Option<OperationId>,
}

/// Finds the operation that [`Invocation::mark`](super::Invocation::mark) named in a command's metadata.
pub fn operation_in_metadata(part: &RecordedPart) -> Option<OperationId> {
    part.metadata()?.entries.get(OPERATION_ENTRY)?.parse().ok().map(OperationId::new)
}

/// Reads all events of a journal.
///
/// # Errors
///
/// What the journal answers.
///
/// # Panics
///
/// When an event does not parse: the journal promised that it does.
pub async fn read_stored(
    journal: &Arc<dyn Journal>,
    operation: impl Fn(&RecordedPart, &EventFrame<'_>) -> Option<OperationId> + Send,
) -> Result<Vec<StoredEvent>, ReadError> {
    let mut stored = Vec::new();
    let mut feed = journal.read_all(&Checkpoint::START);
    while let Some(item) = feed.next().await {
        let FeedItem::Commit(commit) = item? else { continue };
        for (stream, part) in &commit.parts {
            for (index, frame) in part.events().enumerate() {
                let frame = frame.expect("an event that parses");
                let version = part.first_version.plus(index as u64);
                let operation = operation(part, &frame);
                stored.push(StoredEvent { stream: stream.clone(), version, commit: commit.number, operation });
            }
        }
    }
    Ok(stored)
}
