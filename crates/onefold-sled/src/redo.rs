//! The redo log: groups of commits, one write and one sync each. The sync is the acknowledgement.
//!
//! ```text
//!   redo/…07.redo  [ header │ group │ group │ group │ rest ]     closed; live until sled is synced beyond it
//!   redo/…08.redo  [ header │ group │ group │ zeros … ]          current
//!   redo/…09.redo  [ header │ zeros … ]                          prepared ahead
//! ```
//!
//! One group is in flight at a time. Every opening of the journal begins a new generation in a fresh segment: nothing is
//! ever written behind a tail that was recovered.

pub(crate) mod blocks;
pub(crate) mod group;
pub(crate) mod ledger;
pub(crate) mod preparer;
pub(crate) mod scan;
pub(crate) mod segment;

use std::fs::File;
use std::io;
use std::sync::Arc;

use self::blocks::Staging;
use self::group::GroupHeader;
use self::ledger::Ledger;
use self::preparer::Preparer;
use self::segment::{GROUPS_AT, SegmentHeader};
use crate::medium::Medium;

/// The first segment of a journal is small, so that short-lived processes open fast; each next one is eight times larger,
/// up to the configured size.
pub(crate) const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
const GROWTH: u64 = 8;

/// The writing end. Owned by the writer's thread.
pub(crate) struct RedoLog {
    file: Arc<File>,
    sequence: u64,
    bytes: u64,
    used: u64,
    requested: bool,
    next_group: u64,
    previous_crc: u32,
    last_commit: u64,
    generation: u64,
    salt: u64,
    /// Written without a sync per group.
    relaxed: bool,
    segment_bytes: u64,
    medium: Arc<dyn Medium>,
    ledger: Arc<Ledger>,
    preparer: Arc<Preparer>,
    staging: Staging,
}

/// What a [`RedoLog`] works with.
pub(crate) struct RedoParts {
    pub(crate) generation: u64,
    pub(crate) salt: u64,
    pub(crate) relaxed: bool,
    pub(crate) segment_bytes: u64,
    pub(crate) medium: Arc<dyn Medium>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) preparer: Arc<Preparer>,
}

impl RedoLog {
    /// Starts a generation in a fresh segment of so many bytes, after `last_commit`.
    pub(crate) fn new(parts: RedoParts, sequence: u64, bytes: u64, file: Arc<File>, last_commit: u64) -> Self {
        RedoLog {
            file,
            sequence,
            bytes,
            used: GROUPS_AT as u64,
            requested: false,
            next_group: 1,
            previous_crc: 0,
            last_commit,
            generation: parts.generation,
            salt: parts.salt,
            relaxed: parts.relaxed,
            segment_bytes: parts.segment_bytes,
            medium: parts.medium,
            ledger: parts.ledger,
            preparer: parts.preparer,
            staging: Staging::default(),
        }
    }

    /// The number of the group to be written next.
    pub(crate) fn next_group(&self) -> u64 {
        self.next_group
    }

    /// Seals and writes a group: `bytes` has room for the header and then the records of `commits` commits.
    pub(crate) fn write(&mut self, bytes: &mut [u8], first_commit: u64, commits: u32) -> io::Result<()> {
        let length = u32::try_from(bytes.len() - group::HEADER_BYTES).map_err(io::Error::other)?;
        let header = GroupHeader {
            generation: self.generation,
            number: self.next_group,
            first_commit,
            commits,
            length,
            previous_crc: self.previous_crc,
        };
        let crc = group::seal(bytes, &header, self.salt);
        self.make_room(group::room(bytes.len()))?;
        let blocks = self.staging.stage(bytes);
        self.medium.write(&self.file, blocks, self.used)?;
        self.used += blocks.len() as u64;
        self.staging.shrink();
        self.next_group += 1;
        self.previous_crc = crc;
        self.last_commit = first_commit + u64::from(commits) - 1;
        if !self.requested && self.used > self.bytes / 4 {
            self.request((self.bytes * GROWTH).min(self.segment_bytes));
        }
        Ok(())
    }

    /// Makes durable what was written.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.medium.sync(&self.file)
    }

    fn request(&mut self, bytes: u64) {
        let header = SegmentHeader {
            format: segment::FORMAT,
            relaxed: self.relaxed,
            generation: self.generation,
            sequence: self.sequence + 1,
            salt: self.salt,
            // All that lies in a file that can be recycled now has a lower number.
            first_group: self.next_group,
        };
        self.preparer.request(header, bytes);
        self.requested = true;
    }

    /// Moves on to the next segment while the group does not fit into the current one.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        while self.used + bytes > self.bytes {
            if self.relaxed {
                self.sync()?;
            }
            if !self.requested {
                self.request(self.segment_bytes.max(GROUPS_AT as u64 + bytes));
            }
            let segment = self.preparer.take()?;
            let file = Arc::new(segment.file);
            self.ledger.moved_on(segment.sequence, Arc::clone(&file), self.last_commit);
            (self.file, self.sequence, self.bytes) = (file, segment.sequence, segment.bytes);
            (self.used, self.requested) = (GROUPS_AT as u64, false);
        }
        Ok(())
    }
}
