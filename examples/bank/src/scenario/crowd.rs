//! The first two acts: many accounts, and a crowd that moves money between them. No cent may come or go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use onefold::{Aggregates, ErrorKind};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use super::report::Work;
use crate::domain::{Account, Deposit, Open, Withdraw};
use crate::transfer::{TransferError, transfer};
use crate::{AccountError, Money};

/// How many clients are at it at the same time, at most.
const CLIENTS_MAX: u32 = 4_000;

/// When the crowd goes home, done or not: the story is to be short on slow machines too.
const CROWD_DURATION_MAX: Duration = Duration::from_secs(8);

/// What each account starts with.
pub(super) const OPENING: Money = Money::from_units(1_000);

/// The largest amount of one operation: large enough that some are rejected.
const AMOUNT_CENTS_MAX: u64 = 50_000;

/// Opens the accounts and pays the first deposit into each.
pub(super) async fn open(accounts: &Aggregates<Account>, ids: &[String], first_deposit: Money) -> anyhow::Result<Work> {
    let start = Instant::now();
    let open = |id: &String| {
        let id = id.clone();
        async move {
            let mut work = Work::default();
            let asked = Instant::now();
            accounts.ask(&id, Open { owner: format!("owner of {id}") }).await?;
            work.note(asked, false);
            let asked = Instant::now();
            accounts.ask(&id, Deposit { amount: first_deposit }).await?;
            work.note(asked, false);
            Ok::<_, AccountError>(work)
        }
    };
    let mut all = Work::default();
    let mut opened = stream::iter(ids).map(open).buffer_unordered(1_000);
    while let Some(work) = opened.try_next().await? {
        all.merge(work);
    }
    Ok(all.within(start.elapsed()))
}

/// What the crowd did.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    pub(super) deposits: Work,
    pub(super) withdrawals: Work,
    pub(super) transfers: Work,
    /// In cents, as acknowledged.
    paid_in: u64,
    paid_out: u64,
}

impl Crowd {
    pub(super) fn paid_in(&self) -> Money {
        Money::from_cents(self.paid_in)
    }

    pub(super) fn paid_out(&self) -> Money {
        Money::from_cents(self.paid_out)
    }

    pub(super) fn operations(&self) -> u64 {
        self.deposits.count() + self.withdrawals.count() + self.transfers.count()
    }

    pub(super) fn rejected(&self) -> u64 {
        self.deposits.rejected() + self.withdrawals.rejected() + self.transfers.rejected()
    }
}

/// How many clients share so many operations.
pub(super) fn clients(operations: u32) -> u32 {
    operations.min(CLIENTS_MAX)
}

/// Lets the crowd make `operations` operations, or as many as there is time for, on a progress bar.
pub(super) async fn run(accounts: &Aggregates<Account>, ids: Arc<[String]>, operations: u32) -> anyhow::Result<Crowd> {
    let style = ProgressStyle::with_template("   {bar:40} {human_pos}/{human_len} operations")?;
    let progress = ProgressBar::new(operations.into()).with_style(style);
    let tickets = Arc::new(AtomicU32::new(0));
    let start = Instant::now();
    let mut crowd = JoinSet::new();
    for number in 0..clients(operations) {
        let (accounts, ids) = (accounts.clone(), Arc::clone(&ids));
        let (tickets, progress) = (Arc::clone(&tickets), progress.clone());
        crowd.spawn(async move {
            let mut client =
                Client { accounts, ids, random: StdRng::seed_from_u64(number.into()), did: Crowd::default() };
            while tickets.fetch_add(1, Ordering::Relaxed) < operations && start.elapsed() < CROWD_DURATION_MAX {
                client.operate().await?;
                progress.inc(1);
            }
            anyhow::Ok(client.did)
        });
    }
    let mut all = Crowd::default();
    while let Some(did) = crowd.join_next().await {
        let did = did??;
        all.deposits.merge(did.deposits);
        all.withdrawals.merge(did.withdrawals);
        all.transfers.merge(did.transfers);
        all.paid_in += did.paid_in;
        all.paid_out += did.paid_out;
    }
    progress.finish_and_clear();
    let elapsed = start.elapsed();
    all.deposits = all.deposits.within(elapsed);
    all.withdrawals = all.withdrawals.within(elapsed);
    all.transfers = all.transfers.within(elapsed);
    Ok(all)
}

/// What the accounts hold together, by asking each.
pub(super) async fn total(accounts: &Aggregates<Account>, ids: &[String]) -> anyhow::Result<Money> {
    let read = |id: &String| accounts.read(id, Account::balance);
    let balances = stream::iter(ids).map(read).buffer_unordered(1_000);
    let cents = balances.try_fold(0_u64, async |sum, balance| Ok(sum + balance.cents())).await?;
    Ok(Money::from_cents(cents))
}

/// Checks that the accounts hold what was paid in, less what was paid out.
pub(super) fn check_conserved(first: Money, crowd: &Crowd, now: Money) -> anyhow::Result<()> {
    let expected = first.checked_add(crowd.paid_in()).and_then(|sum| sum.checked_sub(crowd.paid_out()));
    let expected = expected.context("the crowd took out more than there was")?;
    ensure!(
        now == expected,
        "money is not conserved: {first} at first + {} paid in - {} paid out = {expected}, but the accounts hold {now}",
        crowd.paid_in(),
        crowd.paid_out()
    );
    Ok(())
}

struct Client {
    accounts: Aggregates<Account>,
    ids: Arc<[String]>,
    random: StdRng,
    did: Crowd,
}

impl Client {
    /// One operation: 4 in 10 are deposits, 4 withdrawals, 2 transfers.
    async fn operate(&mut self) -> anyhow::Result<()> {
        let amount = Money::from_cents(self.random.random_range(1..=AMOUNT_CENTS_MAX));
        let first = self.random.random_range(0..self.ids.len());
        let other = (first + self.random.random_range(1..self.ids.len())) % self.ids.len();
        let (from, to) = (&self.ids[first], &self.ids[other]);
        let start = Instant::now();
        match self.random.random_range(0..10) {
            0..4 => {
                let done = accepted(self.accounts.ask(from, Deposit { amount }).await)?;
                self.did.deposits.note(start, !done);
                self.did.paid_in += if done { amount.cents() } else { 0 };
            }
            4..8 => {
                let done = accepted(self.accounts.ask(from, Withdraw { amount }).await)?;
                self.did.withdrawals.note(start, !done);
                self.did.paid_out += if done { amount.cents() } else { 0 };
            }
            _ => {
                let done = match transfer(&self.accounts, from, to, amount).await {
                    Err(TransferError::NothingHappened(error)) => accepted(Err::<(), _>(error))?,
                    outcome => outcome.map(|_| true)?,
                };
                self.did.transfers.note(start, !done);
            }
        }
        Ok(())
    }
}

/// Whether the domain said yes. Everything but yes and no is a failure of the demo, a version clash above all.
fn accepted<T>(outcome: Result<T, AccountError>) -> Result<bool, AccountError> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Rejected => Ok(false),
        Err(error) => Err(error),
    }
}
