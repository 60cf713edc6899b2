//! Commits found in the bytes of sled's file, without sled.
//!
//! One flipped bit can keep sled from opening, or make it forget everything behind that bit. The commits are still in its
//! file: sled stores values as they are, and a block says by itself what it holds. So what sled does not give is looked for
//! byte by byte. Pages that sled has replaced are still in the file, too, so a commit can be found several times; it counts
//! if all whole copies are the same.
//!
//! What is found is checked like everything else, by its checksums and by the numbers of its neighbours. Whole blocks are
//! passed as a whole, so that a payload that was made to look like a block is not looked into. Only in a block that is
//! damaged itself could it be.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::{Bytes, BytesMut};

use super::log_scan::{CHUNK_HEADER_BYTES, is_whole, record_len};
use super::verify::Hole;
use super::{OnProgress, Progress};
use crate::block::{BLOCK_BYTES_MAX, CHUNK_BYTES_MAX, RECORD_BYTES_MAX};
use crate::fields::{u16_at, u32_at, u64_at};
use crate::keys;

/// Bytes read at once; each window overlaps the next one by a block.
const WINDOW_BYTES: usize = 8 << 20;
/// Format and kind of a block of records, and of a chunk, as they lie at 4 in a block.
const RECORDS: [u8; 2] = [1, 1];
const CHUNK: [u8; 2] = [1, 2];
/// Offset and length in the file.
type Extent = (u64, usize);

/// The commits that were found.
pub(crate) struct Carved {
    file: File,
    records: BTreeMap<u64, Vec<Extent>>,
    /// Of each chunk, where copies of it are.
    chunked: BTreeMap<u64, Vec<Vec<Extent>>>,
}

/// A chunk that may belong to any commit of this length.
struct Loose {
    at: u64,
    crc: u32,
    count: u16,
    record_bytes: usize,
}

impl Carved {
    /// Looks through sled's file in `dir` for the commits of these holes.
    pub(crate) fn look(dir: &Path, holes: &[Hole], on_progress: OnProgress<'_>) -> io::Result<Self> {
        let file = File::open(dir.join("db"))?;
        let length = file.metadata()?.len();
        let mut carved = Carved { file, records: BTreeMap::new(), chunked: BTreeMap::new() };
        let mut loose = Vec::new();
        let mut window = vec![0; WINDOW_BYTES + BLOCK_BYTES_MAX];
        let (mut from, mut skip) = (0, 0);
        while from < length {
            let wanted = window.len().min(usize::try_from(length - from).unwrap_or(usize::MAX));
            carved.file.read_exact_at(&mut window[..wanted], from)?;
            let end = WINDOW_BYTES.min(wanted);
            skip = carved.look_through(&window[..wanted], from, skip..end, holes, &mut loose);
            from += WINDOW_BYTES as u64;
            on_progress(Progress { stage: "looking through sled's file", done: from.min(length), total: length });
        }
        carved.sort_chunks(&loose);
        Ok(carved)
    }

    /// Looks at every offset of a range; returns how far a block reaches beyond it.
    fn look_through(
        &mut self,
        window: &[u8],
        from: u64,
        range: std::ops::Range<usize>,
        holes: &[Hole],
        loose: &mut Vec<Loose>,
    ) -> usize {
        let (mut at, end) = (range.start, range.end);
        while at < end {
            let Some(kind) = window.get(at + 4..at + 6) else { break };
            let bytes = &window[at..window.len().min(at + BLOCK_BYTES_MAX)];
            let passed = match kind {
                kind if kind == RECORDS => self.take_records(bytes, from + at as u64, holes),
                kind if kind == CHUNK => self.take_chunk(bytes, from + at as u64, holes, loose),
                _ => None,
            };
            at += passed.unwrap_or(1).max(1);
        }
        at.saturating_sub(end)
    }

    /// The bytes that a block takes, if this is one.
    fn take_records(&mut self, bytes: &[u8], at: u64, holes: &[Hole]) -> Option<usize> {
        let count = usize::from(u16_at(bytes.get(..8)?, 6));
        let header = 8 + 2 * count;
        if count == 0 || header >= bytes.len() || usize::from(u16_at(bytes, 8)) != header {
            return None;
        }
        let mut first = None;
        let mut end = None;
        for index in 0..count {
            let offset = usize::from(u16_at(bytes, 8 + 2 * index));
            let Some(record) = bytes.get(offset..).filter(|record| offset >= header && record.len() >= 24) else {
                continue;
            };
            let commit = u64_at(record, 16);
            let Some(length) = record_len(commit, record) else { continue };
            if *first.get_or_insert(commit.checked_sub(index as u64)?) + index as u64 != commit {
                continue;
            }
            if is_wanted(holes, commit) {
                self.records.entry(commit).or_default().push((at + offset as u64, length));
            }
            end = Some(offset + length);
        }
        end
    }

    fn take_chunk(&mut self, bytes: &[u8], at: u64, holes: &[Hole], loose: &mut Vec<Loose>) -> Option<usize> {
        let header = bytes.get(..CHUNK_HEADER_BYTES)?;
        let (count, record_bytes) = (u16_at(header, 6), u32_at(header, 8) as usize);
        if record_bytes > RECORD_BYTES_MAX || count < 1 || record_bytes.div_ceil(CHUNK_BYTES_MAX) != usize::from(count)
        {
            return None;
        }
        let content = &bytes[CHUNK_HEADER_BYTES..];
        let commit =
            if content.len() >= 24 && u32_at(content, 0) as usize == record_bytes { u64_at(content, 16) } else { 0 };
        let begins = commit > 0 && header_crc(commit, 0, count, record_bytes) == u32_at(header, 0);
        if begins {
            if is_wanted(holes, commit) {
                let chunks = self.chunked.entry(commit).or_insert_with(|| vec![Vec::new(); usize::from(count)]);
                if chunks.len() == usize::from(count) {
                    chunks[0].push((at + CHUNK_HEADER_BYTES as u64, content.len().min(record_bytes)));
                }
            }
            return Some(CHUNK_HEADER_BYTES + CHUNK_BYTES_MAX.min(record_bytes));
        }
        loose.push(Loose { at, crc: u32_at(header, 0), count, record_bytes });
        None
    }

    /// Finds for each loose chunk the commit whose it is: by its checksum, which covers commit and number of the chunk.
    fn sort_chunks(&mut self, loose: &[Loose]) {
        let mut known: HashMap<(u32, u16, usize), Vec<(u64, u16)>> = HashMap::new();
        for (commit, chunks) in &self.chunked {
            let count = u16::try_from(chunks.len()).unwrap_or(u16::MAX);
            let Some(record_bytes) = chunks[0].first().and_then(|(at, _)| self.record_bytes_at(*at)) else { continue };
            for chunk in 1..count {
                let crc = header_crc(*commit, chunk, count, record_bytes);
                known.entry((crc, count, record_bytes)).or_default().push((*commit, chunk));
            }
        }
        for Loose { at, crc, count, record_bytes } in loose {
            for (commit, chunk) in known.get(&(*crc, *count, *record_bytes)).into_iter().flatten() {
                let length = CHUNK_BYTES_MAX.min(record_bytes - CHUNK_BYTES_MAX * usize::from(*chunk));
                if let Some(chunks) = self.chunked.get_mut(commit) {
                    chunks[usize::from(*chunk)].push((at + CHUNK_HEADER_BYTES as u64, length));
                }
            }
        }
    }

    fn record_bytes_at(&self, at: u64) -> Option<usize> {
        let mut length = [0; 4];
        self.file.read_exact_at(&mut length, at).ok()?;
        usize::try_from(u32::from_le_bytes(length)).ok()
    }

    /// The record of a commit, if it was found whole, and all whole copies are the same.
    pub(crate) fn record(&self, commit: u64) -> Option<Bytes> {
        let mut found: Option<Bytes> = None;
        let single = self.records.get(&commit).into_iter().flatten().map(|extent| self.read(&[*extent]));
        for record in single.chain(self.joined(commit)).flatten() {
            if !is_whole(commit, &record) {
                continue;
            }
            if found.as_ref().is_some_and(|found| *found != record) {
                return None;
            }
            found = Some(record);
        }
        found
    }

    /// The record that the chunks of a commit make; one by one, each other copy of a chunk is tried, too.
    fn joined(&self, commit: u64) -> Vec<Option<Bytes>> {
        let Some(chunks) = self.chunked.get(&commit) else { return Vec::new() };
        let Some(first): Option<Vec<Extent>> = chunks.iter().map(|copies| copies.first().copied()).collect() else {
            return Vec::new();
        };
        let mut records = vec![self.read(&first)];
        if records[0].as_ref().is_some_and(|record| is_whole(commit, record)) {
            return records;
        }
        for (index, copies) in chunks.iter().enumerate() {
            for copy in &copies[1..] {
                let mut extents = first.clone();
                extents[index] = *copy;
                records.push(self.read(&extents));
            }
        }
        records
    }

    /// The first commit from `commit` on of which something was found.
    pub(crate) fn next(&self, commit: u64) -> Option<u64> {
        let single = self.records.range(commit..).next().map(|(commit, _)| *commit);
        let chunked = self.chunked.range(commit..).next().map(|(commit, _)| *commit);
        single.into_iter().chain(chunked).min()
    }

    fn read(&self, extents: &[Extent]) -> Option<Bytes> {
        let mut bytes = BytesMut::new();
        for (at, length) in extents {
            let start = bytes.len();
            bytes.resize(start + length, 0);
            self.file.read_exact_at(&mut bytes[start..], *at).ok()?;
        }
        Some(bytes.freeze())
    }
}

fn is_wanted(holes: &[Hole], commit: u64) -> bool {
    let after = holes.partition_point(|hole| hole.first_commit.get() <= commit);
    after > 0 && commit <= holes[after - 1].last_commit.get()
}

/// The checksum in the header of a chunk, see `block`.
fn header_crc(commit: u64, chunk: u16, count: u16, record_bytes: usize) -> u32 {
    let mut header = [0; 8];
    header[..2].copy_from_slice(&CHUNK);
    header[2..4].copy_from_slice(&count.to_le_bytes());
    header[4..].copy_from_slice(&u32::try_from(record_bytes).unwrap_or(0).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&keys::log(commit, chunk)), &header)
}

#[cfg(test)]
mod tests {
    use onefold_core::{CommitNumber, GlobalPosition};

    use super::*;
    use crate::block::BlockPacker;
    use crate::gap::Gap;

    fn hole(first: u64, last: u64) -> Hole {
        Hole {
            first_commit: CommitNumber::new(first),
            last_commit: CommitNumber::new(last),
            first_position: GlobalPosition::new(1),
            last_position: GlobalPosition::new(1),
            recorded: None,
        }
    }

    /// Records of gaps are the smallest records there are, and need no session to be made.
    #[test]
    fn blocks_are_found_at_any_offset_and_only_what_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let gap = Gap {
            first_commit: CommitNumber::new(1),
            last_commit: CommitNumber::new(200),
            first_position: GlobalPosition::new(1),
            last_position: GlobalPosition::new(200),
            removed_at: onefold_core::Timestamp::from_micros(0),
        };
        let mut packer = BlockPacker::default();
        (1..=200).for_each(|commit| packer.push(commit, &gap.encode(commit)));
        packer.seal();
        let mut bytes = vec![7; 13];
        for block in packer.take_full() {
            bytes.extend(&block.bytes);
            bytes.extend([1, 1, 1]);
        }
        std::fs::write(dir.path().join("db"), &bytes).unwrap();
        let carved = Carved::look(dir.path(), &[hole(3, 5), hole(100, 200)], &mut |_| ()).unwrap();
        let found: Vec<u64> = carved.records.keys().copied().collect();
        assert_eq!(found, (3..=5).chain(100..=200).collect::<Vec<_>>());
        assert_eq!((carved.next(6), carved.next(201)), (Some(100), None));
    }
}
