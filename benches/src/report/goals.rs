//! Figures beside their targets.

use comfy_table::Table;

use super::text::table;
use super::units::number;

/// A figure that has a target.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) figure: &'static str,
    pub(crate) measured: String,
    pub(crate) target: String,
    pub(crate) met: bool,
}

/// A table of them.
pub(crate) fn goals(goals: &[Goal]) -> Table {
    let row = |goal: &Goal| {
        let verdict = if goal.met { "met" } else { "SHORT" };
        vec![goal.figure.to_owned(), goal.measured.clone(), goal.target.clone(), verdict.to_owned()]
    };
    table(&["", "measured", "target", ""], goals.iter().map(row))
}

/// The last line of a report: whether the journal held what was acknowledged.
pub(crate) fn print_verified(events: u64, discrepancy: Option<&str>) {
    match discrepancy {
        None => println!(
            "  verified    yes: reopened, the journal holds {} events, exactly those that were acknowledged",
            number(events)
        ),
        Some(discrepancy) => println!("  verified    NO: {discrepancy}"),
    }
}
