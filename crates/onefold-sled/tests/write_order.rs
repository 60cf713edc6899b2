//! sled's writes reach the disk in the order that its recovery counts on (H13): each is durable when it returns, or each
//! batch is.

mod common;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use common::*;
use onefold_sled::{Disk, Durability, Medium, Step};
use rustix::fs::IFlags;

fn is_synchronous(path: &Path) -> bool {
    rustix::fs::ioctl_getflags(File::open(path.join("db")).unwrap()).unwrap().contains(IFlags::SYNC)
}

/// Whether the file system under the tests has the attribute at all.
fn has_synchronous_files(dir: &Path) -> bool {
    let probe = File::create(dir.join("probe")).unwrap();
    let set =
        rustix::fs::ioctl_getflags(&probe).and_then(|flags| rustix::fs::ioctl_setflags(&probe, flags | IFlags::SYNC));
    set.is_ok() && rustix::fs::ioctl_getflags(&probe).is_ok_and(|flags| flags.contains(IFlags::SYNC))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_of_sled_is_synchronous_in_every_mode() {
    for durability in [Durability::Fsync, Durability::ProcessCrash, Durability::Buffered] {
        let (temporary, path) = dir();
        if !has_synchronous_files(temporary.path()) {
            return;
        }
        let journal = small(&path).durability(durability).open().unwrap();
        assert!(is_synchronous(&path), "a new journal, {durability:?}");
        fill(&journal, 5, 200, 200).await;
        drop(journal);
        // A copy does not have the attribute: backups come back like this.
        let copy = path.with_file_name("copy");
        copy_dir(&path, &copy);
        assert!(!is_synchronous(&copy));
        let journal = small(&copy).durability(durability).open().unwrap();
        assert!(is_synchronous(&copy), "a copied journal, {durability:?}");
        check_filled(&journal, 5, 200).await;
    }
}

/// A file system without synchronous files.
struct WithoutAttribute;

impl Medium for WithoutAttribute {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        Disk.write(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        Disk.sync(file)
    }

    fn before(&self, step: Step) -> io::Result<()> {
        match step {
            Step::WriteThrough => Err(io::Error::from_raw_os_error(95)),
            _ => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_synchronous_files_every_batch_is_synced() {
    let (_temporary, path) = dir();
    let config = || small(&path).medium(Arc::new(WithoutAttribute));
    for round in 0..3 {
        let journal = config().open().unwrap();
        assert!(!is_synchronous(&path));
        check_filled(&journal, 10, 500 * round).await;
        fill(&journal, 10, 500, 200).await;
        while journal.stats().store_batches < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let stats = journal.stats();
        // One batch may be on its way.
        assert!(stats.store_syncs + 1 >= stats.store_batches, "{stats:?}");
    }
}

/// Why all this: the premise, with sled alone. Between two syncs a new end of the file is not durable, while what is
/// written in place may be. On such images sled panics, or pages that were synced long ago are gone. With the attribute,
/// a power cut leaves the file as long as it is; then all that was synced is there.
#[test]
fn sled_loses_old_pages_when_the_new_end_of_its_file_is_lost() {
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (path, copy) = (temporary.path().join("db"), temporary.path().join("copy"));
    let db = alone(&path).unwrap();
    let (mut synced, mut synced_bytes, mut lost) = (0, 0, 0);
    for round in 1..=140 {
        write_round(&db, round);
        if round % 60 == 0 {
            db.flush().unwrap();
            (synced, synced_bytes) = (round, path.join("db").metadata().unwrap().len());
        } else if round > 60 && round % 7 == 0 {
            copy_dir(&path, &copy);
            assert_eq!(check_rounds(&copy, synced), Ok(()), "round {round}, the file as long as it is");
            std::fs::remove_dir_all(&copy).unwrap();
            copy_dir(&path, &copy);
            File::options().write(true).open(copy.join("db")).unwrap().set_len(synced_bytes).unwrap();
            lost += u32::from(check_rounds(&copy, synced).is_err());
            std::fs::remove_dir_all(&copy).unwrap();
        }
    }
    assert!(lost > 0, "sled keeps its promises without order: the attribute may be given up");
}

fn alone(path: &Path) -> Result<sled::Db, String> {
    let config = sled::Config::new().path(path).cache_capacity(4 << 20).flush_every_ms(None);
    config.open().map_err(|error| error.to_string())
}

fn block_key(round: u64, block: u64) -> Vec<u8> {
    [&b"L"[..], &(round * 16 + block).to_be_bytes()].concat()
}

/// Blocks that are written once, and small values that are written again and again, as at checkpoints.
fn write_round(db: &sled::Db, round: u64) {
    let mut batch = sled::Batch::default();
    (0..16).for_each(|block| batch.insert(block_key(round, block), vec![7; 4000]));
    for head in 0..200 {
        let key = (round * 7919 + head * 104_729) % 5000;
        batch.insert([&b"H"[..], &key.to_be_bytes()].concat(), &round.to_le_bytes()[..]);
    }
    db.apply_batch(batch).unwrap();
}

/// Whether sled opens, with everything up to a round.
fn check_rounds(path: &Path, rounds: u64) -> Result<(), String> {
    let check = || {
        let db = alone(path)?;
        for (round, block) in (1..=rounds).flat_map(|round| (0..16).map(move |block| (round, block))) {
            let found = db.get(block_key(round, block)).map_err(|error| error.to_string())?;
            found.ok_or_else(|| format!("block {block} of round {round} is lost"))?;
        }
        Ok(())
    };
    std::panic::catch_unwind(check).unwrap_or_else(|_| Err("sled panicked".to_owned()))
}
