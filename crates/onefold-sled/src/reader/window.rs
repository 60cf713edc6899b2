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
//! A walk holds the numbers of a window's commits, and their records up to a bound; records beyond it are fetched again.

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

/// A reading of one stream, between chunks.
#[derive(Debug)]
pub(crate) struct StreamWalk {
    stream: StreamId,
    /// The last version that was handed out.
    after: u64,
    /// Where the stream ended when the reading began.
    end: Option<Place>,
    /// Of the window, last first: what is to be handed out.
    window: Vec<(u64, Option<Bytes>)>,
}

impl StreamWalk {
    pub(crate) fn new(stream: StreamId, after: u64) -> Self {
        StreamWalk { stream, after, end: None, window: Vec::new() }
    }

    /// The next chunk; `None` at the end.
    pub(crate) fn next_chunk(&mut self, reader: &mut Reader) -> Result<Option<StreamChunk>, ReadError> {
        let end = match self.end {
            Some(end) => end,
            None => *self.end.insert(reader.place(&self.stream)?),
        };
        if self.window.is_empty() {
            if self.after >= end.version {
                return Ok(None);
            }
            let from = self.window_end(reader, end)?;
            self.walk_back(reader, from)?;
        }
        self.hand_out(reader).map(Some)
    }

    /// Whether everything was handed out.
    pub(crate) fn is_done(&self) -> bool {
        self.window.is_empty() && self.end.is_some_and(|end| self.after >= end.version)
    }

    /// The first place with an index entry beyond what was handed out; or the stream's end.
    fn window_end(&self, reader: &Reader, end: Place) -> Result<Place, ReadError> {
        let next = self.after + 1;
        // IMPORTANT: memory first, as everywhere.
        let remembered = reader.shared.heads.get(&self.stream).and_then(|head| {
            let state = head.state.lock();
            state.index.iter().find(|(version, _)| *version >= next).copied()
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

    /// Collects the commits from `from` back to the first that was not handed out.
    fn walk_back(&mut self, reader: &mut Reader, from: Place) -> Result<(), ReadError> {
        let mut held = 0;
        let (mut version, mut commit) = (from.version, from.commit);
        while version > self.after {
            let record = reader.record(commit).map_err(|error| self.own(error))?;
            let (previous, first_version) = self.link(&record, commit, version)?;
            held += record.len();
            self.window.push((commit, (held <= WALK_BYTES_MAX).then_some(record)));
            (commit, version) = (previous, first_version - 1);
        }
        // What comes first is at the end; if the bound was reached, that is what was not held.
        Ok(())
    }

    /// Checks that a record is the link of the chain that ends with `version`; returns where the chain goes on.
    fn link(&self, record: &Bytes, commit: u64, version: u64) -> Result<(u64, u64), ReadError> {
        let view = self.view(record, commit)?;
        let part = self.part(&view, commit)?;
        let first_version = part.first_version.get();
        let previous = part.previous.get();
        let fits = view.commit().get() == commit
            && first_version >= 1
            && first_version + u64::from(part.event_count) == version + 1
            && previous < commit
            && (previous == 0) == (first_version == 1);
        match fits {
            true => Ok((previous, first_version)),
            false => Err(damaged(Some(&self.stream), commit, "the stream's chain does not fit together")),
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
        self.after = parts.last().map_or(self.after, |part| part.last_version().get());
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
