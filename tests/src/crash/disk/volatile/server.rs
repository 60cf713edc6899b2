//! Serves the disk as a file: `crash disk-server IMAGE SERVED MOUNTED`. See the story in [`super`].
//!
//! One thread serves one request after the other, so that "was written before the flush" is never in doubt.

use std::ffi::OsStr;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    WriteFlags,
};
use parking_lot::Mutex;
use rustix::mount::{UnmountFlags, unmount};

use super::image::Image;
use crate::crash::disk::Cut;
use crate::crash::random::mix;

/// The disk's name in the directory that is served.
pub const FILE_NAME: &str = "disk";

const FILE: INodeNo = INodeNo(2);
/// Names and sizes never change.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

/// How long a cut waits for a flush.
const FLUSH_WAIT: Duration = Duration::from_millis(100);

/// What `crash disk-server` needs to know.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The disk's content.
    image: PathBuf,
    /// Where to mount the directory with the disk in it.
    served: PathBuf,
    /// Where the file system on the disk is mounted: unmounted when the harness has gone.
    mounted: PathBuf,
}

/// Serves until the standard input ends.
///
/// # Errors
///
/// FUSE cannot be mounted, or the image cannot be used.
pub fn serve(arguments: &Arguments) -> Result<()> {
    let image = Image::open(&arguments.image)
        .with_context(|| format!("could not open the disk's image {}", arguments.image.display()))?;
    let image = Arc::new(Mutex::new(image));
    let mut config = fuser::Config::default();
    config.mount_options = vec![MountOption::FSName("onefold-disk".to_owned()), MountOption::NoAtime];
    let directory = Directory { image: Arc::clone(&image) };
    let session = fuser::spawn_mount(directory, &arguments.served, &config)
        .with_context(|| format!("could not mount FUSE at {}", arguments.served.display()))?;
    let answered = answer_all(&image);
    // Whatever still wants to write must fail and not wait.
    image.lock().cut(0)?;
    leave(&arguments.mounted);
    leave(&arguments.served);
    // Dropping the session waits for its thread, which ends only when nobody uses the disk any more. The end of the process
    // ends that, too.
    std::mem::forget(session);
    answered
}

fn answer_all(image: &Mutex<Image>) -> Result<()> {
    let mut output = std::io::stdout();
    let mut answer = |answer: String| -> Result<()> {
        writeln!(output, "{answer}")?;
        Ok(output.flush()?)
    };
    answer("ready".to_owned())?;
    for line in std::io::stdin().lock().lines() {
        match line?.split_once(' ') {
            Some(("cut", seed)) => {
                let cut = cut(image, seed.parse().context("the seed of a cut")?)?;
                answer(format!("{} {} {}", cut.kept, cut.torn, cut.lost))?;
            }
            Some(("fail", count)) => {
                let failed = image.lock().fail_writes(count.parse().context("how many writes to fail")?);
                answer(failed.to_string())?;
            }
            None => {
                image.lock().restore();
                answer("restored".to_owned())?;
            }
            Some((other, _)) => bail!("a disk cannot {other}"),
        }
    }
    Ok(())
}

/// Cuts the power: mostly when a flush arrives, because that is when most is at stake; at once if none does.
fn cut(image: &Mutex<Image>, seed: u64) -> std::io::Result<Cut> {
    let flushes = mix(seed) % 8;
    if flushes < 6 {
        image.lock().arm(flushes, seed);
        let begun = Instant::now();
        while image.lock().is_on() && begun.elapsed() < FLUSH_WAIT {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let mut image = image.lock();
    match image.is_on() {
        true => image.cut(seed),
        false => Ok(image.last_cut()),
    }
}

/// Nothing is mounted there, usually.
fn leave(mount_point: &Path) {
    let _ = unmount(mount_point, UnmountFlags::DETACH);
}

/// A directory with one file in it: the disk.
struct Directory {
    image: Arc<Mutex<Image>>,
}

impl Directory {
    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let (kind, perm, size) = match inode {
            FILE => (FileType::RegularFile, 0o600, self.image.lock().bytes()),
            _ => (FileType::Directory, 0o700, 0),
        };
        let epoch = SystemTime::UNIX_EPOCH;
        FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: epoch,
            mtime: epoch,
            ctime: epoch,
            crtime: epoch,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Directory {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Large writes in one request. If the kernel knows only smaller ones, it says which.
        let _ = config.add_capabilities(InitFlags::FUSE_MAX_PAGES);
        if let Err(largest) = config.set_max_write(1 << 20) {
            let _ = config.set_max_write(largest);
        }
        Ok(())
    }

    fn lookup(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name == FILE_NAME {
            true => reply.entry(&FOR_EVER, &self.attributes(FILE), Generation(0)),
            false => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &self.attributes(inode));
    }

    fn open(&self, _request: &Request, _inode: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // IMPORTANT: without a cache of the kernel's in between: every write and every flush of the loop device arrives here.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut buffer = vec![0; size as usize];
        match self.image.lock().read(offset, &mut buffer) {
            Ok(length) => reply.data(&buffer[..length]),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match (self.image.lock().write(offset, data), u32::try_from(data.len())) {
            (Ok(()), Ok(written)) => reply.written(written),
            (Err(error), _) => reply.error(error.into()),
            (_, Err(_)) => reply.error(Errno::EFBIG),
        }
    }

    /// The loop device's flush.
    fn fsync(&self, _request: &Request, _inode: INodeNo, _handle: FileHandle, _data: bool, reply: ReplyEmpty) {
        match self.image.lock().flush() {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error.into()),
        }
    }

    /// A close: it makes nothing durable.
    fn flush(&self, _request: &Request, _inode: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}
