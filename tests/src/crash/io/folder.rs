//! Serves a folder in which the n-th call goes wrong: `crash folder-server FOLDER SERVED`. Everything else is passed on to
//! the real folder.
//!
//! Without a cache of the kernel's: each `write` and each `fsync` of the process under attack arrives here as one call, in
//! the order in which they happen. Its parent says what is to go wrong on standard input; when that ends, so does the server.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufRead as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum as _;
use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    IoctlFlags, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use parking_lot::Mutex;
use rustix::mount::{UnmountFlags, unmount};

use super::fault::{Call, Fate, Fault, Plan};
use super::files::Files;

/// Names and attributes are asked for anew each time.
const AT_ONCE: Duration = Duration::ZERO;
/// `FS_IOC_GETFLAGS` and `FS_IOC_SETFLAGS`, from `linux/fs.h`, for 64 and for 32 bits.
const GET_FLAGS: [u32; 2] = [0x8008_6601, 0x8004_6601];
const SET_FLAGS: [u32; 2] = [0x4008_6602, 0x4004_6602];

/// What `crash folder-server` needs to know.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The real folder.
    folder: PathBuf,
    /// Where to mount it.
    served: PathBuf,
}

/// Serves until the standard input ends.
///
/// # Errors
///
/// FUSE cannot be mounted.
pub fn serve(arguments: &Arguments) -> Result<()> {
    let mut config = fuser::Config::default();
    config.mount_options = vec![MountOption::FSName("onefold-faults".to_owned())];
    let state = Arc::new(State { files: Mutex::new(Files::new(&arguments.folder)), plan: Mutex::new(Plan::none()) });
    let session = fuser::spawn_mount(Folder(Arc::clone(&state)), &arguments.served, &config)
        .with_context(|| format!("could not mount FUSE at {}", arguments.served.display()))?;
    let answered = answer_all(&state);
    let _ = unmount(&arguments.served, UnmountFlags::DETACH);
    // Dropping the session waits until nobody uses the folder; the end of the process does not.
    std::mem::forget(session);
    answered
}

/// `eio 17 0` and `delay 17 900` plan, `none` plans nothing, `fired` asks for the call that went wrong.
fn answer_all(state: &State) -> Result<()> {
    let mut output = io::stdout();
    let mut answer = |answer: &str| -> Result<()> {
        writeln!(output, "{answer}")?;
        Ok(output.flush()?)
    };
    answer("ready")?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        match *line.split(' ').collect::<Vec<_>>() {
            ["fired"] => {
                let fired = state.plan.lock().fired().unwrap_or("not yet").to_owned();
                answer(&fired)?;
            }
            ["none"] => {
                *state.plan.lock() = Plan::none();
                answer("planned")?;
            }
            [fault, number, delay_ms] => {
                let fault = Fault::from_str(fault, false).map_err(anyhow::Error::msg)?;
                *state.plan.lock() = Plan::at(fault, number.parse()?, Duration::from_millis(delay_ms.parse()?));
                answer("planned")?;
            }
            _ => bail!("a folder cannot {line}"),
        }
    }
    Ok(())
}

#[derive(Debug)]
struct State {
    files: Mutex<Files>,
    plan: Mutex<Plan>,
}

struct Folder(Arc<State>);

impl State {
    /// Counts a call; an error if it is to fail. One that is to be late is late here.
    fn call(&self, call: Call, name: &str, path: &Path) -> io::Result<Fate> {
        let what = || format!("{name} {}", self.files.lock().name(path));
        let fate = self.plan.lock().call(call, what);
        match fate {
            Fate::Fails(error) => Err(error.into()),
            Fate::Late(delay) => {
                std::thread::sleep(delay);
                Ok(Fate::Done)
            }
            fate => Ok(fate),
        }
    }

    fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let mut files = self.files.lock();
        let path = files.child(parent.0, name)?;
        files.note(path).map(|metadata| attributes(&metadata))
    }

    fn look(&self, inode: INodeNo) -> io::Result<FileAttr> {
        let path = self.files.lock().path(inode.0)?;
        let attributes = attributes(&path.symlink_metadata()?);
        Ok(FileAttr { ino: inode, ..attributes })
    }

    fn change(&self, inode: INodeNo, mode: Option<u32>, size: Option<u64>) -> io::Result<FileAttr> {
        let path = self.files.lock().path(inode.0)?;
        if let Some(mode) = mode {
            std::fs::set_permissions(&path, Permissions::from_mode(mode & 0o7777))?;
        }
        if let Some(size) = size {
            self.call(Call::Change, "truncate", &path)?;
            File::options().write(true).open(&path)?.set_len(size)?;
        }
        self.look(inode)
    }

    fn write(&self, inode: INodeNo, handle: FileHandle, offset: u64, data: &[u8]) -> io::Result<u32> {
        let path = self.files.lock().path(inode.0)?;
        let data = match self.call(Call::Write, "write", &path)? {
            Fate::Halved => &data[..data.len().div_ceil(2)],
            _ => data,
        };
        let mut files = self.files.lock();
        let file = files.get(handle.0)?;
        files.write(inode.0, &file, offset, data)?;
        u32::try_from(data.len()).map_err(io::Error::other)
    }

    fn sync(&self, inode: INodeNo) -> io::Result<()> {
        let path = self.files.lock().path(inode.0)?;
        let synced = self.call(Call::Sync, "sync", &path).map(drop);
        let mut files = self.files.lock();
        match synced {
            Ok(()) => files.synced(inode.0),
            Err(_) if path.is_file() => files.lose_unsynced(inode.0)?,
            Err(_) => {}
        }
        synced
    }

    fn open(&self, inode: INodeNo, flags: OpenFlags) -> io::Result<FileHandle> {
        let mut files = self.files.lock();
        let path = files.path(inode.0)?;
        let is_truncated = flags.0 & rustix::fs::OFlags::TRUNC.bits().cast_signed() != 0;
        // Readable also if it is only written to: what it overwrites is looked at.
        let writable = File::options().read(true).write(true).truncate(is_truncated).open(&path);
        let file = writable.or_else(|_| File::open(&path))?;
        Ok(FileHandle(files.keep(file)))
    }

    fn create(&self, parent: INodeNo, name: &OsStr, mode: u32) -> io::Result<(FileAttr, FileHandle)> {
        let path = self.files.lock().child(parent.0, name)?;
        self.call(Call::Change, "create", &path)?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode).clone();
        let file = options.open(&path)?;
        let mut files = self.files.lock();
        let attributes = attributes(&files.note(path)?);
        Ok((attributes, FileHandle(files.keep(file))))
    }

    fn make_directory(&self, parent: INodeNo, name: &OsStr, mode: u32) -> io::Result<FileAttr> {
        let path = self.files.lock().child(parent.0, name)?;
        self.call(Call::Change, "mkdir", &path)?;
        std::fs::DirBuilder::new().mode(mode).create(&path)?;
        self.entry(parent, name)
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
        let path = self.files.lock().child(parent.0, name)?;
        // A full disk can remove.
        self.call(Call::Sync, "remove", &path)?;
        self.files.lock().forget(&path);
        match path.is_dir() {
            true => std::fs::remove_dir(path),
            false => std::fs::remove_file(path),
        }
    }

    fn rename(&self, from: (INodeNo, &OsStr), to: (INodeNo, &OsStr)) -> io::Result<()> {
        let (source, target) = {
            let files = self.files.lock();
            (files.child(from.0.0, from.1)?, files.child(to.0.0, to.1)?)
        };
        self.call(Call::Change, "rename", &source)?;
        let mut files = self.files.lock();
        files.forget(&target);
        std::fs::rename(source, &target)?;
        files.note(target).map(drop)
    }

    fn list(&self, inode: INodeNo) -> io::Result<Vec<(u64, FileType, std::ffi::OsString)>> {
        let path = self.files.lock().path(inode.0)?;
        let entries = std::fs::read_dir(path)?.map(|entry| {
            let entry = entry?;
            let metadata = entry.metadata()?;
            Ok((metadata.ino(), kind(&metadata), entry.file_name()))
        });
        entries.collect()
    }
}

fn kind(metadata: &Metadata) -> FileType {
    if metadata.is_dir() { FileType::Directory } else { FileType::RegularFile }
}

fn attributes(metadata: &Metadata) -> FileAttr {
    let time = |time: io::Result<SystemTime>| time.unwrap_or(SystemTime::UNIX_EPOCH);
    FileAttr {
        ino: INodeNo(metadata.ino()),
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: time(metadata.accessed()),
        mtime: time(metadata.modified()),
        ctime: time(metadata.modified()),
        crtime: time(metadata.created()),
        kind: kind(metadata),
        perm: u16::try_from(metadata.mode() & 0o7777).unwrap_or(0),
        nlink: u32::try_from(metadata.nlink()).unwrap_or(1),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// Answers with `ok`, or with the error.
macro_rules! answer {
    ($reply:ident, $result:expr, $value:pat => $ok:expr) => {
        match $result {
            Ok($value) => $ok,
            Err(error) => $reply.error(error.into()),
        }
    };
}

impl Filesystem for Folder {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let _ = config.add_capabilities(InitFlags::FUSE_MAX_PAGES);
        if let Err(largest) = config.set_max_write(1 << 20) {
            let _ = config.set_max_write(largest);
        }
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(reply, self.0.entry(parent, name), found => reply.entry(&AT_ONCE, &found, Generation(0)));
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        answer!(reply, self.0.look(inode), found => reply.attr(&AT_ONCE, &found));
    }

    fn setattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        answer!(reply, self.0.change(inode, mode, size), changed => reply.attr(&AT_ONCE, &changed));
    }

    fn mkdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.0.make_directory(parent, name, mode & !umask);
        answer!(reply, made, made => reply.entry(&AT_ONCE, &made, Generation(0)));
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.0.remove(parent, name), () => reply.ok());
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(reply, self.0.remove(parent, name), () => reply.ok());
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        answer!(reply, self.0.rename((parent, name), (new_parent, new_name)), () => reply.ok());
    }

    fn open(&self, _request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        answer!(reply, self.0.open(inode, flags), handle => reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO));
    }

    fn create(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let created = self.0.create(parent, name, mode & !umask);
        answer!(reply, created, (found, handle) => {
            reply.created(&AT_ONCE, &found, Generation(0), handle, FopenFlags::FOPEN_DIRECT_IO);
        });
    }

    fn read(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let file = self.0.files.lock().get(handle.0);
        let mut buffer = vec![0; size as usize];
        let read = file.and_then(|file| {
            let mut length = 0;
            loop {
                match file.read_at(&mut buffer[length..], offset + length as u64)? {
                    0 => return Ok(length),
                    more => length += more,
                }
            }
        });
        answer!(reply, read, length => reply.data(&buffer[..length]));
    }

    fn write(
        &self,
        _request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let (state, data) = (Arc::clone(&self.0), data.to_vec());
        let write = move || answer!(reply, state.write(inode, handle, offset, &data), length => reply.written(length));
        self.perhaps_late(write);
    }

    fn fsync(&self, _request: &Request, inode: INodeNo, _handle: FileHandle, _data: bool, reply: ReplyEmpty) {
        let state = Arc::clone(&self.0);
        self.perhaps_late(move || answer!(reply, state.sync(inode), () => reply.ok()));
    }

    fn fsyncdir(&self, _request: &Request, inode: INodeNo, _handle: FileHandle, _data: bool, reply: ReplyEmpty) {
        answer!(reply, self.0.sync(inode), () => reply.ok());
    }

    fn flush(&self, _request: &Request, _inode: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _request: &Request,
        _inode: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.0.files.lock().close(handle.0);
        reply.ok();
    }

    fn readdir(&self, _request: &Request, inode: INodeNo, _handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.0.list(inode) {
            Ok(entries) => {
                let rest = entries.into_iter().zip(1..).skip(usize::try_from(offset).unwrap_or(usize::MAX));
                for ((inode, kind, name), next) in rest {
                    if reply.add(INodeNo(inode), next, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn statfs(&self, _request: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        let folder = self.0.files.lock().path(INodeNo::ROOT.0);
        let stat = folder.and_then(|folder| Ok(rustix::fs::statvfs(&folder)?));
        answer!(reply, stat, stat => {
            let block = u32::try_from(stat.f_frsize).unwrap_or(4096);
            reply.statfs(stat.f_blocks, stat.f_bfree, stat.f_bavail, stat.f_files, stat.f_ffree, block, 255, block);
        });
    }

    fn ioctl(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        command: u32,
        data: &[u8],
        _size: u32,
        reply: ReplyIoctl,
    ) {
        let mut files = self.0.files.lock();
        match data.first_chunk() {
            _ if GET_FLAGS.contains(&command) => reply.ioctl(0, &files.flags(inode.0).to_ne_bytes()),
            Some(flags) if SET_FLAGS.contains(&command) => {
                files.set_flags(inode.0, u32::from_ne_bytes(*flags));
                reply.ioctl(0, &[]);
            }
            _ => reply.error(Errno::ENOTTY),
        }
    }
}

impl Folder {
    /// In a thread of its own if calls are to be late: meanwhile others must be served.
    fn perhaps_late(&self, call: impl FnOnce() + Send + 'static) {
        let is_late = self.0.plan.lock().is_next_late();
        match is_late {
            true => drop(std::thread::spawn(call)),
            false => call(),
        }
    }
}
