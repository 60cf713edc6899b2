//! The ioctl that stops an ext4 in mid-flight. The only unsafe code of this package: there is no safe call for it.

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `EXT4_IOC_SHUTDOWN`, from `fs/ext4/ext4.h`: `_IOR('X', 125, __u32)`.
const EXT4_IOC_SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: what is in ext4's journal in memory is not written.
const NO_LOG_FLUSH: u32 = 2;

/// Stops the ext4 that is mounted there. From then on every call to it fails, and it writes nothing more.
#[expect(unsafe_code, reason = "ioctls are not safe in general; this one is")]
pub(super) fn shut_down(mount_point: &Path) -> Result<()> {
    let directory = rustix::fs::open(mount_point, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("could not open {}", mount_point.display()))?;
    // SAFETY: the opcode takes a pointer to a u32, which the kernel reads and does not keep; it is the opcode of ext4's, and
    // other file systems refuse it or, as XFS does, take it to mean the same.
    let shut_down = unsafe { ioctl(&directory, Setter::<EXT4_IOC_SHUTDOWN, u32>::new(NO_LOG_FLUSH)) };
    shut_down.with_context(|| format!("could not shut down the file system at {}", mount_point.display()))
}
