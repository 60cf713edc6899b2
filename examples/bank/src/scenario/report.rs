//! What was done and how fast, as a table.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};

use super::ledger::{Kind, Witnesses};
use crate::Money;

/// Many operations of one kind.
#[derive(Debug, Default)]
pub(super) struct Work {
    latencies: Vec<Duration>,
    rejected: u64,
    elapsed: Duration,
}

impl Work {
    /// Notes one operation that began at `start` and was answered just now.
    pub(super) fn note(&mut self, start: Instant, rejected: bool) {
        self.latencies.push(start.elapsed());
        self.rejected += u64::from(rejected);
    }

    /// Takes in what another client did at the same time.
    pub(super) fn merge(&mut self, other: Work) {
        self.latencies.extend(other.latencies);
        self.rejected += other.rejected;
    }

    /// All of it took this long.
    pub(super) fn within(mut self, elapsed: Duration) -> Self {
        self.latencies.sort_unstable();
        self.elapsed = elapsed;
        self
    }

    /// How many operations were answered, rejections included.
    pub(super) fn count(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// How many of them were rejected.
    pub(super) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// How long all of it took.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The latency that `percent` of the operations did not exceed. Sorted by `within`.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1) - 1;
        self.latencies.get(rank).copied().unwrap_or_default()
    }
}

/// The table, a row for each kind of work.
pub(super) fn table(rows: &[(&str, &Work)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["what", "answered", "rejected", "seconds", "per second", "p50", "p99"]);
    for (what, work) in rows {
        table.add_row([
            (*what).to_owned(),
            grouped(work.count()),
            grouped(work.rejected()),
            format!("{:.2}", work.elapsed().as_secs_f64()),
            grouped(per_second(work.count(), work.elapsed())),
            milliseconds(work.percentile(50)),
            milliseconds(work.percentile(99)),
        ]);
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// What the three witnesses of the kill say, in two lines for each kind of command.
pub(super) fn witnesses(sums: &BTreeMap<Kind, Witnesses>) -> String {
    let lines = sums.iter().map(|(kind, Witnesses { acknowledged, journal, attempted })| {
        let commands = [acknowledged, journal, attempted].map(|tally| grouped(tally.commands));
        let money = [acknowledged, journal, attempted].map(|tally| grouped_money(tally.money));
        format!(
            "   {:<11}  acknowledged {:>14} ≤ journal {:>14} ≤ attempted {:>14}\n   {:<11}  {:>27} ≤ {:>22} ≤ {:>24}",
            kind.plural(),
            commands[0],
            commands[1],
            commands[2],
            "",
            money[0],
            money[1],
            money[2]
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A rate, rounded down.
pub(super) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let per_second = u128::from(count) * 1_000_000_000 / elapsed.as_nanos().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

/// The size of everything in a directory.
pub(super) fn disk_bytes(directory: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(directory)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let bytes = if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.len() };
        Ok(sum + bytes)
    })
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1234567.89` as `1,234,567.89`.
pub(super) fn grouped_money(money: Money) -> String {
    format!("{}.{:02}", grouped(money.cents() / 100), money.cents() % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let rows = [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")];
        for (number, text) in rows {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped_money(Money::from_cents(123_456_789)), "1,234,567.89");
    }

    #[test]
    fn percentiles_are_taken_from_the_sorted_latencies() {
        let mut work = Work { latencies: (1..=200).rev().map(Duration::from_millis).collect(), ..Work::default() };
        work = work.within(Duration::from_secs(2));
        assert_eq!(
            (work.percentile(50), work.percentile(99)),
            (Duration::from_millis(100), Duration::from_millis(198))
        );
        assert_eq!(per_second(work.count(), work.elapsed()), 100);
        assert_eq!(Work::default().percentile(50), Duration::ZERO);
    }
}
