//! The beacon: a second, independent witness of how far the log reached, so that a tail that went missing is noticed.
//!
//! Two slots of 4096 bytes, written in turn, so that a torn write leaves the other.
//!
//! ```text
//!  0  magic u64
//!  8  format u32              of the directory
//! 12  flags u32               1: closed cleanly
//! 16  counter u64             the slot with the higher one counts
//! 24  generation u64
//! 32  first live segment u64
//! 40  current segment u64
//! 48  last acknowledged commit u64
//! 56  last acknowledged position u64
//! 64  commit up to which sled is known to be synced u64
//! 72  crc u32                 CRC-32C of 0..72
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use parking_lot::Mutex;

use crate::fields::{put, u32_at, u64_at};
use crate::timer::Timer;

/// The format of the directory that this build writes.
pub(crate) const FORMAT: u32 = 1;
const MAGIC: u64 = u64::from_le_bytes(*b"1foldBcn");
const SLOT_BYTES: usize = 4096;
const CRC_AT: usize = 72;
const CLEAN: u32 = 1;

/// What the beacon says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) clean: bool,
    pub(crate) generation: u64,
    pub(crate) first_segment: u64,
    pub(crate) current_segment: u64,
    pub(crate) commit: u64,
    pub(crate) position: u64,
    pub(crate) synced_commit: u64,
}

/// What was found in a beacon file.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    Facts { facts: Facts, counter: u64 },
    NewerFormat(u32),
    Damaged,
}

/// The open beacon.
#[derive(Debug)]
pub(crate) struct Beacon {
    slots: Mutex<Slots>,
    /// Runs while the disk is asked.
    pub(crate) timer: Timer,
}

#[derive(Debug)]
struct Slots {
    file: File,
    counter: u64,
    closed: bool,
}

impl Beacon {
    /// Reads the beacon in `path`.
    pub(crate) fn read(path: &Path) -> io::Result<Found> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        if bytes.iter().all(|byte| *byte == 0) {
            // Created, and never written: whoever began stopped before the first slot.
            return Ok(Found::Nothing);
        }
        let slots = bytes.chunks(SLOT_BYTES).filter_map(parse).max_by_key(|(_, _, counter)| *counter);
        Ok(match slots {
            Some((format, ..)) if format > FORMAT => Found::NewerFormat(format),
            Some((_, facts, counter)) => Found::Facts { facts, counter },
            None => Found::Damaged,
        })
    }

    /// Opens, or creates, the file for writing; `counter` is that of the last write.
    pub(crate) fn open(path: &Path, counter: u64) -> io::Result<Self> {
        if !path.metadata().is_ok_and(|metadata| metadata.len() == 2 * SLOT_BYTES as u64) {
            create(path)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let slots = Mutex::new(Slots { file, counter, closed: false });
        Ok(Beacon { slots, timer: Timer::default() })
    }

    /// Writes and syncs what `gather` says. It is called with the beacon locked, so that what is written later was also
    /// gathered later. After clean facts were written, nothing more is.
    pub(crate) fn write(&self, gather: impl FnOnce() -> io::Result<Facts>) -> io::Result<()> {
        let mut slots = self.slots.lock();
        if slots.closed {
            return Ok(());
        }
        self.timer.ask();
        let written = slots.write(gather);
        self.timer.answered();
        written
    }

    /// Lets nothing more be written.
    pub(crate) fn close(&self) {
        self.slots.lock().closed = true;
    }
}

impl Slots {
    fn write(&mut self, gather: impl FnOnce() -> io::Result<Facts>) -> io::Result<()> {
        let facts = gather()?;
        self.counter += 1;
        self.closed = facts.clean;
        let slot = encode(&facts, self.counter);
        self.file.write_all_at(&slot, (self.counter % 2) * SLOT_BYTES as u64)?;
        self.file.sync_data()
    }
}

/// Creates the file, of zeros. Under its final name it is whole: a crash or a full disk in between leaves nothing that
/// looks like a damaged beacon.
fn create(path: &Path) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    // What slots there are stay: the other one may never have been written.
    let mut bytes = std::fs::read(path).unwrap_or_default();
    bytes.resize(2 * SLOT_BYTES, 0);
    file.write_all_at(&bytes, 0)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

fn encode(facts: &Facts, counter: u64) -> Vec<u8> {
    let mut bytes = vec![0; SLOT_BYTES];
    put(&mut bytes, 0, &MAGIC.to_le_bytes());
    put(&mut bytes, 8, &FORMAT.to_le_bytes());
    put(&mut bytes, 12, &(if facts.clean { CLEAN } else { 0 }).to_le_bytes());
    let numbers = [
        counter,
        facts.generation,
        facts.first_segment,
        facts.current_segment,
        facts.commit,
        facts.position,
        facts.synced_commit,
    ];
    for (index, number) in numbers.iter().enumerate() {
        put(&mut bytes, 16 + 8 * index, &number.to_le_bytes());
    }
    let crc = crc32c::crc32c(&bytes[..CRC_AT]);
    put(&mut bytes, CRC_AT, &crc.to_le_bytes());
    bytes
}

/// Arbitrary bytes as a slot, with and without a right checksum; and facts made of them, there and back.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(data: &[u8]) {
    let _ = parse(data);
    let mut slot = data.to_vec();
    if slot.len() >= CRC_AT + 4 {
        put(&mut slot, 0, &MAGIC.to_le_bytes());
        let crc = crc32c::crc32c(&slot[..CRC_AT]);
        put(&mut slot, CRC_AT, &crc.to_le_bytes());
        let (format, facts, counter) = parse(&slot).expect("the checksum is right");
        assert_eq!(parse(&encode(&facts, counter)), Some((FORMAT, facts, counter)));
        assert!(format == FORMAT || format == u32_at(&slot, 8));
    }
}

fn parse(slot: &[u8]) -> Option<(u32, Facts, u64)> {
    let slot = slot.get(..CRC_AT + 4)?;
    if u64_at(slot, 0) != MAGIC || crc32c::crc32c(&slot[..CRC_AT]) != u32_at(slot, CRC_AT) {
        return None;
    }
    let facts = Facts {
        clean: u32_at(slot, 12) & CLEAN != 0,
        generation: u64_at(slot, 24),
        first_segment: u64_at(slot, 32),
        current_segment: u64_at(slot, 40),
        commit: u64_at(slot, 48),
        position: u64_at(slot, 56),
        synced_commit: u64_at(slot, 64),
    };
    Some((u32_at(slot, 8), facts, u64_at(slot, 16)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Option<Facts> {
        match Beacon::read(path).unwrap() {
            Found::Facts { facts, .. } => Some(facts),
            _ => None,
        }
    }

    #[test]
    fn a_torn_slot_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("beacon");
        let beacon = Beacon::open(&path, 0).unwrap();
        let facts = |commit| Facts { commit, ..Facts::default() };
        beacon.write(|| Ok(facts(1))).unwrap();
        beacon.write(|| Ok(facts(2))).unwrap();
        assert_eq!(read(&path), Some(facts(2)));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[50] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path), Some(facts(1)));
        bytes[SLOT_BYTES + 50] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(Beacon::read(&path).unwrap(), Found::Damaged));
    }

    #[test]
    fn a_creation_that_was_interrupted_is_no_beacon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("beacon");
        for bytes in [0, 100, 2 * SLOT_BYTES] {
            std::fs::write(&path, vec![0; bytes]).unwrap();
            assert!(matches!(Beacon::read(&path).unwrap(), Found::Nothing), "{bytes} bytes");
            let beacon = Beacon::open(&path, 0).unwrap();
            beacon.write(|| Ok(Facts { commit: 3, ..Facts::default() })).unwrap();
            assert!(read(&path).is_some_and(|facts| facts.commit == 3));
        }
    }

    #[test]
    fn nothing_follows_a_clean_close() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("beacon");
        let beacon = Beacon::open(&path, 0).unwrap();
        beacon.write(|| Ok(Facts { clean: true, commit: 5, ..Facts::default() })).unwrap();
        beacon.write(|| Ok(Facts { commit: 4, ..Facts::default() })).unwrap();
        assert!(read(&path).is_some_and(|facts| facts.clean && facts.commit == 5));
    }
}
