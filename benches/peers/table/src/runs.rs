//! All reports of all rounds, by contender and workload.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The jobs, in the order of the table's rows.
pub(crate) const WORKLOADS: [&str; 3] = ["uniform", "hot", "single"];

/// The reports.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    reports: BTreeMap<(String, String), Vec<Value>>,
}

impl Runs {
    /// Reads what the named contenders left in `directory`.
    pub(crate) fn read(directory: &Path, contenders: &[String]) -> Result<Self, String> {
        let problem = |problem: &dyn std::fmt::Display| format!("cannot read {}: {problem}", directory.display());
        let mut runs = Self::default();
        for entry in fs::read_dir(directory).map_err(|error| problem(&error))? {
            let path = entry.map_err(|error| problem(&error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let fields: Vec<&str> = name.split('.').collect();
            let [contender, workload, _round, "json"] = fields.as_slice() else {
                continue;
            };
            if !contenders.iter().any(|known| known == contender) {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let report =
                serde_json::from_str(&text).map_err(|error| format!("{} is no JSON: {error}", path.display()))?;
            runs.add(contender, workload, report);
        }
        if runs.reports.is_empty() {
            return Err(format!("{} holds no reports of {}", directory.display(), contenders.join(", ")));
        }
        Ok(runs)
    }

    pub(crate) fn add(&mut self, contender: &str, workload: &str, report: Value) {
        self.reports.entry((contender.to_owned(), workload.to_owned())).or_default().push(report);
    }

    /// The reports of one cell of the table.
    pub(crate) fn of(&self, contender: &str, workload: &str) -> &[Value] {
        self.reports.get(&(contender.to_owned(), workload.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// All cells that have reports.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&str, &str, &[Value])> {
        self.reports
            .iter()
            .map(|((contender, workload), reports)| (contender.as_str(), workload.as_str(), reports.as_slice()))
    }

    /// The median of a figure over the rounds that have it.
    pub(crate) fn median(&self, contender: &str, workload: &str, key: &str) -> Option<f64> {
        median(self.of(contender, workload).iter().filter_map(|report| report[key].as_f64()).collect())
    }
}

/// Of an even number of figures, the mean of the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => None,
        length if length % 2 == 1 => Some(figures[middle]),
        _ => Some(f64::midpoint(figures[middle - 1], figures[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_of_the_sorted_figures() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }
}
