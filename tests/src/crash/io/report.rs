//! How the sweep went.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use super::fault::Fault;
use crate::crash::directory::Directory;
use crate::crash::ledger::{Finding, FindingKind, Tally};
use crate::crash::verdict::{Verdict, grouped};

/// How the sweep went.
#[derive(Clone, Debug, Default)]
pub struct IoReport {
    rows: [Row; Fault::ALL.len()],
    /// What was found.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

/// What one kind of fault did.
#[derive(Clone, Debug, Default)]
struct Row {
    runs: u64,
    struck: u64,
    struck_opening: u64,
    said: Tally,
    slowest: Duration,
    findings: [u64; FindingKind::ALL.len()],
}

impl IoReport {
    /// How many calls went wrong.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.rows.iter().map(|row| row.struck).sum()
    }

    pub(super) fn note(
        &mut self,
        fault: Fault,
        has_struck: bool,
        has_opened: bool,
        slowest: Option<Duration>,
        directory: &Directory,
        findings: Vec<Finding>,
    ) {
        let row = &mut self.rows[fault as usize];
        row.runs += 1;
        row.struck += u64::from(has_struck);
        row.struck_opening += u64::from(has_struck && !has_opened);
        row.said.add(&directory.tally());
        row.slowest = row.slowest.max(slowest.unwrap_or_default());
        for finding in &findings {
            let place = FindingKind::ALL.iter().position(|kind| *kind == finding.kind);
            place.into_iter().for_each(|place| row.findings[place] += 1);
        }
        self.verdict.add(findings, directory.evidence());
    }

    /// For people: a column per kind of fault.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        let head = format!("io, {} s", self.elapsed.as_secs());
        table.set_header([vec![head], Fault::ALL.iter().map(ToString::to_string).collect()].concat());
        let mut add = |name: &str, figure: &dyn Fn(&Row) -> String| {
            table.add_row([vec![name.to_owned()], self.rows.iter().map(figure).collect()].concat());
        };
        add("runs", &|row| grouped(row.runs));
        add("a call went wrong", &|row| grouped(row.struck));
        add("… while the journal was opened", &|row| grouped(row.struck_opening));
        add("commands sent", &|row| grouped(row.said.attempted));
        add("acknowledged", &|row| grouped(row.said.acknowledged));
        add("answered: surely not stored", &|row| grouped(row.said.refused));
        add("answered: perhaps stored", &|row| grouped(row.said.unknown));
        add("slowest answer, ms", &|row| grouped(u64::try_from(row.slowest.as_millis()).unwrap_or(u64::MAX)));
        for (place, kind) in FindingKind::ALL.into_iter().enumerate() {
            add(kind.name(), &|row| grouped(row.findings[place]));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}
