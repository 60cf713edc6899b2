//! The pass itself, commit by commit. What it holds in memory is the state, and what the journal reads ahead.

use futures_util::StreamExt;
use onefold_core::journal::{FeedItem, RecordedCommit};
use onefold_core::{Checkpoint, GlobalPosition};
use tokio::time::{Instant, timeout_at};

use super::{Scan, ScanError, ScanStop, Scanned};
use crate::instant;

impl<S: Send> Scan<S> {
    /// Reads. Dropping the future ends it at once and leaves nothing behind; the state is then gone with it.
    ///
    /// It may be run beside commands: it goes to the journal's own threads for what is stored, takes no instance into memory, and
    /// gives way to other tasks after each commit.
    ///
    /// # Errors
    ///
    /// [`ScanError`] says what ended it and how far it was by then. No state comes back with it:
    /// `.until(&error.reached)` brings one up to there.
    pub async fn run(mut self) -> Result<Scanned<S>, ScanError> {
        let durable = self.journal.durable().borrow().position;
        if self.after.position() > durable {
            return Err(ScanError::new(&self.after, ScanStop::Ahead { durable }));
        }
        let end = self.until.as_ref().map_or(durable, |until| until.position().min(durable));
        let deadline = self.time_limit.map(|limit| instant::after(Instant::now(), limit));
        let mut items = self.journal.read_all(&self.after);
        let (mut reached, mut observed) = (self.after.clone(), 0);
        while reached.position() < end {
            let next = match deadline {
                Some(deadline) if Instant::now() >= deadline => break,
                Some(deadline) => match timeout_at(deadline, items.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
                None => items.next().await,
            };
            let item = match next {
                Some(Ok(item)) => item,
                Some(Err(error)) => return Err(ScanError::new(&reached, ScanStop::Read(error))),
                None => return Err(ScanError::new(&reached, ScanStop::EndedEarly { durable })),
            };
            let beyond = item.checkpoint();
            let dealt_with = match item {
                FeedItem::Commit(commit) => self.observe(&commit, reached.position()),
                FeedItem::Removed { from, to } => self.pass_removed(from, to).map(|()| 0),
                // A journal that says something new must not be misunderstood.
                other => Err(ScanStop::Unknown { item: format!("{other:?}") }),
            };
            observed += dealt_with.map_err(|stop| ScanError::new(&reached, stop).beyond(beyond.clone()))?;
            reached = later(reached, beyond);
            tokio::task::consume_budget().await;
        }
        let is_complete = reached.position() >= end;
        Ok(Scanned { state: self.state, checkpoint: reached, is_complete, observed })
    }

    fn observe(&mut self, commit: &RecordedCommit, after: GlobalPosition) -> Result<u64, ScanStop> {
        let mut observed = 0;
        for (stream, part) in &commit.parts {
            // A checkpoint may lie inside a commit.
            let skip = after.get().saturating_add(1).saturating_sub(part.first_position.get());
            let named = self.observers.iter_mut().filter(|one| one.aggregate_type() == stream.aggregate_type());
            for observer in named {
                observed += observer.observe(&mut self.state, stream, part, skip).map_err(ScanStop::Event)?;
            }
        }
        Ok(observed)
    }

    fn pass_removed(&mut self, from: GlobalPosition, to: GlobalPosition) -> Result<(), ScanStop> {
        match &mut self.removed {
            Some(observe) => {
                observe(&mut self.state, from, to);
                Ok(())
            }
            None => Err(ScanStop::Removed { from, to }),
        }
    }
}

/// A commit without events has no position of its own.
fn later(one: Checkpoint, other: Checkpoint) -> Checkpoint {
    if other.position() > one.position() { other } else { one }
}
