//! Two designs of the commit point, at the writer's level: what does it take until a group is durable?
//!
//! ```text
//! (a) sled alone    pack blocks ─▶ apply_batch ─▶ flush ─▶ sync_data                        acknowledged
//! (b) redo log      one write ─▶ one sync_data                                              acknowledged
//!                   and, on another thread, pack blocks ─▶ places ─▶ apply_batch into a synchronous sled
//!
//! cargo run --release -p onefold-sled --example designs -- <directory> [seconds per round] [rounds]
//! ```
//!
//! No queue, no checks, no heads. Both pack records of 216 bytes into blocks of 4 KiB; rounds take turns. (b) is the plain
//! form, through the page cache.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

type Failure = Box<dyn Error + Send + Sync>;

/// A record of an 80-byte event.
const RECORD_BYTES: usize = 216;
const BLOCK_RECORDS: usize = 4096 / RECORD_BYTES;
/// Of a segment of the redo log.
const SEGMENT_BYTES: u64 = 256 << 20;
/// Blocks in one batch of (b) at least, and blocks that wait because their leaf may split, see `placing.rs`.
const BATCH_BLOCKS: usize = 64;
const UNSETTLED_BLOCKS: usize = 17;
/// Groups that may wait for sled in (b).
const BEHIND_MAX: usize = 64;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = PathBuf::from(arguments.first().ok_or("the first argument is a directory that is not there yet")?);
    let seconds = arguments.get(1).map_or(Ok(2.0), |text| text.parse())?;
    let rounds = arguments.get(2).map_or(Ok(3), |text| text.parse())?;
    std::fs::create_dir(&directory)?;
    println!("{:>10}  {:>28}  {:>28}  {:>6}", "commits in", "(a) sled alone", "(b) redo log in front", "");
    println!(
        "{:>10}  {:>14}{:>14}  {:>14}{:>14}  {:>6}",
        "a group", "p50 µs", "commits/s", "p50 µs", "commits/s", "b/a"
    );
    for group in [1, 100, 1000, 4096] {
        let (mut alone, mut behind) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let place = |name: &str| directory.join(format!("{name}-{group}-{round}"));
            alone.push(measure(SledAlone::open(&place("a"))?, group, seconds)?);
            behind.push(measure(RedoLog::open(&place("b"))?, group, seconds)?);
        }
        let ((a_p50, a_rate), (b_p50, b_rate)) = (median(alone), median(behind));
        println!("{group:>10}  {a_p50:>14.0}{a_rate:>14.0}  {b_p50:>14.0}{b_rate:>14.0}  {:>5.2}×", b_rate / a_rate);
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

/// One way to make groups durable.
trait Design {
    /// Makes a group of records durable; commits are numbered from `first`.
    fn commit(&mut self, first: u64, records: &[u8]) -> Result<(), Failure>;

    /// Waits for what is done behind.
    fn finish(self) -> Result<(), Failure>;
}

/// p50 of the time to durability in µs, and commits per second, all work included.
fn measure(mut design: impl Design, group: usize, seconds: f64) -> Result<(f64, f64), Failure> {
    let records: Vec<u8> = (0..group * RECORD_BYTES).map(|byte| byte.to_le_bytes()[0]).collect();
    let (mut next, mut times) = (1, Vec::new());
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        let before = Instant::now();
        design.commit(next, &records)?;
        times.push(before.elapsed());
        next += group as u64;
    }
    design.finish()?;
    times.sort_unstable();
    let p50: Duration = times[times.len() / 2];
    Ok((p50.as_secs_f64() * 1e6, next as f64 / begun.elapsed().as_secs_f64()))
}

fn median(mut rounds: Vec<(f64, f64)>) -> (f64, f64) {
    rounds.sort_by(|a, b| a.1.total_cmp(&b.1));
    rounds[rounds.len() / 2]
}

fn batch(first: u64, records: &[u8]) -> sled::Batch {
    let mut batch = sled::Batch::default();
    let blocks = records.chunks(BLOCK_RECORDS * RECORD_BYTES);
    for (key, block) in (first..).step_by(BLOCK_RECORDS).zip(blocks) {
        batch.insert(&key.to_be_bytes(), block);
    }
    batch
}

fn open_sled(path: &Path) -> Result<sled::Db, Failure> {
    Ok(sled::Config::new().path(path).cache_capacity(64 << 20).mode(sled::Mode::HighThroughput).open()?)
}

struct SledAlone {
    db: sled::Db,
    file: File,
}

impl SledAlone {
    fn open(path: &Path) -> Result<Self, Failure> {
        let db = open_sled(path)?;
        Ok(SledAlone { db, file: File::open(path.join("db"))? })
    }
}

impl Design for SledAlone {
    fn commit(&mut self, first: u64, records: &[u8]) -> Result<(), Failure> {
        self.db.apply_batch(batch(first, records))?;
        self.db.flush()?;
        Ok(self.file.sync_data()?)
    }

    fn finish(self) -> Result<(), Failure> {
        Ok(())
    }
}

struct RedoLog {
    file: File,
    used: u64,
    behind: SyncSender<Vec<u8>>,
    applier: JoinHandle<Result<(), Failure>>,
}

impl RedoLog {
    fn open(path: &Path) -> Result<Self, Failure> {
        std::fs::create_dir(path)?;
        let file = OpenOptions::new().create_new(true).write(true).open(path.join("redo"))?;
        for offset in (0..SEGMENT_BYTES).step_by(1 << 20) {
            file.write_all_at(&[0; 1 << 20], offset)?;
        }
        file.sync_all()?;
        let db = open_sled(path)?;
        set_synchronous(&path.join("db"))?;
        let (behind, groups) = sync_channel::<Vec<u8>>(BEHIND_MAX);
        let applier = std::thread::spawn(move || {
            let mut packer = Packer { db, first: 1, placed: 0, waiting: Vec::new() };
            groups.iter().try_for_each(|records| packer.take(&records))
        });
        Ok(RedoLog { file, used: 0, behind, applier })
    }
}

impl Design for RedoLog {
    fn commit(&mut self, _first: u64, records: &[u8]) -> Result<(), Failure> {
        if self.used + records.len() as u64 > SEGMENT_BYTES {
            self.used = 0;
        }
        self.file.write_all_at(records, self.used)?;
        self.file.sync_data()?;
        self.used += (records.len() as u64).next_multiple_of(4096);
        Ok(self.behind.send(records.to_vec())?)
    }

    fn finish(self) -> Result<(), Failure> {
        drop(self.behind);
        self.applier.join().map_err(|_| "the applier panicked")?
    }
}

/// What the journal's applier does: places for blocks first, then the blocks whose leaves are settled.
struct Packer {
    db: sled::Db,
    /// The first commit that waits, and how many of the blocks that wait have a place.
    first: u64,
    placed: usize,
    waiting: Vec<u8>,
}

impl Packer {
    fn take(&mut self, records: &[u8]) -> Result<(), Failure> {
        self.waiting.extend_from_slice(records);
        let blocks = self.waiting.len() / (BLOCK_RECORDS * RECORD_BYTES);
        if blocks < BATCH_BLOCKS + UNSETTLED_BLOCKS {
            return Ok(());
        }
        for block in self.placed..blocks {
            self.db.insert((self.first + (block * BLOCK_RECORDS) as u64).to_be_bytes(), &[])?;
        }
        let settled = blocks - UNSETTLED_BLOCKS;
        let bytes = settled * BLOCK_RECORDS * RECORD_BYTES;
        self.db.apply_batch(batch(self.first, &self.waiting[..bytes]))?;
        self.waiting.drain(..bytes);
        self.first += (settled * BLOCK_RECORDS) as u64;
        self.placed = UNSETTLED_BLOCKS;
        Ok(())
    }
}

/// As the journal has it, see ADR 10; a file system without the attribute goes without.
fn set_synchronous(path: &Path) -> Result<(), Failure> {
    let file = File::open(path)?;
    if let Ok(flags) = rustix::fs::ioctl_getflags(&file) {
        let _refused = rustix::fs::ioctl_setflags(&file, flags | rustix::fs::IFlags::SYNC);
    }
    Ok(())
}
