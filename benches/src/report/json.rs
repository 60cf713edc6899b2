//! A report as one JSON object.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

/// Writes it to `file`, missing directories included.
pub(crate) fn write(file: &Path, report: &impl Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    write_file(file, &json)
}

/// Writes a text to `file`, missing directories included.
pub(crate) fn write_file(file: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
