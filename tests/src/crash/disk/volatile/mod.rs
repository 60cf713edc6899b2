//! A disk with a volatile write cache: what was written and not flushed may survive a cut, in any order, whole or torn at
//! 512 bytes, or not.
//!
//! ```text
//!   this process                   the server: a process of its own
//!   ext4 ─ loop device ───────────▶ FUSE file ─ Image: seen, stable, unflushed writes      server.rs, image.rs
//!   Volatile ── cut, restore ─────▶ stdin
//!            ◀───────── answers ─── stdout
//! ```

pub mod image;
pub mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::mounted::Mounted;
use super::served::Server;
use super::{Cut, Disk, format};

/// See the module.
#[derive(Debug)]
pub struct Volatile {
    // First, so that it is dropped first: unmounting needs the server.
    mounted: Option<Mounted>,
    server: Server,
    image: PathBuf,
    file: PathBuf,
    mount_point: PathBuf,
}

impl Volatile {
    /// Makes, formats and mounts one, with its files below `directory`, served by `program disk-server`.
    ///
    /// # Errors
    ///
    /// It cannot be made or mounted.
    pub fn make(directory: &Path, bytes: u64, program: &Path) -> Result<Self> {
        let (image, mount_point) = (directory.join("image"), directory.join("mounted"));
        let served = directory.join("served");
        for folder in [&mount_point, &served] {
            std::fs::create_dir(folder).with_context(|| format!("could not create {}", folder.display()))?;
        }
        format(&image, bytes)?;
        let server = Server::start(program, "disk-server", &[&image, &served, &mount_point])?;
        let file = served.join(server::FILE_NAME);
        let mounted = Some(Mounted::mount(&file, &mount_point)?);
        Ok(Volatile { mounted, server, image, file, mount_point })
    }

    /// The disk as a file, below the file system and the loop device. Nothing else may use it then.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl Disk for Volatile {
    fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    fn cut(&mut self, seed: u64) -> Result<Cut> {
        let answer = self.server.ask(&format!("cut {seed}"))?;
        let counts: Option<Vec<u64>> = answer.split_whitespace().map(|word| word.parse().ok()).collect();
        match counts.as_deref() {
            Some([kept, torn, lost]) => Ok(Cut { kept: *kept, torn: *torn, lost: *lost }),
            _ => bail!("the disk's server answered {answer:?} to a cut"),
        }
    }

    fn restore(&mut self) -> Result<()> {
        // IMPORTANT: while the power is still off: what ext4 wants to write on its way out must not reach the disk.
        if let Some(mounted) = self.mounted.take() {
            mounted.unmount()?;
        }
        let answer = self.server.ask("restore")?;
        ensure!(answer == "restored", "the disk's server answered {answer:?}");
        self.mounted = Some(Mounted::mount(&self.file, &self.mount_point)?);
        Ok(())
    }

    fn can_fail(&self) -> bool {
        true
    }

    fn fail_writes(&mut self, count: u64) -> Result<u64> {
        let answer = self.server.ask(&format!("fail {count}"))?;
        answer.parse().with_context(|| format!("the disk's server answered {answer:?} to failing writes"))
    }

    fn image(&self) -> &Path {
        &self.image
    }
}
