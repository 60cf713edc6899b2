//! Transfers on a journal that fails on cue: the money is where the error says it is.

use std::sync::Arc;

use onefold::{Aggregates, CorrelationId, MemoryJournal, Runtime, StreamVersion};
use onefold_bank::audit::audit;
use onefold_bank::domain::{Account, Deposit, Open};
use onefold_bank::transfer::in_steps::{InSteps, transfer_in_steps};
use onefold_bank::transfer::{TRANSFER, TransferError, Transferred, transfer};
use onefold_bank::{AccountError, Money};
use onefold_testkit::faults::{AppendFault, Faults, FaultyJournal, When};

/// Two open accounts, `ada` with 100.00 and `bob` with nothing, on a journal whose faults are scripted.
struct Bank {
    accounts: Aggregates<Account>,
    faults: Faults,
    runtime: Runtime,
}

impl Bank {
    async fn open() -> Bank {
        let journal = FaultyJournal::new(Arc::new(MemoryJournal::new()));
        let faults = journal.faults();
        let runtime = Runtime::builder(journal).aggregate::<Account>(()).start().await.unwrap();
        let accounts = runtime.aggregates::<Account>().unwrap();
        for owner in ["ada", "bob"] {
            accounts.ask(owner, Open { owner: owner.to_owned() }).await.unwrap();
        }
        accounts.ask("ada", Deposit { amount: money("100.00") }).await.unwrap();
        Bank { accounts, faults, runtime }
    }

    /// The next append meets a fault.
    fn fail(&self, fault: AppendFault) {
        self.faults.append(When::nth(1), fault);
    }

    async fn transfer(&self, to: &str, amount: &str) -> Result<Transferred, TransferError> {
        transfer(&self.accounts, "ada", to, money(amount)).await
    }

    /// What both accounts hold.
    async fn balances(&self) -> [String; 2] {
        let balance = async |id| self.accounts.read(id, Account::balance).await.unwrap().to_string();
        [balance("ada").await, balance("bob").await]
    }

    /// The transfers' steps in an account's history.
    async fn steps(&self, account: &str) -> Vec<(String, CorrelationId)> {
        use futures_util::TryStreamExt as _;
        let events =
            self.accounts.events(account, StreamVersion::EMPTY).unwrap().try_collect::<Vec<_>>().await.unwrap();
        let step =
            |metadata: &onefold::Metadata| Some((metadata.entries.get(TRANSFER)?.to_owned(), metadata.correlation_id));
        events.iter().filter_map(|recorded| step(&recorded.metadata)).collect()
    }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

#[tokio::test]
async fn both_sides_are_one_commit() {
    let bank = Bank::open().await;
    let done = bank.transfer("bob", "12.34").await.unwrap();
    assert_eq!([done.from.balance, done.to.balance], [money("87.66"), money("12.34")]);
    assert_eq!(bank.balances().await, ["87.66", "12.34"]);
    let step = ("ada to bob".to_owned(), done.correlation);
    assert_eq!((bank.steps("ada").await, bank.steps("bob").await), (vec![step.clone()], vec![step]));
    let audit = audit(&**bank.runtime.journal()).await.unwrap();
    assert_eq!((audit.commits, audit.transfers, audit.total), (4, 1, money("100.00")));
}

#[tokio::test]
async fn a_transfer_that_is_refused_leaves_no_trace() {
    let bank = Bank::open().await;
    for (to, amount) in [("bob", "100.01"), ("nobody", "10.00")] {
        let refused = bank.transfer(to, amount).await;
        assert!(matches!(refused, Err(TransferError::NothingHappened(AccountError::Rejected(_)))), "{refused:?}");
    }
    assert!(matches!(bank.transfer("ada", "0.01").await, Err(TransferError::SameAccount)));
    assert_eq!(bank.balances().await, ["100.00", "0.00"]);
    assert_eq!(bank.steps("ada").await, []);
}

#[tokio::test]
async fn a_transfer_that_surely_was_not_stored_is_tried_again() {
    let bank = Bank::open().await;
    bank.fail(AppendFault::FailBeforeWrite);
    bank.transfer("bob", "10.00").await.unwrap();
    assert_eq!(bank.balances().await, ["90.00", "10.00"]);
}

/// A second try here could move the money twice.
#[tokio::test]
async fn a_transfer_that_is_perhaps_stored_is_whole_and_not_repeated() {
    for (fault, balances) in
        [(AppendFault::FailAfterWrite, ["90.00", "10.00"]), (AppendFault::LoseWrite, ["100.00", "0.00"])]
    {
        let bank = Bank::open().await;
        bank.fail(fault);
        let unknown = bank.transfer("bob", "10.00").await;
        assert!(matches!(unknown, Err(TransferError::Unknown { .. })), "{unknown:?}");
        assert_eq!(bank.balances().await, balances);
    }
}

/// In steps, under keys: whichever of them fails, and however, the second run does what is left, and nothing twice.
#[tokio::test]
async fn a_transfer_in_steps_is_finished_by_another_run() {
    let steps =
        async |bank: &Bank, to: &str| transfer_in_steps(&bank.accounts, "t-1", ("ada", to), money("10.00")).await;
    for fault in [AppendFault::FailBeforeWrite, AppendFault::FailAfterWrite, AppendFault::LoseWrite] {
        for number in 1..=2 {
            let bank = Bank::open().await;
            bank.faults.append(When::nth(number), fault.clone());
            steps(&bank, "bob").await.unwrap_err();
            assert_eq!(steps(&bank, "bob").await, Ok(InSteps::Done));
            assert_eq!(steps(&bank, "bob").await, Ok(InSteps::Done));
            assert_eq!(bank.balances().await, ["90.00", "10.00"], "{fault:?} of append {number}");
        }
    }
    let bank = Bank::open().await;
    // The withdrawal, the rejection that is remembered, the refund.
    bank.faults.append(When::nth(3), AppendFault::LoseWrite);
    steps(&bank, "nobody").await.unwrap_err();
    assert_eq!(bank.balances().await, ["90.00", "0.00"]);
    assert_eq!(steps(&bank, "nobody").await, Ok(InSteps::Refunded));
    assert_eq!(steps(&bank, "nobody").await, Ok(InSteps::Refunded));
    assert_eq!(bank.balances().await, ["100.00", "0.00"]);
}

/// The books notice what is not in order.
#[tokio::test]
async fn an_audit_finds_a_transfer_that_is_half_done() {
    let bank = Bank::open().await;
    let half = bank.accounts.ask("ada", Deposit { amount: money("1.00") }).metadata(TRANSFER, "bob to ada");
    half.await.unwrap();
    let found = audit(&**bank.runtime.journal()).await.unwrap_err();
    assert_eq!(format!("{found:#}"), "commit 4 is not in order: a transfer has two sides, this one has 1");
}
