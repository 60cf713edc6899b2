//! Transfers on a journal that fails on cue: the money is where the error says it is.

use std::sync::Arc;

use onefold::{Aggregates, CorrelationId, MemoryJournal, Runtime, StreamId, StreamVersion};
use onefold_bank::domain::{Account, Deposit, Open};
use onefold_bank::transfer::{TRANSFER, TransferError, Transferred, transfer};
use onefold_bank::{AccountError, Money};
use onefold_testkit::faults::{AppendFault, Faults, FaultyJournal, When};

/// Two open accounts, `ada` with 100.00 and `bob` with nothing, on a journal whose faults are scripted.
struct Bank {
    accounts: Aggregates<Account>,
    faults: Faults,
    _runtime: Runtime,
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
        Bank { accounts, faults, _runtime: runtime }
    }

    /// The next appends to an account meet a fault.
    fn fail(&self, account: &str, when: When, fault: AppendFault) {
        self.faults.append(when.of(&StreamId::new("account", account).unwrap()), fault);
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

fn step(text: &str, correlation: CorrelationId) -> (String, CorrelationId) {
    (text.to_owned(), correlation)
}

#[tokio::test]
async fn both_sides_carry_the_same_correlation() {
    let bank = Bank::open().await;
    let done = bank.transfer("bob", "12.34").await.unwrap();
    assert_eq!([done.from.balance, done.to.balance], [money("87.66"), money("12.34")]);
    assert_eq!(bank.balances().await, ["87.66", "12.34"]);
    assert_eq!(bank.steps("ada").await, [step("to bob", done.correlation)]);
    assert_eq!(bank.steps("bob").await, [step("from ada", done.correlation)]);
}

#[tokio::test]
async fn a_refused_withdrawal_leaves_no_trace() {
    let bank = Bank::open().await;
    assert!(matches!(
        bank.transfer("bob", "100.01").await,
        Err(TransferError::NothingHappened(AccountError::Rejected(_)))
    ));
    assert!(matches!(bank.transfer("ada", "0.01").await, Err(TransferError::SameAccount)));
    assert_eq!(bank.balances().await, ["100.00", "0.00"]);
    assert_eq!(bank.steps("ada").await, []);
}

#[tokio::test]
async fn a_rejected_deposit_is_refunded() {
    let bank = Bank::open().await;
    let refused = bank.transfer("nobody", "10.00").await;
    assert!(matches!(refused, Err(TransferError::Refunded(AccountError::Rejected(_)))), "{refused:?}");
    assert_eq!(bank.balances().await, ["100.00", "0.00"]);
    let steps = bank.steps("ada").await;
    let correlation = steps[0].1;
    assert_eq!(steps, [step("to nobody", correlation), step("refund, not paid to nobody", correlation)]);
}

#[tokio::test]
async fn a_deposit_that_surely_was_not_stored_is_refunded() {
    let bank = Bank::open().await;
    bank.fail("bob", When::next(1), AppendFault::FailBeforeWrite);
    let refused = bank.transfer("bob", "10.00").await;
    assert!(matches!(refused, Err(TransferError::Refunded(AccountError::NotStored(_)))), "{refused:?}");
    assert_eq!(bank.balances().await, ["100.00", "0.00"]);
}

/// A refund here would make 10.00 out of nothing, because the deposit did happen.
#[tokio::test]
async fn a_deposit_that_is_perhaps_stored_is_not_refunded() {
    for (fault, bob) in [(AppendFault::FailAfterWrite, "10.00"), (AppendFault::LoseWrite, "0.00")] {
        let bank = Bank::open().await;
        bank.fail("bob", When::next(1), fault);
        let unknown = bank.transfer("bob", "10.00").await;
        assert!(matches!(unknown, Err(TransferError::DepositUnknown { .. })), "{unknown:?}");
        assert_eq!(bank.balances().await, ["90.00", bob]);
    }
}

#[tokio::test]
async fn nothing_is_deposited_after_a_withdrawal_that_is_perhaps_stored() {
    for (fault, ada) in [(AppendFault::FailAfterWrite, "90.00"), (AppendFault::LoseWrite, "100.00")] {
        let bank = Bank::open().await;
        bank.fail("ada", When::next(1), fault);
        let unknown = bank.transfer("bob", "10.00").await;
        assert!(matches!(unknown, Err(TransferError::WithdrawalUnknown { .. })), "{unknown:?}");
        assert_eq!(bank.balances().await, [ada, "0.00"]);
    }
}

#[tokio::test]
async fn a_refund_is_tried_again_while_it_surely_was_not_stored() {
    let bank = Bank::open().await;
    // Of what is appended to ada from now on, the second and the third: the withdrawal passes, two refunds do not.
    bank.fail("ada", When::nth(2), AppendFault::FailBeforeWrite);
    bank.fail("ada", When::nth(2), AppendFault::FailBeforeWrite);
    let refused = bank.transfer("nobody", "10.00").await;
    assert!(matches!(refused, Err(TransferError::Refunded(_))), "{refused:?}");
    assert_eq!(bank.balances().await, ["100.00", "0.00"]);
}

#[tokio::test]
async fn a_refund_that_is_perhaps_stored_is_not_repeated() {
    let bank = Bank::open().await;
    bank.fail("ada", When::nth(2), AppendFault::FailAfterWrite);
    let unknown = bank.transfer("nobody", "10.00").await;
    assert!(matches!(unknown, Err(TransferError::NotRefunded { .. })), "{unknown:?}");
    assert_eq!(bank.balances().await, ["100.00", "0.00"]);
}
