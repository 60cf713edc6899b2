//! How many mutations came out how, and each violation with the way to repeat it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};

use super::worker::{Answer, Checked};
use crate::crash::journal::JournalKind;
use crate::crash::verdict::grouped;

/// Violations told one by one, at most.
const TOLD_MAX: usize = 50;

/// The columns, and the place of each in [`Counts`].
const COLUMNS: [&str; 7] = ["checked", "refused", "read: error", "harmless", "undecidable", "violations", "share safe"];
const REFUSED: usize = 0;
const DETECTED: usize = 1;
const HARMLESS: usize = 2;
const UNDECIDABLE: usize = 3;
const VIOLATIONS: usize = 4;

type Counts = [u64; 5];

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    is_killed: bool,
    is_larger: bool,
    file_class: String,
}

/// How the attack went.
#[derive(Clone, Debug, Default)]
pub struct FlipReport {
    /// What it followed from.
    pub seed: u64,
    /// Which journal.
    pub journal: JournalKind,
    /// How many journals were damaged.
    pub templates: u16,
    /// Where a damaged journal was left.
    pub kept: Option<PathBuf>,
    rows: BTreeMap<Row, Counts>,
    refusals: BTreeMap<String, u64>,
    told: Vec<(u64, String)>,
    /// What became of the last one.
    last: Option<String>,
}

impl FlipReport {
    pub(super) fn add(&mut self, answer: Answer) {
        let Answer { number, mutation, file_class, is_larger, is_killed, result } = answer;
        self.last = Some(format!("mutation {number}, {mutation}: {result:?}"));
        let column = match result {
            Checked::Refused { kind, .. } => {
                *self.refusals.entry(kind).or_default() += 1;
                REFUSED
            }
            Checked::Detected { .. } => DETECTED,
            Checked::Harmless => HARMLESS,
            Checked::Undecidable { .. } => UNDECIDABLE,
            Checked::Violation { kind, what } => {
                self.tell(number, format!("{kind}: {what}\n    after {mutation}"));
                VIOLATIONS
            }
        };
        self.rows.entry(Row { is_killed, is_larger, file_class }).or_default()[column] += 1;
    }

    /// One that nobody could say more about.
    pub(super) fn add_violation(&mut self, number: u64, kind: &str, what: String) {
        self.tell(number, format!("{kind}: {what}"));
        let row = Row { is_killed: false, is_larger: false, file_class: "no answer".to_owned() };
        self.rows.entry(row).or_default()[VIOLATIONS] += 1;
    }

    fn tell(&mut self, number: u64, what: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push((number, what));
        }
    }

    pub(super) fn merge(&mut self, other: FlipReport) {
        for (row, counts) in other.rows {
            let sum = self.rows.entry(row).or_default();
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        for (kind, count) in other.refusals {
            *self.refusals.entry(kind).or_default() += count;
        }
        self.told.extend(other.told);
        self.told.sort();
        self.last = other.last.or(self.last.take());
    }

    fn sum(&self, column: usize) -> u64 {
        self.rows.values().map(|counts| counts[column]).sum()
    }

    /// How many mutations were neither noticed nor harmless.
    pub fn violations(&self) -> u64 {
        self.sum(VIOLATIONS)
    }

    /// How many mutations were checked.
    pub fn checked(&self) -> u64 {
        self.rows.values().flatten().sum()
    }

    pub(super) fn summary(&self) -> String {
        format!("{} noticed, {} violations", grouped(self.sum(REFUSED) + self.sum(DETECTED)), self.violations())
    }
}

impl fmt::Display for FlipReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["journal", "damage", "file"].into_iter().chain(COLUMNS));
        for (row, counts) in &self.rows {
            let journal = if row.is_killed { "killed" } else { "closed" };
            let damage = if row.is_larger { "larger" } else { "one bit" };
            table.add_row([journal, damage, &row.file_class].map(str::to_owned).into_iter().chain(figures(counts)));
        }
        let all = [REFUSED, DETECTED, HARMLESS, UNDECIDABLE, VIOLATIONS].map(|column| self.sum(column));
        table.add_row(["all".to_owned(), String::new(), String::new()].into_iter().chain(figures(&all)));
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{table}")?;
        if !self.refusals.is_empty() {
            let refusals: Vec<_> =
                self.refusals.iter().map(|(kind, count)| format!("{kind} {}", grouped(*count))).collect();
            writeln!(f, "refused by: {}", refusals.join(", "))?;
        }
        for (number, what) in &self.told {
            writeln!(f, "violation: {what}")?;
            let (journal, templates, seed) = (self.journal.name(), self.templates, self.seed);
            let options = format!("--journal {journal} --templates {templates} --seed {seed} --only {number}");
            writeln!(f, "    repeat: cargo crash flip {options}")?;
        }
        if let (Some(kept), Some(last)) = (&self.kept, &self.last) {
            writeln!(f, "{last}\n    the damaged journal is in {}", kept.display())?;
        }
        Ok(())
    }
}

fn figures(counts: &Counts) -> impl Iterator<Item = String> + use<> {
    let (all, violations) = (counts.iter().sum::<u64>(), counts[VIOLATIONS]);
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let safe = 100.0 * (all - violations) as f64 / all.max(1) as f64;
    let share = if violations == 0 { "100 %".to_owned() } else { format!("{safe:.3} %") };
    std::iter::once(all).chain(*counts).map(grouped).chain([share])
}
