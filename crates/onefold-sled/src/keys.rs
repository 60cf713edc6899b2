//! The keys in sled: one tree, one prefix byte per kind. Numbers are big-endian, so that keys sort as they do; names are
//! preceded by their length, so that no two of them collide.
//!
//! ```text
//! L ‖ first commit u64 ‖ chunk u16                        a block of the log
//! H ‖ type length u8 ‖ type ‖ id                          a stream's head
//! X ‖ type length u8 ‖ type ‖ id length u8 ‖ id ‖ version u64     a sparse index into long streams
//! M ‖ name                                                marks
//! C ‖ namespace length u8 ‖ namespace ‖ value             a claim
//! S                                                       reserved: snapshots
//! ```

use onefold_core::{ClaimName, StreamId};

use crate::fields::u64_be_at;

pub(crate) const LOG: u8 = b'L';
pub(crate) const HEAD: u8 = b'H';
pub(crate) const INDEX: u8 = b'X';
pub(crate) const CLAIM: u8 = b'C';
pub(crate) const MARK: u8 = b'M';

/// The format of the directory, u64.
pub(crate) const FORMAT_MARK: &[u8] = b"Mformat";
/// The last commit in the log, u64: every batch carries it.
pub(crate) const APPLIED_MARK: &[u8] = b"Mapplied";
/// The commit up to which heads, index and claims are complete, u64.
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
    pair(HEAD, stream.aggregate_type(), stream.aggregate_id())
}

/// The key of a claim.
pub(crate) fn claim(name: &ClaimName) -> Vec<u8> {
    pair(CLAIM, name.namespace(), name.value())
}

/// The claim of a key; `None` when it is none.
pub(crate) fn parse_claim(key: &[u8]) -> Option<ClaimName> {
    let rest = key.strip_prefix(&[CLAIM])?;
    let (namespace, value) = split_name(rest)?;
    ClaimName::new(namespace, std::str::from_utf8(value).ok()?).ok()
}

/// A key of two names, of which the second one ends it.
fn pair(kind: u8, first: &str, second: &str) -> Vec<u8> {
    let mut key = prefix(kind, first);
    key.extend(second.as_bytes());
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

/// What the keys of one kind begin with that have this name first: the heads of a type, the claims of a namespace.
pub(crate) fn prefix(kind: u8, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.push(kind);
    push_name(name, &mut key);
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
        let name = ClaimName::new("username", "bob").unwrap();
        assert_eq!(parse_claim(&claim(&name)), Some(name));
    }

    #[test]
    fn names_do_not_collide() {
        let stream = |aggregate_type, id| StreamId::new(aggregate_type, id).unwrap();
        assert_ne!(head(&stream("ab", "c")), head(&stream("a", "bc")));
        assert!(!head(&stream("ab", "c")).starts_with(&prefix(HEAD, "a")));
        assert!(!index(&stream("a", "bc"), 1).starts_with(&index(&stream("a", "b"), 1)[..5]));
    }
}
