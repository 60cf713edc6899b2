//! The format of an export: a journal's commits, one after the other, in one file that can be checked from beginning to end.
//!
//! ```text
//! header     0      8        12     16
//!            ├magic─┼format──┼crc───┤                       magic "1foldExp", format 1, CRC-32C of 0..12
//!             u64    u32      u32
//!
//! frames     0      4        8      12
//!            ├kind──┼length──┼crc───┼content …              CRC-32C of 0..8 and the content
//!             u32    u32      u32
//!
//! kind 1     content: the record of a commit as the journal has it, or that of a gap; in commit order, from commit 1 on
//! kind 2     the last frame, 72 bytes of content:
//!            commits u64 │ gone u64 │ events u64 │ record bytes u64 │ last position u64 │ BLAKE3 [32]
//! ```
//!
//! All integers are little-endian. `commits` counts the frames of kind 1, `gone` those of them that are of gaps. The BLAKE3
//! digest is that of everything before the last frame. Behind that the file ends. There is nothing else in an export: no time,
//! no name; exports of the same commits are the same bytes. The records are drawn in `onefold-core`'s
//! `journal/record.rs`.
//!
//! [`ExportReader`] and [`ExportWriter`] work on any `Read` and `Write`, and hold one record at a time.

mod frame;
mod reader;
mod writer;

pub use reader::{ExportError, ExportReader};
pub use writer::ExportWriter;

/// What the last frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Commits, those that are gone included.
    pub commits: u64,
    /// Commits that are gone: records of gaps.
    pub gone: u64,
    /// Events of the commits that are there.
    pub events: u64,
    /// Bytes of all records.
    pub record_bytes: u64,
    /// The position of the last event.
    pub last_position: u64,
    /// BLAKE3 of everything before the last frame.
    pub digest: [u8; 32],
}

#[cfg(test)]
mod tests;
