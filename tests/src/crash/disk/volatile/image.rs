//! What a disk with a volatile write cache holds.
//!
//! Two files: `seen` is what a read returns, `stable` is what a cut leaves. A write goes to the first, a flush brings all
//! that was written since the last to the second. A cut brings there what it chooses of the rest, torn at 512 bytes, and
//! then both are the same.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::crash::disk::Cut;
use crate::crash::random::Random;

/// A disk writes that much whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// See the module.
#[derive(Debug)]
pub struct Image {
    seen: File,
    stable: File,
    bytes: u64,
    unflushed: Vec<Write>,
    is_on: bool,
    /// So many writes fail from here on.
    failing: u64,
    /// How many failed since that was asked for.
    failed: u64,
    /// The power goes when the flush arrives that comes after so many others; with this seed.
    armed: Option<(u64, u64)>,
    /// What the last cut did.
    cut: Cut,
}

#[derive(Debug)]
struct Write {
    offset: u64,
    data: Box<[u8]>,
}

impl Image {
    /// Opens the disk that the file `stable` holds.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or there is no room for what is seen, which lies beside it.
    pub fn open(stable: &Path) -> io::Result<Self> {
        let seen = stable.with_extension("seen");
        std::fs::copy(stable, &seen)?;
        let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
        let (seen, stable) = (open(&seen)?, open(stable)?);
        let bytes = stable.metadata()?.len();
        Ok(Image {
            seen,
            stable,
            bytes,
            unflushed: Vec::new(),
            is_on: true,
            failing: 0,
            failed: 0,
            armed: None,
            cut: Cut::default(),
        })
    }

    /// How large the disk is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads what was written last, flushed or not.
    ///
    /// # Errors
    ///
    /// The power is off.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.refuse_without_power()?;
        let length = self.bytes.saturating_sub(offset).min(buffer.len() as u64);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.seen.read_exact_at(&mut buffer[..length], offset)?;
        Ok(length)
    }

    /// Writes into the cache.
    ///
    /// # Errors
    ///
    /// The power is off, the write is to fail, or the disk ends before.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.refuse_without_power()?;
        if self.failing > 0 {
            self.failing -= 1;
            self.failed += 1;
            return Err(broken());
        }
        if offset + data.len() as u64 > self.bytes {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "beyond the disk's end"));
        }
        self.seen.write_all_at(data, offset)?;
        self.unflushed.push(Write { offset, data: data.into() });
        Ok(())
    }

    /// Makes durable all that was written.
    ///
    /// # Errors
    ///
    /// The power is off, or goes at this moment.
    pub fn flush(&mut self) -> io::Result<()> {
        self.refuse_without_power()?;
        match &mut self.armed {
            Some((0, seed)) => {
                let seed = *seed;
                self.cut(seed)?;
                return Err(broken());
            }
            Some((flushes, _)) => *flushes -= 1,
            None => {}
        }
        for write in self.unflushed.drain(..) {
            self.stable.write_all_at(&write.data, write.offset)?;
        }
        Ok(())
    }

    /// Has the power go when the flush arrives that comes after so many others: a moment at which much is unflushed.
    pub fn arm(&mut self, flushes: u64, seed: u64) {
        self.armed = Some((flushes, seed));
    }

    /// Whether the power is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// What the last cut did.
    #[must_use]
    pub fn last_cut(&self) -> Cut {
        self.cut
    }

    /// Cuts the power: of what was not flushed, what survives is chosen by `seed`.
    ///
    /// # Errors
    ///
    /// The files cannot be read or written.
    pub fn cut(&mut self, seed: u64) -> io::Result<Cut> {
        (self.is_on, self.armed) = (false, None);
        let mut choice = Choice::new(seed, self.unflushed.len());
        let mut cut = Cut::default();
        for (index, write) in self.unflushed.iter().enumerate() {
            let sectors = write.data.chunks(SECTOR_BYTES);
            let count = sectors.len();
            let mut kept = 0;
            for (sector, at) in sectors.zip((write.offset..).step_by(SECTOR_BYTES)) {
                if choice.keeps(index, count) {
                    self.stable.write_all_at(sector, at)?;
                    kept += 1;
                }
            }
            match kept {
                0 => cut.lost += 1,
                kept if kept == count => cut.kept += 1,
                _ => cut.torn += 1,
            }
        }
        // What is seen from now on is what is left.
        for write in std::mem::take(&mut self.unflushed) {
            let mut left = write.data;
            self.stable.read_exact_at(&mut left, write.offset)?;
            self.seen.write_all_at(&left, write.offset)?;
        }
        self.cut = cut;
        Ok(cut)
    }

    /// Brings the power back.
    pub fn restore(&mut self) {
        (self.is_on, self.failing) = (true, 0);
    }

    /// Fails the next so many writes; 0 to fail no more. Tells how many failed since the last time.
    pub fn fail_writes(&mut self, count: u64) -> u64 {
        self.failing = count;
        std::mem::take(&mut self.failed)
    }

    fn refuse_without_power(&self) -> io::Result<()> {
        match self.is_on {
            true => Ok(()),
            false => Err(broken()),
        }
    }
}

fn broken() -> io::Error {
    rustix::io::Errno::IO.into()
}

/// Which sectors survive: disks differ, so cuts do.
#[derive(Debug)]
struct Choice {
    random: Random,
    kind: Kind,
    /// The write that was decided about, and how.
    current: Option<(usize, Fate)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The writes up to this one, which is torn: a disk that keeps its order.
    Prefix(usize),
    /// Each write alike, with a chance of so many in a hundred to survive: a disk that writes in any order.
    Chance(u64),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Whole,
    Lost,
    /// So many sectors from its start.
    First(usize),
    /// Each sector by itself.
    Scattered,
}

impl Choice {
    fn new(seed: u64, writes: usize) -> Self {
        let mut random = Random::of(seed, 0);
        let kind = match random.below(8) {
            0 => Kind::Chance(0),
            1 => Kind::Prefix(below(&mut random, writes + 1)),
            _ => Kind::Chance(5 + random.below(90)),
        };
        Choice { random, kind, current: None }
    }

    /// Whether the next sector of a write of so many sectors survives.
    fn keeps(&mut self, write: usize, sectors: usize) -> bool {
        let fate = match self.current {
            Some((current, fate)) if current == write => fate,
            _ => self.fate(write, sectors),
        };
        let (fate, keeps) = match fate {
            Fate::Whole => (fate, true),
            Fate::Lost => (fate, false),
            Fate::First(left) => (Fate::First(left.saturating_sub(1)), left > 0),
            Fate::Scattered => (fate, self.random.one_in(2)),
        };
        self.current = Some((write, fate));
        keeps
    }

    fn fate(&mut self, write: usize, sectors: usize) -> Fate {
        let chance = match self.kind {
            Kind::Prefix(last) if write < last => return Fate::Whole,
            Kind::Prefix(last) if write > last => return Fate::Lost,
            Kind::Prefix(_) => return Fate::First(below(&mut self.random, sectors + 1)),
            Kind::Chance(chance) => chance,
        };
        match self.random.below(100) < chance {
            false => Fate::Lost,
            true => match self.random.below(10) {
                0 => Fate::First(below(&mut self.random, sectors + 1)),
                1 => Fate::Scattered,
                _ => Fate::Whole,
            },
        }
    }
}

fn below(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTORS: u64 = 64;

    fn image() -> (tempfile::TempDir, Image) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        File::create(&path).unwrap().set_len(SECTORS * SECTOR_BYTES as u64).unwrap();
        let image = Image::open(&path).unwrap();
        (directory, image)
    }

    fn sector(image: &Image, number: u64) -> u8 {
        let mut sector = [0; SECTOR_BYTES];
        image.read(number * SECTOR_BYTES as u64, &mut sector).unwrap();
        assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is never torn");
        sector[0]
    }

    #[test]
    fn so_many_writes_fail_and_leave_nothing() {
        let (_directory, mut image) = image();
        image.write(0, &[1; 512]).unwrap();
        assert_eq!(image.fail_writes(2), 0);
        assert!(image.write(0, &[2; 512]).is_err() && image.write(512, &[2; 512]).is_err());
        image.write(1024, &[3; 512]).unwrap();
        assert_eq!([0, 1, 2].map(|number| sector(&image, number)), [1, 0, 3]);
        assert_eq!((image.fail_writes(5), image.fail_writes(0)), (2, 0));
        image.write(0, &[4; 512]).unwrap();
    }

    #[test]
    fn flushed_writes_survive_every_cut_and_others_some() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let (_directory, mut image) = image();
            image.write(0, &[1; 4096]).unwrap();
            image.flush().unwrap();
            image.write(4096, &[2; 4096]).unwrap();
            image.write(0, &[3; 512]).unwrap();
            assert_eq!(sector(&image, 8), 2, "what was written is seen, flushed or not");
            let cut = image.cut(seed).unwrap();
            assert_eq!(cut.kept + cut.torn + cut.lost, 2);
            image.restore();
            assert!((1..8).all(|number| sector(&image, number) == 1), "seed {seed}");
            assert!([1, 3].contains(&sector(&image, 0)), "seed {seed}");
            match (8..16).filter(|number| sector(&image, *number) == 2).count() {
                0 => lost += 1,
                8 => kept += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 20 && lost > 20 && torn > 5, "{kept} kept, {lost} lost, {torn} torn");
    }

    #[test]
    fn writes_to_one_place_survive_in_any_state_they_went_through() {
        let mut found = [0; 4];
        for seed in 0..200 {
            let (_directory, mut image) = image();
            for value in 1..4 {
                image.write(0, &[value; 512]).unwrap();
            }
            image.cut(seed).unwrap();
            image.restore();
            found[usize::from(sector(&image, 0))] += 1;
        }
        assert!(found.iter().all(|count| *count > 5), "{found:?}");
    }

    #[test]
    fn nothing_reaches_a_disk_without_power() {
        let (_directory, mut image) = image();
        image.cut(1).unwrap();
        assert!(image.write(0, &[1; 512]).is_err());
        assert!(image.flush().is_err());
        assert!(image.read(0, &mut [0; 512]).is_err());
        image.restore();
        assert_eq!(sector(&image, 0), 0);
    }

    #[test]
    fn an_armed_cut_comes_in_place_of_a_flush() {
        let (_directory, mut image) = image();
        image.arm(1, 7);
        image.write(0, &[1; 512]).unwrap();
        image.flush().unwrap();
        image.write(512, &[2; 512]).unwrap();
        assert!(image.flush().is_err());
        assert!(!image.is_on());
        let Cut { kept, torn, lost } = image.last_cut();
        assert_eq!(kept + torn + lost, 1, "the first write was flushed");
        image.restore();
        assert_eq!(sector(&image, 0), 1);
        image.flush().unwrap();
    }

    #[test]
    fn a_seed_cuts_alike() {
        let cut = |seed| {
            let (_directory, mut image) = image();
            for number in 0..SECTORS / 2 {
                image.write(number * 2 * SECTOR_BYTES as u64, &[7; 2 * SECTOR_BYTES]).unwrap();
            }
            let cut = image.cut(seed).unwrap();
            image.restore();
            (cut, (0..SECTORS).map(|number| sector(&image, number)).collect::<Vec<_>>())
        };
        for seed in 0..20 {
            assert_eq!(cut(seed), cut(seed));
        }
        assert!((0..20).any(|seed| cut(seed) != cut(seed + 1)));
    }
}
