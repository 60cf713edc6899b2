//! Blocks: values of at most 4 KiB in sled, each with the records of many streams, so that one insert carries many commits.
//!
//! ```text
//!  0  crc u32       CRC-32C of key and header: everything up to the first record, or up to the chunk's bytes
//!  4  format u8     = 1
//!  5  kind u8       1: records; 2: a chunk of one record that is too large for a block
//!  6  count u16     how many records; how many chunks
//!  8  records:      offset u16 of each record, then the records
//!     chunk:        record length u32, then the chunk's bytes
//! ```
//!
//! The checksum is of the header alone: records have their own, so that a damaged payload concerns one stream only. Commit
//! numbers are dense, so the header finds a commit without a search.

use bytes::{Bytes, BytesMut};

use crate::fields::{put, u16_at, u32_at};
use crate::keys::{self, LogKey};

/// Bytes of a block at most. sled's leaves hold up to 17 values; above some 128 KB they spill to files that sled never
/// syncs.
pub(crate) const BLOCK_BYTES_MAX: usize = 4096;

const FORMAT: u8 = 1;
const RECORDS: u8 = 1;
const CHUNK: u8 = 2;
const FIXED_BYTES: usize = 8;
const OFFSET_BYTES: usize = 2;
const CHUNK_HEADER_BYTES: usize = 12;
/// A record's bytes in one chunk.
pub(crate) const CHUNK_BYTES_MAX: usize = BLOCK_BYTES_MAX - CHUNK_HEADER_BYTES;
/// Bytes of a record at most: what 65,535 chunks hold.
pub(crate) const RECORD_BYTES_MAX: usize = CHUNK_BYTES_MAX * 65_535;

/// Whether a record fits into a block of records.
fn fits_block(record_bytes: usize) -> bool {
    FIXED_BYTES + OFFSET_BYTES + record_bytes <= BLOCK_BYTES_MAX
}

/// Packs records, in commit order, into blocks.
#[derive(Debug, Default)]
pub(crate) struct BlockPacker {
    first: u64,
    lengths: Vec<u16>,
    records: Vec<u8>,
    full: Vec<FullBlock>,
}

/// A finished block.
#[derive(Debug)]
pub(crate) struct FullBlock {
    pub(crate) key: LogKey,
    pub(crate) bytes: Vec<u8>,
    /// The last commit that is complete with this block and those before.
    pub(crate) complete_to: u64,
}

impl FullBlock {
    /// Whether its last commit has no more chunks.
    pub(crate) fn ends_commit(&self) -> bool {
        keys::parse_log(&self.key).is_some_and(|(first, _)| self.complete_to >= first)
    }
}

impl BlockPacker {
    /// Adds the record of `commit`.
    pub(crate) fn push(&mut self, commit: u64, record: &[u8]) {
        if !fits_block(record.len()) {
            self.seal();
            return self.push_chunks(commit, record);
        }
        let records = self.lengths.len() + 1;
        if FIXED_BYTES + OFFSET_BYTES * records + self.records.len() + record.len() > BLOCK_BYTES_MAX {
            self.seal();
        }
        if self.lengths.is_empty() {
            self.first = commit;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it fits a block")]
        self.lengths.push(record.len() as u16);
        self.records.extend_from_slice(record);
    }

    /// Ends the block in the making, full or not.
    #[expect(clippy::cast_possible_truncation, reason = "all of it fits a block")]
    pub(crate) fn seal(&mut self) {
        if self.lengths.is_empty() {
            return;
        }
        let header_len = FIXED_BYTES + OFFSET_BYTES * self.lengths.len();
        let mut block = Vec::with_capacity(header_len + self.records.len());
        block.extend([0, 0, 0, 0, FORMAT, RECORDS]);
        block.extend((self.lengths.len() as u16).to_le_bytes());
        let mut offset = header_len as u16;
        for length in &self.lengths {
            block.extend(offset.to_le_bytes());
            offset += length;
        }
        let key = keys::log(self.first, 0);
        seal_header(&key, &mut block);
        block.extend_from_slice(&self.records);
        let complete_to = self.first + self.lengths.len() as u64 - 1;
        self.full.push(FullBlock { key, bytes: block, complete_to });
        self.lengths.clear();
        self.records.clear();
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 65,535 chunks, checked before the record was taken")]
    fn push_chunks(&mut self, commit: u64, record: &[u8]) {
        let count = record.len().div_ceil(CHUNK_BYTES_MAX) as u16;
        for (index, bytes) in record.chunks(CHUNK_BYTES_MAX).enumerate() {
            let mut block = Vec::with_capacity(CHUNK_HEADER_BYTES + bytes.len());
            block.extend([0, 0, 0, 0, FORMAT, CHUNK]);
            block.extend(count.to_le_bytes());
            block.extend((record.len() as u32).to_le_bytes());
            let key = keys::log(commit, index as u16);
            seal_header(&key, &mut block);
            block.extend_from_slice(bytes);
            let complete_to = if index + 1 == usize::from(count) { commit } else { commit - 1 };
            self.full.push(FullBlock { key, bytes: block, complete_to });
        }
    }

    /// The finished blocks.
    pub(crate) fn full_blocks(&self) -> usize {
        self.full.len()
    }

    /// Takes the finished blocks.
    pub(crate) fn take_full(&mut self) -> Vec<FullBlock> {
        std::mem::take(&mut self.full)
    }
}

fn seal_header(key: &LogKey, header: &mut [u8]) {
    let crc = header_crc(key, header);
    put(header, 0, &crc.to_le_bytes());
}

fn header_crc(key: &LogKey, header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), &header[4..])
}

/// Puts the checksum of a header right, whatever it says; false when there is no room for one.
#[cfg(feature = "fuzzing")]
pub(crate) fn put_checksum_right(key: &LogKey, value: &mut [u8]) -> bool {
    if value.len() < FIXED_BYTES + OFFSET_BYTES {
        return false;
    }
    let header_len = match value[5] {
        RECORDS => FIXED_BYTES + OFFSET_BYTES * usize::from(u16_at(value, 6)),
        _ => CHUNK_HEADER_BYTES,
    };
    value.get_mut(..header_len).map(|header| seal_header(key, header)).is_some()
}

/// Records with a checked header, from one block or put together from chunks.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    first: u64,
    count: u64,
    bytes: Bytes,
    /// Put together from chunks: the bytes are the record.
    whole: bool,
}

/// What a value under a log key turned out to be.
#[derive(Debug)]
pub(crate) enum Parsed {
    Records(Block),
    /// One of `count` chunks of a record of `record_bytes`.
    Chunk {
        count: u16,
        record_bytes: usize,
    },
}

/// Reads a value under a log key. `Err` says what is wrong.
pub(crate) fn parse(key: &[u8], value: &Bytes) -> Result<Parsed, &'static str> {
    let (first, chunk) = keys::parse_log(key).ok_or("the key is not one of the log")?;
    if value.len() < FIXED_BYTES + OFFSET_BYTES {
        return Err("the block is cut off");
    }
    let count = u16_at(value, 6);
    let header_len = match value[5] {
        RECORDS => FIXED_BYTES + OFFSET_BYTES * usize::from(count),
        _ => CHUNK_HEADER_BYTES,
    };
    if value.len() < header_len || header_crc(&keys::log(first, chunk), &value[..header_len]) != u32_at(value, 0) {
        return Err("the block's header does not match its checksum");
    }
    match (value[4], value[5]) {
        (FORMAT, RECORDS) if first.checked_add(u64::from(count)).is_none() => {
            Err("the block's commits have numbers beyond the last there is")
        }
        (FORMAT, RECORDS) if count > 0 => {
            Ok(Parsed::Records(Block { first, count: count.into(), bytes: value.clone(), whole: false }))
        }
        (FORMAT, CHUNK) => Ok(Parsed::Chunk { count, record_bytes: u32_at(value, 8) as usize }),
        _ => Err("the block is of a kind that this build does not know"),
    }
}

/// Puts the chunks of `commit` together.
pub(crate) fn assemble(commit: u64, chunks: impl Iterator<Item = Bytes>) -> Result<Block, &'static str> {
    let mut record = BytesMut::new();
    let mut expected = None;
    for (index, value) in chunks.enumerate() {
        let key = keys::log(commit, u16::try_from(index).map_err(|_| "there are too many chunks")?);
        let Parsed::Chunk { count, record_bytes } = parse(&key, &value)? else { return Err("a chunk is not a chunk") };
        if *expected.get_or_insert((count, record_bytes)) != (count, record_bytes) {
            return Err("the chunks contradict each other");
        }
        record.extend_from_slice(&value[CHUNK_HEADER_BYTES..]);
    }
    match expected {
        Some((_, record_bytes)) if record_bytes == record.len() => Ok(Block::whole(commit, record.freeze())),
        _ => Err("a chunk is missing"),
    }
}

impl Block {
    /// A block of a single record.
    pub(crate) fn whole(commit: u64, record: Bytes) -> Block {
        Block { first: commit, count: 1, bytes: record, whole: true }
    }

    /// The first commit.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The last commit.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.count - 1
    }

    /// Whether the commit is in here.
    pub(crate) fn holds(&self, commit: u64) -> bool {
        commit >= self.first && commit - self.first < self.count
    }

    /// Its bytes.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len()
    }

    /// The record of a commit that is in here; empty when the block contradicts itself.
    pub(crate) fn record(&self, commit: u64) -> Bytes {
        if self.whole {
            return self.bytes.clone();
        }
        let index = usize::try_from(commit - self.first).unwrap_or(usize::MAX);
        let start = usize::from(u16_at(&self.bytes, FIXED_BYTES + OFFSET_BYTES * index));
        let end = match commit < self.last() {
            true => usize::from(u16_at(&self.bytes, FIXED_BYTES + OFFSET_BYTES * (index + 1))),
            false => self.bytes.len(),
        };
        match start <= end && end <= self.bytes.len() {
            true => self.bytes.slice(start..end),
            false => Bytes::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(records: &[Vec<u8>]) -> Vec<(LogKey, Bytes)> {
        let mut packer = BlockPacker::default();
        (1..).zip(records).for_each(|(commit, record)| packer.push(commit, record));
        packer.seal();
        let full = packer.take_full();
        assert_eq!(full.last().unwrap().complete_to, records.len() as u64);
        full.into_iter().map(|block| (block.key, Bytes::from(block.bytes))).collect()
    }

    #[test]
    fn records_come_back_from_their_blocks() {
        let records: Vec<Vec<u8>> = (0..100u8).map(|byte| vec![byte; 40 + usize::from(byte)]).collect();
        let blocks = blocks(&records);
        assert!(blocks.len() > 1 && blocks.iter().all(|(_, block)| block.len() <= BLOCK_BYTES_MAX));
        let mut next = 1;
        for (key, value) in &blocks {
            let Ok(Parsed::Records(block)) = parse(key, value) else { panic!("a block of records") };
            assert_eq!(block.first(), next);
            for commit in block.first()..=block.last() {
                assert_eq!(block.record(commit), records[usize::try_from(commit).unwrap() - 1]);
            }
            next = block.last() + 1;
        }
        assert_eq!(next, 101);
    }

    #[test]
    fn a_large_record_is_chunked() {
        let record: Vec<u8> = (0..20_000u32).map(|number| number.to_le_bytes()[0]).collect();
        let blocks = blocks(&[vec![1; 10], record.clone(), vec![2; 10]]);
        assert_eq!(blocks.len(), 2 + record.len().div_ceil(CHUNK_BYTES_MAX));
        assert!(blocks.iter().all(|(_, block)| block.len() <= BLOCK_BYTES_MAX));
        let chunks = || blocks[1..blocks.len() - 1].iter().map(|(_, value)| value.clone());
        assert_eq!(assemble(2, chunks()).unwrap().record(2), record);
        assert_eq!(assemble(2, chunks().take(2)).unwrap_err(), "a chunk is missing");
        assert!(assemble(3, chunks()).is_err());
    }

    /// The checksum is right, and the last commit's number would not fit into its type: the arithmetic went round.
    #[test]
    fn a_block_that_counts_beyond_the_last_number_is_refused() {
        let key = keys::log(u64::MAX, 0);
        let mut block = vec![0, 0, 0, 0, FORMAT, RECORDS, 2, 0, 12, 0, 12, 0];
        seal_header(&key, &mut block);
        assert!(parse(&key, &block.into()).is_err());
    }

    #[test]
    fn a_damaged_header_is_found_out() {
        let blocks = blocks(&[vec![1; 10], vec![2; 10]]);
        let (key, value) = &blocks[0];
        for at in 0..FIXED_BYTES + 2 * OFFSET_BYTES {
            let mut bytes = value.to_vec();
            bytes[at] ^= 1;
            assert!(parse(key, &bytes.into()).is_err(), "byte {at}");
        }
        assert!(parse(&keys::log(2, 0), value).is_err(), "a block under another's key");
    }
}
