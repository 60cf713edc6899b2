//! Which file system a directory is on: a figure of a sync is worth nothing without it.

use std::path::Path;

use anyhow::Context;

/// File systems by the number that `statfs` tells, from Linux' `magic.h` and the systems' own headers.
const KNOWN: &[(u64, &str)] = &[
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xca45_1a4e, "bcachefs"),
    (0xf2f5_2010, "f2fs"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x794c_7630, "overlayfs"),
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0x6573_5546, "fuse"),
    (0x0102_1997, "9p"),
];

/// The name of the file system that `path` is on; of one not known, its number.
pub(crate) fn name(path: &Path) -> anyhow::Result<String> {
    let stat =
        rustix::fs::statfs(path).with_context(|| format!("cannot stat the file system of {}", path.display()))?;
    let number = u64::try_from(stat.f_type).unwrap_or_default() & 0xffff_ffff;
    let known = KNOWN.iter().find(|(known, _)| *known == number);
    Ok(known.map_or_else(|| format!("{number:#x}"), |(_, name)| (*name).to_owned()))
}

/// Whether that file system is memory: a sync there costs nothing and protects nothing.
pub(crate) fn is_memory(name: &str) -> bool {
    matches!(name, "tmpfs" | "ramfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_recognised() {
        if let Ok(name) = name(Path::new("/dev/shm")) {
            assert!(is_memory(&name), "{name}");
        }
    }
}
