//! The values that are derived from the log: heads and index entries.
//!
//! ```text
//! head:   version u64 │ last commit u64 │ crc u32        index entry:   commit u64 │ crc u32
//! ```
//!
//! The checksum covers the key, too.

use crate::fields::{u32_at, u64_at};
use crate::heads::Place;

fn crc(key: &[u8], value: &[u8]) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(key), value).to_le_bytes()
}

pub(crate) fn encode_head(key: &[u8], place: Place) -> [u8; 20] {
    let mut value = [0; 20];
    value[..8].copy_from_slice(&place.version.to_le_bytes());
    value[8..16].copy_from_slice(&place.commit.to_le_bytes());
    let crc = crc(key, &value[..16]);
    value[16..].copy_from_slice(&crc);
    value
}

/// `None` when the value is damaged.
pub(crate) fn decode_head(key: &[u8], value: &[u8]) -> Option<Place> {
    let intact = value.len() == 20 && crc(key, &value[..16]) == u32_at(value, 16).to_le_bytes();
    intact.then(|| Place { version: u64_at(value, 0), commit: u64_at(value, 8) })
}

pub(crate) fn encode_index(key: &[u8], commit: u64) -> [u8; 12] {
    let mut value = [0; 12];
    value[..8].copy_from_slice(&commit.to_le_bytes());
    let crc = crc(key, &value[..8]);
    value[8..].copy_from_slice(&crc);
    value
}

/// `None` when the value is damaged.
pub(crate) fn decode_index(key: &[u8], value: &[u8]) -> Option<u64> {
    let intact = value.len() == 12 && crc(key, &value[..8]) == u32_at(value, 8).to_le_bytes();
    intact.then(|| u64_at(value, 0))
}
