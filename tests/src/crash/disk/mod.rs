//! Disks whose power can be cut: the ground on which `cargo crash power` stands.
//!
//! ```text
//!   a journal's directory
//!   ext4, mounted            mounted.rs      real: its own journal, its own barriers
//!   a loop device            mounted.rs
//!   ├─ ext4:      an image; the cut is an ioctl that stops ext4 in mid-flight              ext4.rs, shutdown.rs
//!   └─ volatile:  a file of a FUSE server that plays a disk with a volatile write cache    volatile/
//! ```
//!
//! The first loses what the file system holds in memory. The second also loses, reorders and tears what the file system has
//! written and the disk was not told to flush.
//!
//! Both need root, a loop device and `mkfs.ext4`; the second needs `/dev/fuse`, too. [`missing`] says what is not there.

pub mod ext4;
pub mod mounted;
pub mod served;
mod shutdown;
pub mod volatile;

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// A mounted ext4 file system on a disk whose power can be cut.
pub trait Disk {
    /// Where the file system is mounted, while the power is on.
    fn mount_point(&self) -> &Path;

    /// Cuts the power. From here on whatever touches the file system fails, and nothing more reaches the disk. `seed` decides
    /// about what is undecided: which of the writes in the disk's cache survive.
    ///
    /// # Errors
    ///
    /// The disk cannot be cut: the run is worth nothing.
    fn cut(&mut self, seed: u64) -> Result<Cut>;

    /// Brings the power back: the file system recovers and is mounted again. Every process that used it must have ended.
    ///
    /// # Errors
    ///
    /// The file system does not come back, or somebody still uses it.
    fn restore(&mut self) -> Result<()>;

    /// Whether it can fail single writes.
    fn can_fail(&self) -> bool {
        false
    }

    /// Fails the next so many writes with `EIO`; 0 to fail no more. Tells how many of the last time's have failed. A disk that
    /// cannot does nothing.
    ///
    /// # Errors
    ///
    /// The disk does not answer.
    fn fail_writes(&mut self, count: u64) -> Result<u64> {
        let _ = count;
        Ok(0)
    }

    /// The disk's content as a file, for evidence. Only to be read while the power is off.
    fn image(&self) -> &Path;
}

/// What a power cut did to the writes that were in the disk's cache. All zero for a disk without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Survived whole.
    pub kept: u64,
    /// Survived in part.
    pub torn: u64,
    /// Did not survive.
    pub lost: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} unflushed writes kept, {} torn, {} lost", self.kept, self.torn, self.lost)
    }
}

/// Which disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Simulator {
    /// ext4 on a loop device, stopped by `EXT4_IOC_SHUTDOWN` without flushing its journal.
    Ext4,
    /// ext4 on a disk with a volatile cache: a cut loses, reorders and tears unflushed writes.
    Volatile,
}

impl fmt::Display for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Simulator::Ext4 => "ext4",
            Simulator::Volatile => "volatile",
        })
    }
}

impl Simulator {
    /// Makes such a disk, formatted and mounted, with all its files below `directory`. `program` is the binary `crash`, which
    /// also serves the volatile disk.
    ///
    /// # Errors
    ///
    /// See [`missing`] for what can be known before.
    pub fn make(self, directory: &Path, bytes: u64, program: &Path) -> Result<Box<dyn Disk>> {
        Ok(match self {
            Simulator::Ext4 => Box::new(ext4::Ext4::make(directory, bytes)?),
            Simulator::Volatile => Box::new(volatile::Volatile::make(directory, bytes, program)?),
        })
    }
}

/// Why the simulator cannot run here, if it cannot: what is missing and what to do about it.
#[must_use]
pub fn missing(simulator: Simulator) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("mounting needs root: run it as root (sudo -E cargo …)".to_owned());
    }
    let mut files = vec![("/dev/loop-control", "loop devices: modprobe loop, or give the container its devices")];
    if simulator == Simulator::Volatile {
        files.push(("/dev/fuse", "FUSE: modprobe fuse, or give the container the device"));
    }
    let file = files.into_iter().find(|(path, _)| !Path::new(path).exists());
    if let Some((path, what)) = file {
        return Some(format!("{path} is not there, which is needed for {what}"));
    }
    let tools = [("mkfs.ext4", "e2fsprogs"), ("losetup", "mount")];
    let tool = tools.into_iter().find(|(tool, _)| find(tool).is_none());
    if let Some((tool, package)) = tool {
        return Some(format!("{tool} is not there: install the package {package} (.ci/install-debian.sh does)"));
    }
    match run("losetup", &["--find".as_ref()]) {
        Ok(_) => None,
        Err(error) => Some(format!("no loop device is free ({error:#}): detach one (losetup --detach)")),
    }
}

/// Says, so that nobody overlooks it, that something did not run: not by `eprintln!`, which a test that passes keeps to itself.
pub fn print_skipped(what: &str, why: &str) {
    let rule = "#".repeat(100);
    // Without a place to say it there is nobody to hear it.
    let _ = writeln!(std::io::stderr(), "{rule}\n## SKIPPED: {what} did NOT run.\n## {why}\n{rule}");
}

/// Where a program is: also where root's programs are, which may not be in the path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|program| program.is_file())
}

/// Runs a program to its end; returns what it printed, without the line's end.
fn run(program: &str, arguments: &[&Path]) -> Result<String> {
    let path = find(program).with_context(|| format!("{program} is not installed"))?;
    let output = Command::new(path).args(arguments).output().with_context(|| format!("could not run {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} ended with {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A new file of so many bytes, none of them written, with an empty ext4 in it.
fn format(path: &Path, bytes: u64) -> Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("could not create {}", path.display()))?;
    file.set_len(bytes).with_context(|| format!("could not extend {}", path.display()))?;
    // Nothing is initialised that reads as zeros anyway.
    let lazily = "nodiscard,lazy_itable_init=1,lazy_journal_init=1";
    let arguments = ["-q", "-F", "-b", "4096", "-E", lazily].map(Path::new);
    run("mkfs.ext4", &[&arguments[..], &[path]].concat())?;
    Ok(())
}
