//! What an attack found, in all, and how it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use comfy_table::{CellAlignment, Table, presets};

use super::ledger::{Finding, FindingKind};

/// Findings told one by one, at most; and those of one kind with the same evidence.
const TOLD_MAX: usize = 20;
const ALIKE_MAX: usize = 3;

/// All findings of an attack, by kind, with their evidence.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    counts: BTreeMap<FindingKind, u64>,
    told: Vec<(Finding, PathBuf)>,
}

impl Verdict {
    /// Takes in findings; their evidence lies in `evidence`.
    pub fn add(&mut self, findings: Vec<Finding>, evidence: &Path) {
        for finding in findings {
            *self.counts.entry(finding.kind).or_default() += 1;
            let is_alike = |(told, place): &&(Finding, PathBuf)| told.kind == finding.kind && place == evidence;
            if self.told.len() < TOLD_MAX && self.told.iter().filter(is_alike).count() < ALIKE_MAX {
                self.told.push((finding, evidence.to_owned()));
            }
        }
    }

    /// Takes in what another attack found.
    pub fn merge(&mut self, other: Verdict) {
        for (kind, count) in other.counts {
            *self.counts.entry(kind).or_default() += count;
        }
        let room = TOLD_MAX.saturating_sub(self.told.len());
        self.told.extend(other.told.into_iter().take(room));
    }

    /// How many of a kind.
    pub fn count(&self, kind: FindingKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// The exit code that says so.
    pub fn exit_code(&self) -> ExitCode {
        if self.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Rows for a table: every kind, also those that were not found.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, String)> {
        FindingKind::ALL.into_iter().map(|kind| (kind.name(), grouped(self.count(kind))))
    }
}

/// The findings, one per line, with their evidence. Empty when nothing was found.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (finding, evidence) in &self.told {
            writeln!(f, "{finding}\n    see {}", evidence.display())?;
        }
        match self.total().saturating_sub(self.told.len() as u64) {
            0 => Ok(()),
            more => writeln!(f, "and {} more", grouped(more)),
        }
    }
}

/// A table of figures with names.
pub fn table(title: &str, rows: impl IntoIterator<Item = (&'static str, String)>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([title, ""]);
    for (name, figure) in rows {
        table.add_row([name.to_owned(), figure]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A number in groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_told_and_fail_the_run() {
        let mut verdict = Verdict::default();
        assert!(verdict.is_clean() && verdict.to_string().is_empty());
        let finding = |number| Finding::new(FindingKind::Lost, format!("command {number}"));
        verdict.add((0..1_025).map(finding).collect(), Path::new("here"));
        assert!(!verdict.is_clean());
        let told = verdict.to_string();
        assert!(told.starts_with("acknowledged but lost: command 0\n    see here\n"), "{told}");
        assert!(told.ends_with("and 1,022 more\n"), "{told}");
        assert_eq!(verdict.rows().next(), Some(("acknowledged but lost", "1,025".to_owned())));
    }
}
