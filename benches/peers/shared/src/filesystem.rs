//! Makes sure that the data directory is new and on a disk.
//!
//! A sync on tmpfs costs nothing, so figures from there would say nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Creates `directory` if need be and returns the name of its filesystem.
pub(crate) fn prepare(directory: &Path) -> Result<String> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let mut entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    if entries.next().is_some() {
        bail!("{} is not empty", directory.display());
    }

    let directory = directory.canonicalize().with_context(|| format!("cannot resolve {}", directory.display()))?;
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the mount table")?;
    let filesystem =
        filesystem_of(&directory, &mounts).with_context(|| format!("{} is on no known mount", directory.display()))?;
    if ["tmpfs", "ramfs", "devtmpfs"].contains(&filesystem.as_str()) {
        bail!("{} is on {filesystem}: give --data a directory on a disk", directory.display());
    }
    Ok(filesystem)
}

/// The longest mount point that contains `path`; of two equal ones the later
/// hides the earlier.
fn filesystem_of(path: &Path, mounts: &str) -> Option<String> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let mount_point = PathBuf::from(unescape(fields.next()?));
            let filesystem = fields.next()?;
            path.starts_with(&mount_point).then(|| (mount_point.components().count(), filesystem.to_owned()))
        })
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, filesystem)| filesystem)
}

/// The kernel writes blanks in mount points as octal escapes.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/a / ext4 rw 0 0\n\
                          none /tmp tmpfs rw 0 0\n\
                          /dev/b /tmp/my\\040disk xfs rw 0 0\n";

    #[test]
    fn the_innermost_mount_decides() {
        let filesystem = |path| filesystem_of(Path::new(path), MOUNTS);
        assert_eq!(filesystem("/srv/data").as_deref(), Some("ext4"));
        assert_eq!(filesystem("/tmp/data").as_deref(), Some("tmpfs"));
        assert_eq!(filesystem("/tmp/my disk/data").as_deref(), Some("xfs"));
        assert_eq!(filesystem("/tmpfile").as_deref(), Some("ext4"));
    }
}
