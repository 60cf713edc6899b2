//! What the fuzz targets need of this crate's insides: each function takes arbitrary bytes and panics when something that
//! must hold does not. Bytes with a right checksum are hard to guess, so each is also tried with its checksums put right.

use std::path::Path;

use bytes::Bytes;
use onefold_core::{ClaimName, CommitNumber, Holder, StreamId, Timestamp};

use crate::block::{self, Block, BlockPacker, Parsed};
use crate::fields::{put, u16_at};
use crate::heads::Place;
use crate::redo::group::{self, ALIGNMENT, GroupHeader, HEADER_BYTES};
use crate::redo::scan;
use crate::redo::segment::{self, GROUPS_AT, SegmentHeader};
use crate::{beacon, derived, keys};

/// The salt and generation of everything here.
const SALT: u64 = 0x1234_5678_9abc_def0;
const GENERATION: u64 = 3;

/// A block that was never written by us: refused, or read within its bounds.
pub fn block(data: &[u8]) {
    let Some((key, value)) = data.split_at_checked(11) else { return };
    let mut value = value.to_vec();
    look_into(key, &Bytes::from(value.clone()));
    let Some((first, chunk)) = keys::parse_log(key) else { return };
    if block::put_checksum_right(&keys::log(first, chunk), &mut value) {
        look_into(key, &Bytes::from(value));
    }
}

fn look_into(key: &[u8], value: &Bytes) {
    if let Ok(Parsed::Records(block)) = block::parse(key, value) {
        let commits = block.first()..=block.last();
        for commit in commits.take(5_000) {
            assert!(block.holds(commit));
            assert!(block.record(commit).len() <= value.len());
        }
        assert!(!block.holds(block.last().wrapping_add(1)) && !block.holds(block.first().wrapping_sub(1)));
    }
}

/// Records, small and large, come back from their blocks and chunks. The bytes say how long each is.
pub fn packed_records(data: &[u8]) {
    let lengths = data.chunks_exact(2).take(64).map(|pair| usize::from(u16_at(pair, 0)));
    let records: Vec<Vec<u8>> = (1u8..).zip(lengths).map(|(byte, length)| vec![byte; length]).collect();
    let mut packer = BlockPacker::default();
    (1..).zip(&records).for_each(|(commit, record)| packer.push(commit, record));
    packer.seal();
    let full = packer.take_full();
    assert!(full.iter().all(|block| block.bytes.len() <= block::BLOCK_BYTES_MAX));
    assert_eq!(full.last().map_or(0, |block| block.complete_to), records.len() as u64);
    let mut blocks = full.into_iter().map(|block| (block.key, Bytes::from(block.bytes))).peekable();
    let mut next = 1;
    while let Some((key, value)) = blocks.next() {
        let block: Block = match block::parse(&key, &value) {
            Ok(Parsed::Records(block)) => block,
            Ok(Parsed::Chunk { count, .. }) => {
                let others = blocks.by_ref().take(usize::from(count) - 1).map(|(_, value)| value);
                block::assemble(next, std::iter::once(value).chain(others)).expect("all chunks are there")
            }
            Err(evidence) => panic!("{evidence}"),
        };
        assert_eq!(block.first(), next);
        for commit in block.first()..=block.last() {
            assert_eq!(block.record(commit), records[usize::try_from(commit).expect("few") - 1]);
        }
        next = block.last() + 1;
    }
    assert_eq!(next, records.len() as u64 + 1);
}

/// Chunks that were never written by us: refused, or put together to what they hold.
pub fn chunks(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else { return };
    let size = (rest.len() / usize::from(count % 8 + 1)).max(1);
    let values = |right: bool| {
        rest.chunks(size).zip(0u16..).map(move |(chunk, index)| {
            let mut value = chunk.to_vec();
            if right {
                block::put_checksum_right(&keys::log(7, index), &mut value);
            }
            Bytes::from(value)
        })
    };
    for right in [false, true] {
        if let Ok(block) = block::assemble(7, values(right)) {
            assert!(block.record(7).len() < rest.len());
        }
    }
}

/// Keys: arbitrary ones are read without harm; those of two streams differ if the streams do; versions sort.
pub fn keys(data: &[u8]) {
    if let Some((commit, chunk)) = keys::parse_log(data) {
        assert_eq!(keys::log(commit, chunk), data);
    }
    let Some((cut, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some((one, other)) = text.split_at_checked(usize::from(*cut)) else { return };
    let (Ok(one), Ok(other)) = (one.parse::<StreamId>(), other.parse::<StreamId>()) else { return };
    assert_eq!(one == other, keys::head(&one) == keys::head(&other));
    for (low, high) in [(0, 1), (255, 256), (1, u64::MAX)] {
        let [low_key, high_key] = [low, high].map(|version| keys::index(&one, version));
        assert!(low_key < high_key && keys::index_version(&high_key) == high);
        let foreign = keys::index(&other, low + 1);
        assert!(one == other || !(low_key..=high_key).contains(&foreign), "another stream's entry lies between");
    }
    let place = Place { version: u64::from(*cut), commit: data.len() as u64 };
    let key = keys::head(&one);
    let value = derived::encode_head(&key, place);
    assert_eq!(derived::decode_head(&key, &value), Some(place));
    assert!(one == other || derived::decode_head(&keys::head(&other), &value).is_none());
    let _ = derived::decode_head(&key, data);
    let _ = derived::decode_index(&key, data);
    claim(&one, &other, data);
}

/// Claims of the same names: their keys, and entries that say that one of the streams holds them.
fn claim(one: &StreamId, other: &StreamId, data: &[u8]) {
    let name = |stream: &StreamId| ClaimName::new(stream.aggregate_type(), stream.aggregate_id());
    let (Ok(first), Ok(second)) = (name(one), name(other)) else { return };
    let (key, other_key) = (keys::claim(&first), keys::claim(&second));
    assert_eq!(first == second, key == other_key);
    assert_eq!(keys::parse_claim(&key), Some(first));
    let length = data.len() as u64;
    let expires_at = data.len().is_multiple_of(2).then(|| Timestamp::from_micros(length));
    let holder = Holder { stream: other.clone(), since: CommitNumber::new(length), expires_at };
    let value = derived::encode_claim(&key, &holder);
    assert_eq!(derived::decode_claim(&key, &value), Some(holder));
    assert!(one == other || derived::decode_claim(&other_key, &value).is_none());
    let _ = derived::decode_claim(&key, data);
    let _ = keys::parse_claim(data);
}

/// Beacons: never a panic, and what is written is read.
pub fn beacon(data: &[u8]) {
    beacon::fuzz(data);
}

/// Groups: never a panic, never beyond the end, and what is sealed is read.
pub fn group(data: &[u8]) {
    let _ = group::guess_header(data);
    if let Some((header, _, length)) = group::parse(data, SALT) {
        assert!(header.length as usize <= data.len() && length.is_multiple_of(ALIGNMENT));
    }
    let (sealed, header, crc) = sealed_group(data, 1, 0);
    let parsed = group::parse(&sealed, SALT).expect("it was sealed");
    assert_eq!(parsed, (header, crc, sealed.len()));
    assert_eq!(group::parse(&sealed, SALT + 1), None, "another log's");
}

/// One group with these bytes as its records.
fn sealed_group(records: &[u8], number: u64, previous_crc: u32) -> (Vec<u8>, GroupHeader, u32) {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes.extend_from_slice(records);
    let length = u32::try_from(records.len()).expect("few bytes");
    let header = GroupHeader { generation: GENERATION, number, first_commit: number, commits: 1, length, previous_crc };
    let crc = group::seal(&mut bytes, &header, SALT);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    (bytes, header, crc)
}

/// A segment in `directory`: whole groups are read as far as they go; whatever lies behind them is judged without harm.
///
/// # Panics
///
/// When the scan finds other groups than were written, and when the file system fails.
pub fn segment(directory: &Path, data: &[u8]) {
    let Some((&groups, data)) = data.split_first() else { return };
    let header = SegmentHeader {
        format: segment::FORMAT,
        relaxed: groups & 128 != 0,
        generation: GENERATION,
        sequence: 1,
        salt: SALT,
        first_group: 1,
    };
    let mut bytes = header.encode();
    assert_eq!(SegmentHeader::parse(&bytes), Some(header));
    let _ = SegmentHeader::parse(data);
    let (mut crc, groups) = (0, u64::from(groups % 4));
    for number in 1..=groups {
        let (sealed, _, sealed_crc) = sealed_group(data.get(..40).unwrap_or(data), number, crc);
        bytes.extend(sealed);
        crc = sealed_crc;
    }
    let written = bytes.len();
    bytes.extend_from_slice(data);
    let path = segment::path(directory, 1);
    std::fs::write(&path, &bytes).expect("the directory takes files");
    let segments = vec![(1, path)];
    let mut found = 0;
    let end = scan::chain(&segments, GENERATION, |_, records| {
        found += 1;
        assert!(records.len() <= bytes.len() - GROUPS_AT);
        Ok(())
    });
    let end = end.expect("the header is right");
    assert!(found >= groups, "{found} of {groups} groups, {written} bytes");
    assert_eq!(end.next_commit, (found > 0).then_some(found + 1));
    let _ = end.later_group(&segments, GENERATION);
    let _ = scan::any_group(&segments[0].1);
    // The header itself may be anything.
    put(&mut bytes, 0, data.get(..data.len().min(64)).unwrap_or_default());
    std::fs::write(&segments[0].1, &bytes).expect("the directory takes files");
    let _ = scan::chain(&segments, GENERATION, |_, _| Ok(()));
    let _ = scan::any_group(&segments[0].1);
}
