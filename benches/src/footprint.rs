//! What something costs: bytes of memory of this process, bytes on disk of a directory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;

/// Memory of this process that is in RAM now, in bytes.
pub(crate) fn resident_bytes() -> anyhow::Result<u64> {
    status("VmRSS:")
}

/// The most it ever was, in bytes.
pub(crate) fn resident_bytes_peak() -> anyhow::Result<u64> {
    status("VmHWM:")
}

fn status(field: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    parse(&status, field).with_context(|| format!("/proc/self/status has no {field}"))
}

fn parse(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Bytes that the files of a directory occupy on disk, subdirectories included.
pub(crate) fn disk_bytes(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        // A block is 512 bytes here, whatever the file system's are.
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        assert_eq!(parse("VmPeak:\t 9 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(parse("", "VmRSS:"), None);
        assert!(resident_bytes().unwrap() > 100_000);
        assert!(resident_bytes_peak().unwrap() >= resident_bytes().unwrap() / 2);
    }

    #[test]
    fn a_directory_is_summed_up() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("below")).unwrap();
        std::fs::write(directory.path().join("below/file"), vec![1; 10_000]).unwrap();
        assert!((10_000..100_000).contains(&disk_bytes(directory.path()).unwrap()));
    }
}
