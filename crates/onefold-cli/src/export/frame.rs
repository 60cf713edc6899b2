//! The bytes of header and frames.

use super::Footer;

pub(super) const MAGIC: [u8; 8] = *b"1foldExp";
/// The newest format known here.
pub(super) const FORMAT: u32 = 1;
pub(super) const HEADER_BYTES: usize = 16;
pub(super) const FRAME_HEADER_BYTES: usize = 12;
pub(super) const FOOTER_BYTES: usize = 72;
/// Bytes of a frame's content at most: more than any record has.
pub(super) const CONTENT_BYTES_MAX: u32 = 256 << 20;

pub(super) const RECORD: u32 = 1;
pub(super) const FOOTER: u32 = 2;

pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

pub(super) fn frame_header(kind: u32, length: u32, content: &[u8]) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    header[..4].copy_from_slice(&kind.to_le_bytes());
    header[4..8].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..8]), content);
    header[8..].copy_from_slice(&crc.to_le_bytes());
    header
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Footer {
    pub(super) fn encode(&self) -> [u8; FOOTER_BYTES] {
        let mut content = [0; FOOTER_BYTES];
        let numbers = [self.commits, self.gone, self.events, self.record_bytes, self.last_position];
        for (place, number) in content.chunks_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        content[40..].copy_from_slice(&self.digest);
        content
    }

    pub(super) fn decode(content: &[u8]) -> Option<Self> {
        let digest = *content.get(40..)?.first_chunk()?;
        (content.len() == FOOTER_BYTES).then(|| Footer {
            commits: u64_at(content, 0),
            gone: u64_at(content, 8),
            events: u64_at(content, 16),
            record_bytes: u64_at(content, 24),
            last_position: u64_at(content, 32),
            digest,
        })
    }
}
