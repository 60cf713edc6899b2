//! Reading one stream: by windows, each walked back along the chain of previous commits, then handed out forwards.
//!
//! ```text
//!   versions   1 ……………… 256 ……………… 512 ……………… head
//!                         X                  X              X: the sparse index says in which commit that version is
//!              ◀── walk ──┘
//!              └─ chunks ─▶◀── walk ─────────┘
//!                          └─ chunks ────────▶ …
//! ```
//!
//! A walk holds the numbers of a window's commits, and their records up to a bound; records beyond it are fetched again. The
//! index knows versions, and commits without events have none of their own: where very many of them follow each other, a walk
//! holds only those of its last stretch, and marks where the others begin.

use bytes::Bytes;
use onefold_core::journal::record::{PartView, RecordError, RecordView};
use onefold_core::journal::{ReadError, RecordedPart, StreamChunk};
use onefold_core::{StreamId, StreamVersion};

use super::{Reader, damaged, storage};
use crate::derived;
use crate::gap::Gap;
use crate::heads::Place;
use crate::keys;

/// Parts in one chunk at most.
const CHUNK_PARTS_MAX: usize = 256;
/// Bytes of records in one chunk at most, unless a single one is larger.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Bytes of records that a walk holds on to.
const WALK_BYTES_MAX: usize = 1 << 20;
/// Commits of one stretch of a walk.
const STRETCH_COMMITS_MAX: usize = 4096;
/// Marks that a walk holds on to; when there are more, every second one is let go of.
const MARKS_MAX: usize = 4096;

/// A reading of one stream, between chunks.
#[derive(Debug)]
pub(crate) struct StreamWalk {
    stream: StreamId,
    /// The last version that was handed out, and its commit, if that was.
    after: u64,
    after_commit: u64,
    /// Where the stream ended when the reading began.
    end: Option<Place>,
    /// Of the window, last first: what is to be handed out.
    window: Vec<(u64, Option<Bytes>)>,
    /// Behind the window, last first: where stretches end that a walk passed.
    marks: Vec<Place>,
}

impl StreamWalk {
    pub(crate) fn new(stream: StreamId, after: u64) -> Self {
        StreamWalk { stream, after, after_commit: 0, end: None, window: Vec::new(), marks: Vec::new() }
    }

    /// The next chunk; `None` at the end.
    pub(crate) fn next_chunk(&mut self, reader: &mut Reader) -> Result<Option<StreamChunk>, ReadError> {
        let end = match self.end {
            Some(end) => end,
            None => *self.end.insert(reader.place(&self.stream)?),
        };
        if self.window.is_empty() {
            if self.is_done() {
                return Ok(None);
            }
            let from = match self.marks.pop() {
                Some(mark) => mark,
                None => self.window_end(reader, end)?,
            };
            self.walk_back(reader, from)?;
            if self.window.is_empty() {
                // Nothing lies behind the version that the reading began after.
                self.after_commit = end.commit;
                return Ok(None);
            }
        }
        self.hand_out(reader).map(Some)
    }

    /// Whether everything was handed out.
    pub(crate) fn is_done(&self) -> bool {
        let behind = |end: Place| self.after_commit >= end.commit || self.after > end.version;
        self.window.is_empty() && self.end.is_some_and(behind)
    }

    /// The first place with an index entry beyond what was handed out; or the stream's end.
    fn window_end(&self, reader: &Reader, end: Place) -> Result<Place, ReadError> {
        let next = self.after + 1;
        // IMPORTANT: memory first, as everywhere.
        let remembered = reader.shared.heads.get(&self.stream).and_then(|head| {
            let state = head.state.lock();
            state.notes.index.iter().find(|(version, _)| *version >= next).copied()
        });
        let (low, high) = (keys::index(&self.stream, next), keys::index(&self.stream, end.version));
        let stored = match end.version - self.after > crate::writer::forming::INDEX_VERSIONS {
            true => reader.store.range(&low, &high).next().transpose().map_err(storage)?,
            false => None,
        };
        let stored = match stored {
            Some((key, value)) => {
                let commit = derived::decode_index(&key, &value)
                    .ok_or_else(|| damaged(Some(&self.stream), 0, "an index entry does not match its checksum"))?;
                Some((keys::index_version(&key), commit))
            }
            None => None,
        };
        let nearest = stored.into_iter().chain(remembered).min().filter(|(version, _)| *version < end.version);
        Ok(nearest.map_or(end, |(version, commit)| Place { version, commit }))
    }

    /// Collects the commits from `from` back to the first that was not handed out; of many, those of the last stretch.
    fn walk_back(&mut self, reader: &mut Reader, from: Place) -> Result<(), ReadError> {
        let mut held = 0;
        let (mut stretch_end, mut at) = (from, from);
        while at.commit > self.after_commit && at.version >= self.after {
            let record = reader.record(at.commit).map_err(|error| self.own(error))?;
            let Some(before) = self.link(&record, at)? else { break };
            if self.window.len() >= STRETCH_COMMITS_MAX {
                self.mark(stretch_end);
                (stretch_end, held) = (at, 0);
            }
            held += record.len();
            self.window.push((at.commit, (held <= WALK_BYTES_MAX).then_some(record)));
            at = before;
        }
        // What comes first is at the end; if the bound was reached, that is what was not held.
        Ok(())
    }

    /// Lets go of a stretch, to walk it again when those before it were handed out.
    fn mark(&mut self, stretch_end: Place) {
        if self.marks.len() >= MARKS_MAX {
            // Without every second one, but with the first, stretches are longer, and nothing is missed.
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.marks.push(stretch_end);
        self.window.clear();
    }

    /// Checks that a record is the link of the chain at that place; returns where the chain goes on. `None`: the reading begins
    /// behind it.
    fn link(&self, record: &Bytes, at: Place) -> Result<Option<Place>, ReadError> {
        let view = self.view(record, at.commit)?;
        let part = self.part(&view, at.commit)?;
        let (first_version, previous) = (part.first_version.get(), part.previous.get());
        let fits = view.commit().get() == at.commit
            && part.last_version().get() == at.version
            && previous < at.commit
            && (previous > 0 || first_version == 1);
        let before = Place { version: first_version.saturating_sub(1), commit: previous };
        match fits {
            true => Ok(part.is_beyond(StreamVersion::new(self.after)).then_some(before)),
            false => Err(damaged(Some(&self.stream), at.commit, "the stream's chain does not fit together")),
        }
    }

    fn view<'a>(&self, record: &'a Bytes, commit: u64) -> Result<RecordView<'a>, ReadError> {
        if let Some(gap) = Gap::parse(record, commit) {
            return Err(damaged(Some(&self.stream), commit, format!("{gap}, and the stream had events there")));
        }
        RecordView::parse(record).map_err(|error| self.damage(commit, &error))
    }

    fn part<'a>(&self, view: &RecordView<'a>, commit: u64) -> Result<PartView<'a>, ReadError> {
        let part = view.part_of(&self.stream);
        part.ok_or_else(|| damaged(Some(&self.stream), commit, "the commit has no part of the stream"))
    }

    /// The next parts of the window.
    fn hand_out(&mut self, reader: &mut Reader) -> Result<StreamChunk, ReadError> {
        let mut parts: Vec<RecordedPart> = Vec::with_capacity(self.window.len().min(CHUNK_PARTS_MAX));
        let mut bytes = 0;
        while parts.len() < CHUNK_PARTS_MAX && bytes < CHUNK_BYTES_MAX {
            let Some((commit, record)) = self.window.pop() else { break };
            let record = match record {
                Some(record) => record,
                None => reader.record(commit).map_err(|error| self.own(error))?,
            };
            bytes += record.len();
            let view = self.view(&record, commit)?;
            let part = self.part(&view, commit)?;
            parts.push(view.take(&part, &record).map_err(|error| self.damage(commit, &error))?);
        }
        if let Some(part) = parts.last() {
            (self.after, self.after_commit) = (part.last_version().get(), part.commit.get());
        }
        Ok(StreamChunk { parts })
    }

    fn damage(&self, commit: u64, error: &RecordError) -> ReadError {
        damaged(Some(&self.stream), commit, error.to_string())
    }

    /// Names the stream in damage that was found on its way.
    fn own(&self, error: ReadError) -> ReadError {
        match error {
            ReadError::Damaged { commit, place, evidence, .. } => {
                ReadError::Damaged { stream: Some(self.stream.clone()), commit, place, evidence }
            }
            other => other,
        }
    }
}

/// After which version a reading begins.
pub(crate) fn walk(stream: &StreamId, after: StreamVersion) -> StreamWalk {
    StreamWalk::new(stream.clone(), after.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many stretches a walk passes, it holds a bounded number of marks: in order, and always where the walk began.
    #[test]
    fn marks_are_bounded_and_the_first_one_stays() {
        let mut walk = StreamWalk::new(StreamId::new("account", "1").unwrap(), 0);
        for commit in (1..=20_000).rev() {
            walk.window.push((commit + 1, None));
            walk.mark(Place { version: 0, commit });
            assert!(walk.window.is_empty() && walk.marks.len() <= MARKS_MAX);
        }
        assert_eq!((walk.marks[0].commit, walk.marks.last().map(|mark| mark.commit)), (20_000, Some(1)));
        assert!(walk.marks.is_sorted_by(|a, b| a.commit > b.commit));
    }
}
