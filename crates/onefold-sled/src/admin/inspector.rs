//! Reading a journal that nobody has open, for people: commits in order, streams, one stream.

use std::ops::RangeInclusive;
use std::path::Path;

use bytes::Bytes;
use onefold_core::journal::record::RecordView;
use onefold_core::journal::{DurablePosition, Journal as _, ReadError, RecordedCommit, RecordedPart, StreamPage};
use onefold_core::{StreamId, StreamVersion};

use super::directory_check::expect_journal;
use super::error::AdminError;
use crate::gap::Gap;
use crate::journal::SledJournal;
use crate::keys;
use crate::reader::window::{self, StreamWalk};
use crate::reader::{Reader, damaged, listing, storage};

/// An open journal to look at. It has the directory's lock; opening recovers what opening always recovers.
#[derive(Debug)]
pub struct Inspector {
    journal: SledJournal,
}

/// What a commit's place holds.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A commit: what it says, and its record as it is stored.
    Commit(RecordedCommit, Bytes),
    /// A commit that a repair gave up: the gap it is part of, and the record that stands in its place.
    Removed(Gap, Bytes),
}

impl Entry {
    /// The record as it is stored: what [`JournalWriter::push`](super::JournalWriter::push) takes.
    pub fn record(&self) -> &Bytes {
        let (Entry::Commit(_, record) | Entry::Removed(_, record)) = self;
        record
    }
}

/// A stream, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSummary {
    /// The stream.
    pub stream: StreamId,
    /// Its last version.
    pub version: StreamVersion,
}

impl Inspector {
    /// Opens the journal in a directory. Unlike [`SledJournal::open`] it makes none where there is none.
    ///
    /// # Errors
    ///
    /// [`AdminError::NoJournal`]; [`AdminError::Open`] when it does not open: in use, damaged, of a newer format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, AdminError> {
        let path = path.as_ref();
        expect_journal(path)?;
        // Nothing is appended: the reserve would only be in the way.
        let journal = SledJournal::builder(path).free_space_reserve_bytes(0).open()?;
        Ok(Inspector { journal })
    }

    /// The journal's end.
    pub fn end(&self) -> DurablePosition {
        *self.journal.durable().borrow()
    }

    /// The commits in a range of numbers, in order. It ends with the journal, or after an error.
    pub fn records(&self, commits: RangeInclusive<u64>) -> Records<'_> {
        let end = (*commits.end()).min(self.end().commit.get());
        Records { inspector: self, reader: None, next: (*commits.start()).max(1), end }
    }

    /// The aggregate types that have streams, in order.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn types(&self) -> Result<Vec<String>, AdminError> {
        let reader = Reader::new(self.journal.shared())?;
        let mut types: Vec<String> = Vec::new();
        let mut low = vec![keys::HEAD];
        loop {
            let mut high = vec![keys::HEAD];
            high.resize(600, 0xff);
            let Some(entry) = reader.store.range(&low, &high).next() else { break };
            let (key, _) = entry.map_err(storage)?;
            let stream =
                keys::parse_head(&key).ok_or_else(|| damaged(None, 0, "the key of a head is not a stream's name"))?;
            low = keys::prefix(keys::HEAD, stream.aggregate_type());
            // Behind every id of that type: ids are text.
            low.push(0xff);
            types.push(stream.aggregate_type().to_owned());
        }
        types.sort();
        Ok(types)
    }

    /// The streams of one type, ordered by id, with where they end.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or a head is damaged.
    pub fn streams(&self, page: &StreamPage) -> Result<Vec<StreamSummary>, AdminError> {
        let reader = Reader::new(self.journal.shared())?;
        let streams = listing::page(&reader, page)?;
        let summaries = streams.into_iter().map(|stream| {
            let version = StreamVersion::new(reader.place(&stream)?.version);
            Ok(StreamSummary { stream, version })
        });
        summaries.collect()
    }

    /// The commits of one stream with events beyond a version, in order. It ends after an error.
    pub fn stream(&self, stream: &StreamId, after: StreamVersion) -> Parts<'_> {
        Parts { inspector: self, walk: Some(window::walk(stream, after)), ready: Vec::new().into_iter() }
    }

    /// The journal itself, for what it offers to everybody.
    pub fn journal(&self) -> &SledJournal {
        &self.journal
    }

    /// Closes the journal cleanly.
    ///
    /// # Errors
    ///
    /// [`AdminError::Close`]; everything is as safe as after a kill.
    pub fn close(self) -> Result<(), AdminError> {
        Ok(self.journal.close_and_wait()?)
    }
}

/// See [`Inspector::records`].
pub struct Records<'a> {
    inspector: &'a Inspector,
    reader: Option<Reader>,
    next: u64,
    end: u64,
}

impl Records<'_> {
    fn read(&mut self, commit: u64) -> Result<Entry, AdminError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(Reader::new(self.inspector.journal.shared())?),
        };
        let record = reader.record(commit)?;
        if let Some(gap) = Gap::parse(&record, commit) {
            return Ok(Entry::Removed(gap, record));
        }
        let damage = |error: onefold_core::journal::record::RecordError| damaged(None, commit, error.to_string());
        let view = RecordView::parse(&record).map_err(damage)?;
        if view.commit().get() != commit {
            return Err(damaged(None, commit, "another commit lies in its place").into());
        }
        Ok(Entry::Commit(view.to_commit(&record).map_err(damage)?, record.clone()))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Entry, AdminError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.end {
            return None;
        }
        let entry = self.read(self.next);
        self.next = if entry.is_ok() { self.next + 1 } else { u64::MAX };
        Some(entry)
    }
}

/// See [`Inspector::stream`].
pub struct Parts<'a> {
    inspector: &'a Inspector,
    walk: Option<StreamWalk>,
    ready: std::vec::IntoIter<RecordedPart>,
}

impl Iterator for Parts<'_> {
    type Item = Result<RecordedPart, AdminError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(part) = self.ready.next() {
                return Some(Ok(part));
            }
            let walk = self.walk.as_mut()?;
            let chunk = Reader::new(self.inspector.journal.shared())
                .and_then(|mut reader| walk.next_chunk(&mut reader))
                .map_err(|error: ReadError| AdminError::from(error));
            match chunk {
                Ok(Some(chunk)) => self.ready = chunk.parts.into_iter(),
                Ok(None) => self.walk = None,
                Err(error) => {
                    self.walk = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl std::fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("next", &self.next).field("end", &self.end).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("walk", &self.walk).finish_non_exhaustive()
    }
}
