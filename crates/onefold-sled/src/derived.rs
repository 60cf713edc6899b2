//! The values that are derived from the log: heads, index entries and claims.
//!
//! ```text
//! head:   version u64 │ last commit u64 │ crc u32        index entry:   commit u64 │ crc u32
//!
//! claim:  since u64 │ has a limit u8 │ expires at u64 │ type length u8 │ type │ id │ crc u32
//!         └ the commit ┘  0 or 1        0 without one     └──── the holder's stream ────┘
//! ```
//!
//! The checksum covers the key, too.

use onefold_core::{CommitNumber, Holder, StreamId, Timestamp};

use crate::fields::{u32_at, u64_at};
use crate::heads::Place;

/// Bytes of a claim's value in front of the names.
const CLAIM_FIXED_BYTES: usize = 18;

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

#[expect(clippy::cast_possible_truncation, reason = "a type has 64 bytes at most")]
pub(crate) fn encode_claim(key: &[u8], holder: &Holder) -> Vec<u8> {
    let (aggregate_type, id) = (holder.stream.aggregate_type(), holder.stream.aggregate_id());
    let mut value = Vec::with_capacity(CLAIM_FIXED_BYTES + aggregate_type.len() + id.len() + 4);
    value.extend(holder.since.get().to_le_bytes());
    value.push(u8::from(holder.expires_at.is_some()));
    value.extend(holder.expires_at.unwrap_or_default().as_micros().to_le_bytes());
    value.push(aggregate_type.len() as u8);
    value.extend(aggregate_type.as_bytes());
    value.extend(id.as_bytes());
    let crc = crc(key, &value);
    value.extend(crc);
    value
}

/// `None` when the value is damaged.
pub(crate) fn decode_claim(key: &[u8], value: &[u8]) -> Option<Holder> {
    let (fields, stored) = value.split_last_chunk()?;
    if fields.len() < CLAIM_FIXED_BYTES || crc(key, fields) != *stored || fields[8] > 1 {
        return None;
    }
    let expires_at = (fields[8] == 1).then(|| Timestamp::from_micros(u64_at(fields, 9)));
    let names = std::str::from_utf8(&fields[CLAIM_FIXED_BYTES..]).ok()?;
    let (aggregate_type, id) = names.split_at_checked(usize::from(fields[17]))?;
    let stream = StreamId::new(aggregate_type, id).ok()?;
    Some(Holder { stream, since: CommitNumber::new(u64_at(fields, 0)), expires_at })
}

#[cfg(test)]
mod tests {
    use onefold_core::ClaimName;

    use super::*;

    #[test]
    fn a_claim_comes_back_and_every_flipped_bit_is_found() {
        let key = crate::keys::claim(&ClaimName::new("username", "bob").unwrap());
        for expires_at in [None, Some(Timestamp::from_micros(u64::MAX))] {
            let stream = StreamId::new("user", "ä/1").unwrap();
            let holder = Holder { stream, since: CommitNumber::new(7), expires_at };
            let value = encode_claim(&key, &holder);
            assert_eq!(decode_claim(&key, &value), Some(holder));
            assert_eq!(decode_claim(&key[1..], &value), None, "it belongs to its key");
            for bit in 0..value.len() * 8 {
                let mut damaged = value.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode_claim(&key, &damaged), None, "bit {bit}");
            }
            (0..value.len()).for_each(|length| assert_eq!(decode_claim(&key, &value[..length]), None));
        }
    }
}
