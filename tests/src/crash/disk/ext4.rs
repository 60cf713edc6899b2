//! A disk that loses what ext4 has not written yet: data in the page cache, and the running transaction of its journal.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::mounted::Mounted;
use super::shutdown::shut_down;
use super::{Cut, Disk, format};

/// See the module.
#[derive(Debug)]
pub struct Ext4 {
    image: PathBuf,
    mount_point: PathBuf,
    /// There but for moments in which it is mounted again.
    mounted: Option<Mounted>,
}

impl Ext4 {
    /// Makes, formats and mounts one, with its files below `directory`.
    ///
    /// # Errors
    ///
    /// It cannot be made or mounted.
    pub fn make(directory: &Path, bytes: u64) -> Result<Self> {
        let (image, mount_point) = (directory.join("image"), directory.join("mounted"));
        std::fs::create_dir(&mount_point).with_context(|| format!("could not create {}", mount_point.display()))?;
        format(&image, bytes)?;
        let mounted = Some(Mounted::mount(&image, &mount_point)?);
        Ok(Ext4 { image, mount_point, mounted })
    }
}

impl Disk for Ext4 {
    fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    fn cut(&mut self, _seed: u64) -> Result<Cut> {
        shut_down(&self.mount_point)?;
        Ok(Cut::default())
    }

    fn restore(&mut self) -> Result<()> {
        if let Some(mounted) = self.mounted.take() {
            mounted.unmount()?;
        }
        self.mounted = Some(Mounted::mount(&self.image, &self.mount_point)?);
        Ok(())
    }

    fn image(&self) -> &Path {
        &self.image
    }
}
