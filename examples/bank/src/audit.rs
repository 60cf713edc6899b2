//! An audit: the whole history, commit by commit. A transfer must be whole in its commit, and no account ever overdrawn; so
//! between what was paid in and what was paid out no cent is made or lost, at any moment.

use std::collections::HashMap;

use anyhow::{Context as _, bail, ensure};
use futures_util::TryStreamExt as _;
use onefold::journal::{FeedItem, Journal, RecordedCommit};
use onefold::{Aggregate as _, Checkpoint, StreamId};

use crate::Money;
use crate::domain::{Account, AccountEvent};
use crate::transfer::TRANSFER;

/// What an audit found to be in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Commits that changed an account.
    pub commits: u64,
    /// Transfers among them.
    pub transfers: u64,
    /// Accounts with a history.
    pub accounts: u64,
    /// What they hold together, after the last commit.
    pub total: Money,
}

/// Audits everything that a journal holds.
///
/// # Errors
///
/// The first commit that does not add up, or that cannot be read.
pub async fn audit(journal: &dyn Journal) -> anyhow::Result<Audit> {
    let mut books = Books::default();
    let mut feed = journal.read_all(&Checkpoint::START);
    while let Some(item) = feed.try_next().await? {
        let FeedItem::Commit(commit) = item else { bail!("a part of the history was given up by a repair") };
        books.enter(&commit).with_context(|| format!("commit {} is not in order", commit.number))?;
    }
    books.audit.accounts = books.balances.len() as u64;
    Ok(books.audit)
}

#[derive(Default)]
struct Books {
    balances: HashMap<StreamId, Money>,
    audit: Audit,
}

impl Books {
    fn enter(&mut self, commit: &RecordedCommit) -> anyhow::Result<()> {
        let before = self.audit.total;
        let mut changed = 0;
        let mut is_transfer = false;
        for (stream, part) in commit.parts.iter().filter(|(stream, _)| stream.aggregate_type() == Account::TYPE) {
            let metadata = part.metadata().context("its metadata cannot be read")?;
            is_transfer |= metadata.entries.get(TRANSFER).is_some();
            changed += 1;
            for frame in part.events() {
                let event = frame.context("an event cannot be read")?.decode::<AccountEvent>()?;
                self.apply(stream, &event)?;
            }
        }
        if is_transfer {
            ensure!(changed == 2, "a transfer has two sides, this one has {changed}");
            ensure!(
                before == self.audit.total,
                "a transfer changed what there is from {before} to {}",
                self.audit.total
            );
            self.audit.transfers += 1;
        } else {
            ensure!(changed <= 1, "it changes {changed} accounts and is no transfer");
        }
        self.audit.commits += u64::from(changed > 0);
        Ok(())
    }

    fn apply(&mut self, stream: &StreamId, event: &AccountEvent) -> anyhow::Result<()> {
        let balance = self.balances.entry(stream.clone()).or_default();
        let (after, total) = match event {
            AccountEvent::Opened { .. } => (Some(*balance), Some(self.audit.total)),
            AccountEvent::Deposited { amount } => (balance.checked_add(*amount), self.audit.total.checked_add(*amount)),
            AccountEvent::Withdrawn { amount } => (balance.checked_sub(*amount), self.audit.total.checked_sub(*amount)),
        };
        *balance = after.with_context(|| format!("{stream} holds {balance} and cannot do {event:?}"))?;
        // Of a transfer the withdrawal may come first or last: the sum over all is never less than one of its terms.
        self.audit.total = total.context("more is paid out than there is")?;
        Ok(())
    }
}
