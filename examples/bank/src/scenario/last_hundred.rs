//! The third act: two withdrawals of the last 100 at the same moment, on many accounts.
//!
//! Without one actor per account, one of the two would meet a version clash and have to retry. Here it waits its turn,
//! finds the account empty, and is rejected by the domain.

use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use onefold::{Aggregates, Error, ErrorKind};
use tokio::sync::Barrier;

use super::crowd;
use super::report::Work;
use crate::domain::{Account, AccountRejection, Receipt, Withdraw};
use crate::{AccountError, Money};

/// How many accounts are fought over.
pub(super) const DUELS: usize = 100;

/// What each of them holds, and what both sides want.
pub(super) const LAST: Money = Money::from_units(100);

/// Runs the duels, and checks that each has one winner.
pub(super) async fn run(accounts: &Aggregates<Account>) -> anyhow::Result<Work> {
    let ids: Vec<String> = (0..DUELS).map(|number| format!("last-hundred-{number:03}")).collect();
    crowd::open(accounts, &ids, LAST).await?;

    let mut work = Work::default();
    let start = Instant::now();
    for id in &ids {
        let begun = Instant::now();
        let outcomes = duel(accounts, id).await?;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let rejected = outcomes.iter().filter(|outcome| lacked_money(outcome)).count();
        let clashed = outcomes.iter().filter(|outcome| clashed(outcome)).count();
        ensure!(
            (won, rejected, clashed) == (1, 1, 0),
            "of two withdrawals of the last {LAST} from {id}, one must succeed, one be rejected and none clash; \
             but {won} succeeded, {rejected} were rejected, {clashed} clashed: {outcomes:?}"
        );
        outcomes.iter().for_each(|outcome| work.note(begun, outcome.is_err()));
    }
    let work = work.within(start.elapsed());

    let left = crowd::total(accounts, &ids).await?;
    ensure!(left == Money::ZERO, "the accounts that were emptied still hold {left}");
    Ok(work)
}

/// Two tasks that wait for each other, then both withdraw.
async fn duel(accounts: &Aggregates<Account>, id: &str) -> anyhow::Result<[Result<Receipt, AccountError>; 2]> {
    let ready = Arc::new(Barrier::new(2));
    let withdraw = || {
        let (accounts, id, ready) = (accounts.clone(), id.to_owned(), Arc::clone(&ready));
        tokio::spawn(async move {
            ready.wait().await;
            accounts.ask(&id, Withdraw { amount: LAST }).await
        })
    };
    let (one, other) = (withdraw(), withdraw());
    Ok([one.await?, other.await?])
}

fn lacked_money<T>(outcome: &Result<T, AccountError>) -> bool {
    matches!(outcome, Err(Error::Rejected(AccountRejection::InsufficientFunds { .. })))
}

fn clashed<T>(outcome: &Result<T, AccountError>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict)
}
