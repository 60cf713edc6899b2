//! What the fuzz targets do: each function takes arbitrary bytes and panics when something that must hold does not.
//!
//! `fuzz/` hands them bytes that libFuzzer makes up; `tests/corpora.rs` hands them those that are kept in `fuzz/corpus`, with
//! any toolchain. Two kinds of things must hold: bytes that nobody of us wrote are refused or read within their bounds, and
//! what was encoded decodes to the same.
#![forbid(unsafe_code)]

mod codec;
mod envelope;
mod events;
mod export;
mod redo;
mod streams;

/// A fuzz target: what it does with bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus and of its file in `fuzz/fuzz_targets`.
pub const TARGETS: [(&str, Target); 14] = [
    ("beacon", onefold_sled::fuzzing::beacon),
    ("block", onefold_sled::fuzzing::block),
    ("chunks", onefold_sled::fuzzing::chunks),
    ("codec_json", codec::json),
    ("codec_value", codec::value),
    ("event", events::event),
    ("export", export::export),
    ("group", onefold_sled::fuzzing::group),
    ("keys", onefold_sled::fuzzing::keys),
    ("metadata", envelope::metadata),
    ("packed_records", onefold_sled::fuzzing::packed_records),
    ("record", envelope::record),
    ("segment", redo::segment),
    ("stream_id", streams::stream_id),
];

/// The target of that name.
///
/// # Panics
///
/// When there is none.
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no fuzz target {name:?}")).1
}
