//! How the attack went.

use std::time::Duration;

use comfy_table::Table;

use super::sequence::Sequence;
use crate::crash::disk::{Cut, Simulator};
use crate::crash::kill::Died;
use crate::crash::ledger::Tally;
use crate::crash::verdict::{Verdict, grouped, table};

/// How the attack went.
#[derive(Clone, Debug, Default)]
pub struct PowerReport {
    /// Cycles: a sequence that ends with a cut, and a complete reading.
    pub cycles: u64,
    /// Cycles with something that should not be.
    pub bad_cycles: u64,
    /// Directories that were used.
    pub directories: u64,
    /// Cycles by what happened in them.
    pub sequences: [u64; Sequence::ALL.len()],
    /// Cuts by where they struck.
    pub died: [u64; Died::ALL.len()],
    /// What became of writes in the disk's cache.
    pub writes: Cut,
    /// Writes that the disk refused.
    pub writes_failed: u64,
    /// Readings that met a file system which had become read-only by that.
    pub read_only: u64,
    /// Commits that were read back, in all readings.
    pub commits_read: u64,
    /// What was said.
    pub said: Tally,
    /// What was found.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

impl PowerReport {
    pub(super) fn note_sequence(&mut self, sequence: Sequence) {
        let place = Sequence::ALL.iter().position(|other| *other == sequence);
        place.into_iter().for_each(|place| self.sequences[place] += 1);
    }

    pub(super) fn note_cut(&mut self, died: Died, cut: Cut) {
        self.died[died as usize] += 1;
        self.writes.kept += cut.kept;
        self.writes.torn += cut.torn;
        self.writes.lost += cut.lost;
    }

    /// For people.
    #[must_use]
    pub fn table(&self, simulator: Simulator) -> Table {
        let Tally { acknowledged, keyed, repeated, repeated_later, unknown, shown, .. } = self.said;
        let cuts = self.died.iter().sum();
        let head = [
            ("cycles: cut, restore, reopen, read everything", self.cycles),
            ("… with any of the findings below", self.bad_cycles),
            ("directories", self.directories),
        ];
        let sequences = Sequence::ALL.into_iter().zip(self.sequences).map(|(sequence, count)| (sequence.name(), count));
        let struck = Died::ALL.into_iter().zip(self.died).map(|(died, count)| (place(died), count));
        let writes = match simulator {
            Simulator::Ext4 => vec![],
            Simulator::Volatile => vec![
                ("unflushed writes kept", self.writes.kept),
                ("unflushed writes torn", self.writes.torn),
                ("unflushed writes lost", self.writes.lost),
                ("writes refused by the disk", self.writes_failed),
                ("… and the file system read-only when the journal was opened", self.read_only),
            ],
        };
        let [claims_taken, claims_changed, transacts, bulks] = self.said.extras();
        let said = [
            ("commands with a key", keyed),
            ("… sent again with their key", repeated),
            ("… to another process", repeated_later),
            ("commands acknowledged", acknowledged),
            claims_taken,
            claims_changed,
            transacts,
            bulks,
            ("commands answered: perhaps stored", unknown),
            ("states shown by reads under load", shown),
            ("commits read back", self.commits_read),
            ("seconds", self.elapsed.as_secs()),
        ];
        let rows = head.into_iter().chain(sequences).chain([("cuts", cuts)]).chain(struck).chain(writes).chain(said);
        let rows = rows.map(|(name, count)| (name, grouped(count)));
        let title = match simulator {
            Simulator::Ext4 => "power, ext4",
            Simulator::Volatile => "power, volatile",
        };
        table(title, rows.chain(self.verdict.rows()))
    }
}

fn place(died: Died) -> &'static str {
    match died {
        Died::Before => "… before the directory was touched",
        Died::Creating => "… while the directory was created",
        Died::Opening => "… while the directory was recovered",
        Died::Working => "… at work",
        Died::After => "… after the end",
    }
}
