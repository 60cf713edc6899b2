//! Memory and disk, and by how much they grow.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// One cycle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Since the beginning.
    pub(super) seconds: f64,
    pub(super) is_killed: bool,
    pub(super) opening: Duration,
    pub(super) reading: Duration,
    /// The most that the load held in memory.
    pub(super) memory: u64,
    /// By how much that grew in the second half of the cycle, in bytes per second.
    pub(super) memory_growth: f64,
    /// What the directory's files take up on the disk, after the reading.
    pub(super) disk: u64,
    /// In the journal.
    pub(super) events: u64,
}

/// What a process holds in memory; `None` when that is not told, or the process is gone.
pub(super) fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// What a directory's files take up, holes left out.
pub(super) fn disk_bytes(directory: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

/// The slope of the line that fits best; 0 for fewer than two points.
pub(super) fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = to_f64(points.clone().count() as u64);
    let (sum_x, sum_y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let covariance: f64 = points.clone().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.map(|(x, _)| (x - mean_x) * (x - mean_x)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "for a slope")]
pub(super) fn to_f64(number: u64) -> f64 {
    number as f64
}

/// For a table.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", to_f64(bytes) / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_what_one_expects() {
        let points = |slope: f64| (0..10).map(move |x| (f64::from(x), 5.0 + slope * f64::from(x)));
        assert!((slope(points(3.0)) - 3.0).abs() < 1e-9);
        assert!(slope(points(0.0)).abs() < 1e-9);
        assert!(slope(std::iter::once((1.0, 1.0))).abs() < 1e-9);
    }

    #[test]
    fn a_process_holds_memory() {
        assert!(resident_bytes(std::process::id()).unwrap() > 1 << 20);
    }
}
