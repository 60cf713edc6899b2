//! What the killed child said, compared with what the journal holds. Pure: text and events in, a verdict out.
//!
//! The child writes a line before each command and a line after each acknowledgement:
//!
//! ```text
//! attempt 17 deposit killed-003 12.34
//! acknowledged 17
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use anyhow::{Context as _, bail, ensure};

use crate::Money;

/// The two commands that the child gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Deposit,
    Withdrawal,
}

impl Kind {
    /// As in "the deposits of account x".
    pub(super) fn plural(self) -> &'static str {
        match self {
            Kind::Deposit => "deposits",
            Kind::Withdrawal => "withdrawals",
        }
    }
}

/// One command that the child was about to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Its number, which is also its correlation id in the journal.
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) account: String,
    pub(super) amount: Money,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Deposit => "deposit",
            Kind::Withdrawal => "withdraw",
        };
        write!(f, "attempt {} {kind} {} {}", self.number, self.account, self.amount)
    }
}

/// The line that follows an acknowledgement.
pub(super) fn acknowledged(number: u64) -> String {
    format!("acknowledged {number}")
}

/// Everything the child said, and what the journal has of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    commands: HashMap<u64, Command>,
}

#[derive(Debug)]
struct Command {
    attempt: Attempt,
    acknowledged: bool,
    recorded: bool,
}

/// How many commands, and how much money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) commands: u64,
    pub(super) money: Money,
}

/// One tally for each of the three witnesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Witnesses {
    pub(super) acknowledged: Tally,
    pub(super) journal: Tally,
    pub(super) attempted: Tally,
}

impl Ledger {
    /// Reads the child's lines. A last line without its end was cut off by the kill and says nothing: a command is only
    /// given once its line is out.
    pub(super) fn read(transcript: &str) -> anyhow::Result<Ledger> {
        let mut ledger = Ledger::default();
        for line in transcript.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            ledger.read_line(line).with_context(|| format!("the child said {line:?}"))?;
        }
        Ok(ledger)
    }

    fn read_line(&mut self, line: &str) -> anyhow::Result<()> {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["attempt", number, kind, account, amount] => {
                let (number, amount, account) = (number.parse()?, amount.parse()?, account.to_owned());
                let kind = match kind {
                    "deposit" => Kind::Deposit,
                    "withdraw" => Kind::Withdrawal,
                    _ => bail!("an unknown command"),
                };
                let attempt = Attempt { number, kind, account, amount };
                let new = Command { attempt, acknowledged: false, recorded: false };
                ensure!(self.commands.insert(number, new).is_none(), "the number was used before");
            }
            ["acknowledged", number] => {
                let command = self.commands.get_mut(&number.parse()?).context("it was never attempted")?;
                ensure!(!command.acknowledged, "it was acknowledged before");
                command.acknowledged = true;
            }
            _ => bail!("an unknown line"),
        }
        Ok(())
    }

    /// Notes a command that the journal holds: it must have been attempted, just so, and must not be there twice.
    pub(super) fn record(&mut self, found: &Attempt) -> anyhow::Result<()> {
        let Some(command) = self.commands.get_mut(&found.number) else {
            bail!("the journal holds what was never attempted: {found}");
        };
        ensure!(command.attempt == *found, "the journal holds \"{found}\", but the child said \"{}\"", command.attempt);
        ensure!(!command.recorded, "the journal holds a command twice: {found}");
        command.recorded = true;
        Ok(())
    }

    /// Checks that every acknowledged command is in the journal, and for each account, deposits and withdrawals apart,
    /// that acknowledged ≤ journal ≤ attempted, by number and to the cent. Returns the sums over all accounts.
    pub(super) fn check(&self) -> anyhow::Result<BTreeMap<Kind, Witnesses>> {
        let mut lost = self.commands.values().filter(|command| command.acknowledged && !command.recorded);
        if let Some(first) = lost.next() {
            bail!("{} acknowledged commands are not in the journal, among them: {}", lost.count() + 1, first.attempt);
        }
        let mut accounts: BTreeMap<(&str, Kind), Witnesses> = BTreeMap::new();
        let mut sums: BTreeMap<Kind, Witnesses> = BTreeMap::new();
        for command in self.commands.values() {
            let Attempt { kind, account, .. } = &command.attempt;
            accounts.entry((account, *kind)).or_default().count(command);
            sums.entry(*kind).or_default().count(command);
        }
        for ((account, kind), Witnesses { acknowledged, journal, attempted }) in &accounts {
            let commands = acknowledged.commands <= journal.commands && journal.commands <= attempted.commands;
            let money = acknowledged.money <= journal.money && journal.money <= attempted.money;
            ensure!(
                commands && money,
                "acknowledged ≤ journal ≤ attempted does not hold for the {} of {account}: \
                 {acknowledged:?}, {journal:?}, {attempted:?}",
                kind.plural()
            );
        }
        Ok(sums)
    }
}

impl Witnesses {
    fn count(&mut self, command: &Command) {
        self.attempted.add(command.attempt.amount);
        if command.recorded {
            self.journal.add(command.attempt.amount);
        }
        if command.acknowledged {
            self.acknowledged.add(command.attempt.amount);
        }
    }
}

impl Tally {
    fn add(&mut self, amount: Money) {
        self.commands += 1;
        self.money = self.money.checked_add(amount).unwrap_or(Money::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str =
        "attempt 1 deposit a 10.00\nattempt 2 withdraw a 3.00\nacknowledged 1\nattempt 3 deposit b 1.00\n";

    fn attempt(number: u64, kind: Kind, account: &str, cents: u64) -> Attempt {
        Attempt { number, kind, account: account.into(), amount: Money::from_cents(cents) }
    }

    /// The verdict when the journal holds these commands.
    fn verdict(journal: &[Attempt]) -> Result<BTreeMap<Kind, Witnesses>, String> {
        let mut ledger = Ledger::read(SAID).unwrap();
        let checked = journal.iter().try_for_each(|found| ledger.record(found)).and_then(|()| ledger.check());
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn anything_between_acknowledged_and_attempted_is_sound() {
        let (one, two) = (attempt(1, Kind::Deposit, "a", 1_000), attempt(2, Kind::Withdrawal, "a", 300));
        let tally = |commands, cents| Tally { commands, money: Money::from_cents(cents) };
        let sums = verdict(&[one, two]).unwrap();
        let deposits =
            Witnesses { acknowledged: tally(1, 1_000), journal: tally(1, 1_000), attempted: tally(2, 1_100) };
        let withdrawals = Witnesses { acknowledged: tally(0, 0), journal: tally(1, 300), attempted: tally(1, 300) };
        assert_eq!(sums, BTreeMap::from([(Kind::Deposit, deposits), (Kind::Withdrawal, withdrawals)]));
    }

    #[test]
    fn everything_else_is_named() {
        let one = attempt(1, Kind::Deposit, "a", 1_000);
        let rows = [
            (vec![], "1 acknowledged commands are not in the journal, among them: attempt 1 deposit a 10.00"),
            (vec![one.clone(), one.clone()], "the journal holds a command twice: attempt 1 deposit a 10.00"),
            (
                vec![one, attempt(9, Kind::Deposit, "a", 1)],
                "the journal holds what was never attempted: attempt 9 deposit a 0.01",
            ),
            (
                vec![attempt(1, Kind::Deposit, "a", 999)],
                "the journal holds \"attempt 1 deposit a 9.99\", but the child said \"attempt 1 deposit a 10.00\"",
            ),
        ];
        for (journal, verdict_said) in rows {
            assert_eq!(verdict(&journal), Err(verdict_said.to_owned()));
        }
    }

    #[test]
    fn a_line_cut_off_by_the_kill_says_nothing() {
        let ledger = Ledger::read("attempt 1 deposit a 10.00\nattempt 2 deposit a 1").unwrap();
        assert_eq!(ledger.commands.len(), 1);
        for nonsense in ["hello\n", "attempt 1 deposit a\n", "acknowledged 1\n", "attempt x deposit a 1.00\n"] {
            assert!(Ledger::read(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
