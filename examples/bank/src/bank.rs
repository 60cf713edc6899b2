//! A bank: the accounts and their holders in one data directory, from opening the journal to closing it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use onefold::{Aggregates, Runtime, SledJournal};

use crate::domain::{Account, Holder, Subscription};
use crate::owners::Review;

/// How long closing waits for commands that are still on their way.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

/// An open bank. End it with [`Bank::close`]; dropped without, it is as safe as after a kill.
#[derive(Debug)]
pub struct Bank {
    runtime: Arc<Runtime>,
    accounts: Aggregates<Account>,
    holders: Aggregates<Holder>,
    reviews: Aggregates<Review>,
    subscriptions: Aggregates<Subscription>,
    backups: PathBuf,
    data: PathBuf,
}

impl Bank {
    /// Opens the bank in `data`, which is created when it does not exist.
    ///
    /// # Errors
    ///
    /// When the journal cannot be opened, such as when another process has it open.
    pub async fn open(data: &Path) -> anyhow::Result<Bank> {
        let directory = data.to_owned();
        // Opening reads the journal's tail and blocks meanwhile, which no async thread should.
        let journal = tokio::task::spawn_blocking(move || SledJournal::open(directory)).await?;
        let builder = Runtime::builder(journal?).aggregate::<Account>(()).aggregate::<Holder>(());
        let runtime = builder.aggregate::<Review>(()).aggregate::<Subscription>(()).start().await?;
        let (accounts, holders) = (runtime.aggregates::<Account>()?, runtime.aggregates::<Holder>()?);
        let (reviews, subscriptions) = (runtime.aggregates::<Review>()?, runtime.aggregates::<Subscription>()?);
        let data = data.canonicalize()?;
        let backups = beside(&data, "-backups");
        Ok(Bank { runtime: Arc::new(runtime), accounts, holders, reviews, subscriptions, backups, data })
    }

    /// Puts backups into another directory than `<data>-backups`.
    #[must_use]
    pub fn with_backups(self, backups: PathBuf) -> Bank {
        Bank { backups, ..self }
    }

    /// The path beside the journal's directory that is called like it, with `suffix` behind.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.data, suffix)
    }

    /// Where backups go.
    pub fn backups(&self) -> &Path {
        &self.backups
    }

    /// Opens a bank that exists already.
    ///
    /// # Errors
    ///
    /// As [`Bank::open`], and when there is nothing in `data`.
    pub async fn open_existing(data: &Path) -> anyhow::Result<Bank> {
        let empty = std::fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none());
        ensure!(!empty, "there is no bank in {}: `bank open` starts one, --data names another", data.display());
        Self::open(data).await
    }

    /// The accounts.
    pub fn accounts(&self) -> &Aggregates<Account> {
        &self.accounts
    }

    /// The accounts' holders.
    pub fn holders(&self) -> &Aggregates<Holder> {
        &self.holders
    }

    /// The reviews of accounts.
    pub fn reviews(&self) -> &Aggregates<Review> {
        &self.reviews
    }

    /// The customers' parts in offers.
    pub fn subscriptions(&self) -> &Aggregates<Subscription> {
        &self.subscriptions
    }

    /// The runtime under the accounts.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Does some work and closes the bank, whatever came of the work.
    ///
    /// # Errors
    ///
    /// Those of the work, or else those of [`Bank::close`].
    pub async fn during<T>(self, work: impl AsyncFnOnce(&Bank) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let outcome = work(&self).await;
        let closed = self.close().await;
        let done = outcome?;
        closed.map(|()| done)
    }

    /// Takes no more commands, answers those it has, and closes the journal.
    ///
    /// # Errors
    ///
    /// When something was left unanswered, or the journal did not close cleanly.
    pub async fn close(self) -> anyhow::Result<()> {
        let report = self.runtime.shutdown(SHUTDOWN_DEADLINE).await;
        ensure!(
            report.unanswered == 0,
            "{} commands were not answered within {SHUTDOWN_DEADLINE:?}",
            report.unanswered
        );
        Ok(report.journal?)
    }
}

fn beside(data: &Path, suffix: &str) -> PathBuf {
    let mut name = data.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
