//! ext4 on a loop device on a file, mounted. The loop device goes with the mount: it is told to detach itself as soon as it
//! is mounted, so that nothing is left when the mount is gone, whoever unmounts.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::run;

/// How long a mount may stay busy after the last process that used it was killed.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// Other processes take loop devices, too.
const ATTACH_TRIES: u32 = 20;

/// A mount. Dropping it unmounts.
#[derive(Debug)]
pub struct Mounted {
    mount_point: PathBuf,
    device: PathBuf,
    is_mounted: bool,
}

impl Mounted {
    /// Mounts the ext4 that `file` holds. If it was not unmounted, ext4 recovers it first.
    ///
    /// # Errors
    ///
    /// No loop device is to be had, or ext4 refuses.
    pub fn mount(file: &Path, mount_point: &Path) -> Result<Self> {
        let device = attach(file)?;
        // No lazy initialisation in the background: it would only write.
        let mounted = mount(&device, mount_point, "ext4", MountFlags::empty(), Some(c"noinit_itable"));
        // While it is mounted this only marks it: it is detached when it is unmounted.
        let detached = run("losetup", &["--detach".as_ref(), &device]);
        mounted.with_context(|| format!("could not mount {} at {}", device.display(), mount_point.display()))?;
        let mounted = Mounted { mount_point: mount_point.to_owned(), device, is_mounted: true };
        detached?;
        Ok(mounted)
    }

    /// Unmounts, and waits until the loop device is free.
    ///
    /// # Errors
    ///
    /// Somebody still uses it.
    pub fn unmount(mut self) -> Result<()> {
        let begun = Instant::now();
        self.is_mounted = false;
        while let Err(error) = unmount(&self.mount_point, UnmountFlags::empty()) {
            if begun.elapsed() > BUSY_MAX {
                self.is_mounted = true;
                bail!("could not unmount {} for {BUSY_MAX:?}: {error}", self.mount_point.display());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        while self.is_attached() {
            if begun.elapsed() > BUSY_MAX {
                bail!("{} is still in use after unmounting {}", self.device.display(), self.mount_point.display());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn is_attached(&self) -> bool {
        let name = self.device.file_name().unwrap_or_default();
        Path::new("/sys/block").join(name).join("loop/backing_file").exists()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = unmount(&self.mount_point, UnmountFlags::DETACH);
        }
    }
}

/// Attaches a free loop device to the file.
fn attach(file: &Path) -> Result<PathBuf> {
    let mut left = ATTACH_TRIES;
    loop {
        match run("losetup", &["--find".as_ref(), "--show".as_ref(), file]) {
            Ok(device) => return Ok(device.into()),
            Err(error) if left == 0 => {
                return Err(error.context(format!("could not attach a loop device to {}", file.display())));
            }
            Err(_) => {
                left -= 1;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}
