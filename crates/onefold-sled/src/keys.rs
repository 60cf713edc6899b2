//! The keys in sled: one tree, one prefix byte per kind. Numbers are big-endian, so that keys sort as they do; names are
//! preceded by their length, so that no two of them collide.
//!
//! ```text
//! L ‖ first commit u64 ‖ chunk u16                        a block of the log
//! H ‖ type length u8 ‖ type ‖ id                          a stream's head
//! X ‖ type length u8 ‖ type ‖ id length u8 ‖ id ‖ version u64     a sparse index into long streams
//! M ‖ name                                                marks
//! S, C                                                    reserved: snapshots, claims
//! ```

use onefold_core::StreamId;

use crate::fields::u64_be_at;

pub(crate) const LOG: u8 = b'L';
pub(crate) const HEAD: u8 = b'H';
pub(crate) const INDEX: u8 = b'X';
pub(crate) const MARK: u8 = b'M';

/// The format of the directory, u64.
pub(crate) const FORMAT_MARK: &[u8] = b"Mformat";
/// The last commit in the log, u64: every batch carries it.
pub(crate) const APPLIED_MARK: &[u8] = b"Mapplied";
/// The commit up to which heads and index are complete, u64.
pub(crate) const HEADS_MARK: &[u8] = b"Mheads";

/// The key of a log block.
pub(crate) type LogKey = [u8; 11];

/// The key of chunk `chunk` of the block that begins with `commit`.
pub(crate) fn log(commit: u64, chunk: u16) -> LogKey {
    let mut key = [LOG; 11];
    key[1..9].copy_from_slice(&commit.to_be_bytes());
    key[9..].copy_from_slice(&chunk.to_be_bytes());
    key
}

/// First commit and chunk of a log key; `None` when it is none.
pub(crate) fn parse_log(key: &[u8]) -> Option<(u64, u16)> {
    (key.len() == 11 && key[0] == LOG).then(|| (u64_be_at(key, 1), u16::from_be_bytes([key[9], key[10]])))
}

/// The key of a stream's head.
pub(crate) fn head(stream: &StreamId) -> Vec<u8> {
    let mut key = head_prefix(stream.aggregate_type());
    key.extend(stream.aggregate_id().as_bytes());
    key
}

/// The stream of a head's key; `None` when it is none.
pub(crate) fn parse_head(key: &[u8]) -> Option<StreamId> {
    let rest = key.strip_prefix(&[HEAD])?;
    let (aggregate_type, id) = split_name(rest)?;
    StreamId::new(aggregate_type, std::str::from_utf8(id).ok()?).ok()
}

/// The stream and the version of an index key; `None` when it is none.
pub(crate) fn parse_index(key: &[u8]) -> Option<(StreamId, u64)> {
    let rest = key.strip_prefix(&[INDEX])?;
    let (aggregate_type, rest) = split_name(rest)?;
    let (id, version) = split_name(rest)?;
    let version = u64::from_be_bytes(*version.first_chunk().filter(|_| version.len() == 8)?);
    Some((StreamId::new(aggregate_type, id).ok()?, version))
}

/// What the heads of one type begin with.
pub(crate) fn head_prefix(aggregate_type: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.push(HEAD);
    push_name(aggregate_type, &mut key);
    key
}

/// The key of an index entry; `version` is that of a commit's last event in the stream.
pub(crate) fn index(stream: &StreamId, version: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.push(INDEX);
    push_name(stream.aggregate_type(), &mut key);
    push_name(stream.aggregate_id(), &mut key);
    key.extend(version.to_be_bytes());
    key
}

/// The version of an index key.
pub(crate) fn index_version(key: &[u8]) -> u64 {
    u64_be_at(key, key.len() - 8)
}

/// A name with its length in front, and what follows it.
fn split_name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

#[expect(clippy::cast_possible_truncation, reason = "types have 64 bytes at most, ids 255")]
fn push_name(name: &str, key: &mut Vec<u8>) {
    key.push(name.len() as u8);
    key.extend(name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_numbers() {
        assert!(log(9, 0) < log(10, 0));
        assert!(log(255, u16::MAX) < log(256, 0));
        assert_eq!(parse_log(&log(77, 3)), Some((77, 3)));
        let stream = StreamId::new("account", "1").unwrap();
        assert!(index(&stream, 255) < index(&stream, 256));
        assert_eq!(index_version(&index(&stream, 256)), 256);
        assert_eq!(parse_index(&index(&stream, 256)), Some((stream.clone(), 256)));
        assert_eq!(parse_head(&head(&stream)), Some(stream));
    }

    #[test]
    fn names_do_not_collide() {
        let stream = |aggregate_type, id| StreamId::new(aggregate_type, id).unwrap();
        assert_ne!(head(&stream("ab", "c")), head(&stream("a", "bc")));
        assert!(!head(&stream("ab", "c")).starts_with(&head_prefix("a")));
        assert!(!index(&stream("a", "bc"), 1).starts_with(&index(&stream("a", "b"), 1)[..5]));
    }
}
