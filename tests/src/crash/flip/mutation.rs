//! One piece of damage: which follows from the seed and its number alone, so that it can be repeated.

use std::fmt;

use super::template::Template;
use crate::crash::random::Random;

/// Bytes of a block.
const BLOCK: usize = 4096;

/// Bytes of a cell: only cells with something in them are worth most of the flips.
const CELL: usize = 64;

/// One in so many mutations is larger than a bit.
const LARGER_EVERY: u64 = 11;

/// What is done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One bit is turned.
    Bit { offset: usize, bit: u8 },
    /// 4 KiB become zeros.
    Zeros { offset: usize },
    /// Two blocks change places.
    Swap { one: usize, other: usize },
    /// The file ends earlier.
    Cut { length: usize },
    /// The file is missing.
    Missing,
}

/// What is done to which file of which template.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    pub(super) template: usize,
    pub(super) file: String,
    pub(super) kind: Kind,
}

/// How many mutations there are for so many bit flips: a tenth of them larger ones in addition.
pub(super) fn total(flips: u64) -> u64 {
    flips + flips / (LARGER_EVERY - 1)
}

impl Mutation {
    /// The mutation with a number.
    pub(super) fn pick(seed: u64, number: u64, templates: &[Template]) -> Mutation {
        let mut random = Random::of(seed, number);
        let template = index(&mut random, templates.len());
        let (file, bytes) = pick_file(&mut random, &templates[template]);
        let kind = match number % LARGER_EVERY == LARGER_EVERY - 1 {
            false => Kind::bit(&mut random, bytes),
            true => Kind::larger(&mut random, bytes),
        };
        Mutation { template, file: file.clone(), kind }
    }

    /// The template with this damage.
    pub(super) fn apply(&self, template: &Template) -> Template {
        let mut damaged = template.clone();
        if self.kind == Kind::Missing {
            damaged.files.retain(|(name, _)| *name != self.file);
        } else if let Some((_, bytes)) = damaged.files.iter_mut().find(|(name, _)| *name == self.file) {
            self.kind.apply(bytes);
        }
        damaged
    }

    /// The file without its number: what files of this kind are called in a table.
    pub(super) fn file_class(&self) -> &'static str {
        match &*self.file {
            "beacon" => "beacon",
            "db" => "sled's db",
            "conf" => "sled's conf",
            name if name.starts_with("snap.") => "sled's snapshot",
            name if name.starts_with("redo/") => "redo segment",
            "lock" => "lock",
            _ => "other",
        }
    }
}

/// Half of the time any of the files, else one by how much is in it.
fn pick_file<'a>(random: &mut Random, template: &'a Template) -> (&'a String, &'a Vec<u8>) {
    let files: Vec<_> = template.files.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    let picked = match random.one_in(2) {
        true => index(random, files.len()),
        false => {
            let weights: Vec<usize> = files.iter().map(|(_, bytes)| full_cells(bytes).len()).collect();
            let mut left = index(random, weights.iter().sum());
            let is_there = |weight: &usize| {
                let is_there = left < *weight;
                left = left.saturating_sub(*weight);
                is_there
            };
            weights.iter().position(is_there).unwrap_or(0)
        }
    };
    let (name, bytes) = files[picked];
    (name, bytes)
}

/// The cells with something in them.
fn full_cells(bytes: &[u8]) -> Vec<usize> {
    let full = |cell: &usize| bytes[cell * CELL..].iter().take(CELL).any(|byte| *byte != 0);
    (0..bytes.len().div_ceil(CELL)).filter(full).collect()
}

impl Kind {
    fn bit(random: &mut Random, bytes: &[u8]) -> Kind {
        let offset = somewhere(random, bytes);
        Kind::Bit { offset, bit: u8::try_from(random.below(8)).unwrap_or(0) }
    }

    fn larger(random: &mut Random, bytes: &[u8]) -> Kind {
        let block = |offset: usize| offset / BLOCK * BLOCK;
        match random.below(8) {
            0..3 => Kind::Zeros { offset: block(somewhere(random, bytes)) },
            3..5 => {
                let (one, other) = (block(somewhere(random, bytes)), block(index(random, bytes.len())));
                Kind::Swap { one, other }
            }
            5..7 => Kind::Cut { length: somewhere(random, bytes) },
            _ => Kind::Missing,
        }
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        match *self {
            Kind::Bit { offset, bit } => bytes[offset] ^= 1 << bit,
            Kind::Zeros { offset } => {
                let end = bytes.len().min(offset + BLOCK);
                bytes[offset..end].fill(0);
            }
            Kind::Swap { one, other } => {
                let length = BLOCK.min(bytes.len() - one.max(other));
                for at in 0..length {
                    bytes.swap(one + at, other + at);
                }
            }
            Kind::Cut { length } => bytes.truncate(length),
            Kind::Missing => {}
        }
    }

    /// Whether it is larger than a bit.
    pub(super) fn is_larger(&self) -> bool {
        !matches!(self, Kind::Bit { .. })
    }
}

/// An offset: three of four where there is something, the others anywhere.
fn somewhere(random: &mut Random, bytes: &[u8]) -> usize {
    if random.one_in(4) {
        return index(random, bytes.len());
    }
    let cells = full_cells(bytes);
    if cells.is_empty() {
        return index(random, bytes.len());
    }
    let start = cells[index(random, cells.len())] * CELL;
    start + index(random, CELL.min(bytes.len() - start))
}

fn index(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length as u64)).unwrap_or(0)
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match self.kind {
            Kind::Bit { offset, bit } => write!(f, "{file}: bit {bit} of byte {offset} turned"),
            Kind::Zeros { offset } => write!(f, "{file}: the 4 KiB at {offset} zeroed"),
            Kind::Swap { one, other } => write!(f, "{file}: the blocks at {one} and {other} swapped"),
            Kind::Cut { length } => write!(f, "{file}: cut to {length} bytes"),
            Kind::Missing => write!(f, "{file}: missing"),
        }
    }
}
