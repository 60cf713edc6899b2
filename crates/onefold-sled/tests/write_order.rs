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
        let stats = journal.stats();
        // One batch may be on its way.
        assert!(stats.store_batches > 1 && stats.store_syncs + 1 >= stats.store_batches, "{stats:?}");
    }
}
