//! The disks lose what they may lose, and nothing else. Without this a power cut on them would prove nothing.
//!
//! Runs as root with `ONEFOLD_ROOT_TESTS=1`; says loudly that it was skipped otherwise.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::Command;

use onefold_tests::crash::disk::{self, Disk, Simulator};

const BYTES: u64 = 128 << 20;
const SYNCED: &[u8] = &[b's'; 10_000];
const UNSYNCED: &[u8] = &[b'u'; 200_000];

/// Runs `test` on a new disk, where that is possible.
fn on_disk(simulator: Simulator, test: impl FnOnce(&mut dyn Disk)) {
    let what = format!("the test of the simulator {simulator}");
    if std::env::var_os("ONEFOLD_ROOT_TESTS").is_none_or(|value| value != "1") {
        return disk::print_skipped(&what, "set ONEFOLD_ROOT_TESTS=1 to run it, as root");
    }
    if let Some(why) = disk::missing(simulator) {
        return disk::print_skipped(&what, &why);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut disk = simulator.make(directory.path(), BYTES, Path::new(env!("CARGO_BIN_EXE_crash"))).unwrap();
    test(&mut *disk);
}

fn write(path: &Path, bytes: &[u8]) -> File {
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn sync(path: &Path) {
    File::open(path).unwrap().sync_all().unwrap();
}

/// Writes a file and syncs it and its directory, writes another and syncs nothing, cuts. Returns whether the other survived.
fn cut_once(disk: &mut dyn Disk, seed: u64) -> bool {
    let mount_point = disk.mount_point().to_owned();
    let (synced, unsynced) = (mount_point.join("synced"), mount_point.join(format!("unsynced-{seed}")));
    write(&synced, SYNCED).sync_data().unwrap();
    sync(&mount_point);
    drop(write(&unsynced, UNSYNCED));
    disk.cut(seed).unwrap();
    assert!(File::create(mount_point.join("after")).and_then(|file| file.sync_all()).is_err(), "the power is off");
    disk.restore().unwrap();
    assert_eq!(std::fs::read(&synced).unwrap(), SYNCED, "seed {seed}: what was synced is there");
    assert!(!mount_point.join("after").exists());
    std::fs::read(&unsynced).is_ok_and(|bytes| bytes == UNSYNCED)
}

#[test]
fn a_stopped_ext4_loses_what_was_not_synced_and_nothing_else() {
    on_disk(Simulator::Ext4, |disk| {
        let survived = (0..5).filter(|seed| cut_once(disk, *seed)).count();
        assert!(survived < 5, "something that was not synced is lost");
    });
}

#[test]
fn a_volatile_disk_keeps_what_was_synced() {
    on_disk(Simulator::Volatile, |disk| {
        for seed in 0..5 {
            cut_once(disk, seed);
        }
    });
}

/// A write that the disk refuses fails the sync behind it: the page cache has what the disk has not, and nobody is told otherwise.
#[test]
fn a_volatile_disk_fails_the_sync_of_a_write_that_it_refuses() {
    on_disk(Simulator::Volatile, |disk| {
        let path = disk.mount_point().join("file");
        let file = write(&path, SYNCED);
        file.sync_all().unwrap();
        assert_eq!(disk.fail_writes(1).unwrap(), 0);
        file.write_all_at(UNSYNCED, 0).unwrap();
        assert!(file.sync_data().is_err(), "its write was refused");
        assert_eq!(disk.fail_writes(0).unwrap(), 1);
    });
}

/// A write that went straight to the disk, past the page cache, and was not followed by a sync: the disk may keep it, lose it
/// or tear it.
#[test]
fn a_volatile_disk_loses_what_reached_it_and_was_not_flushed() {
    const OLD: u8 = b'o';
    const NEW: u8 = b'n';
    on_disk(Simulator::Volatile, |disk| {
        let path = disk.mount_point().join("file");
        let (mut kept, mut torn, mut lost) = (0, 0, 0);
        for seed in 0..30 {
            write(&path, &[OLD; 16 << 10]).sync_all().unwrap();
            sync(disk.mount_point());
            write_directly(&path, NEW, 16 << 10);
            let cut = disk.cut(seed).unwrap();
            assert!(cut.kept + cut.torn + cut.lost > 0, "seed {seed}: the write reached the disk");
            disk.restore().unwrap();
            let left = std::fs::read(&path).unwrap();
            let sectors: Vec<_> =
                left.chunks(512).map(|sector| (sector[0], sector.iter().all(|b| *b == sector[0]))).collect();
            assert!(sectors.iter().all(|(byte, is_whole)| *is_whole && [OLD, NEW].contains(byte)), "seed {seed}");
            match sectors.iter().filter(|(byte, _)| *byte == NEW).count() {
                0 => lost += 1,
                all if all == sectors.len() => kept += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 0 && torn > 0 && lost > 0, "{kept} kept, {torn} torn, {lost} lost");
    });
}

/// Overwrites the start of a file, past the page cache.
fn write_directly(path: &Path, byte: u8, bytes: usize) {
    // Such a write needs memory that begins at a page's boundary.
    const PAGE: usize = 4096;
    let buffer = vec![byte; bytes + PAGE];
    let start = buffer.as_ptr().align_offset(PAGE);
    let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    let file = File::options().write(true).custom_flags(direct).open(path).unwrap();
    file.write_all_at(&buffer[start..start + bytes], 0).unwrap();
}

/// The file system below the journal must be one that survives power cuts by itself: its barriers reach the disk.
#[test]
fn ext4_is_whole_after_every_cut() {
    on_disk(Simulator::Volatile, |disk| {
        for seed in 0..5 {
            for number in 0..20 {
                let file = write(&disk.mount_point().join(format!("{seed}-{number}")), UNSYNCED);
                if number % 4 == 0 {
                    file.sync_all().unwrap();
                }
            }
            disk.cut(seed).unwrap();
            disk.restore().unwrap();
            let there = |number: &u32| disk.mount_point().join(format!("{seed}-{number}")).exists();
            assert!((0..20).step_by(4).all(|number| there(&number)), "seed {seed}");
        }
        disk.cut(5).unwrap();
        // Replays ext4's journal, as a mount does, and repairs nothing.
        for arguments in [&["-p", "-E", "journal_only"][..], &["-f", "-n"]] {
            let checked = Command::new("e2fsck").args(arguments).arg(disk.image()).output().unwrap();
            let said = String::from_utf8_lossy(&checked.stdout);
            assert!(checked.status.success(), "{arguments:?}: {} {said}", checked.status);
        }
    });
}
