//! A bonus: an answer for each account, and nobody is paid twice.

use std::sync::Arc;

use onefold::{Error, MemoryJournal, Runtime, StreamId};
use onefold_bank::Money;
use onefold_bank::bonus::pay_bonus;
use onefold_bank::domain::{Account, AccountRejection, Open};
use onefold_testkit::faults::{AppendFault, FaultyJournal, When};

#[tokio::test]
async fn one_refused_account_keeps_nobody_from_the_bonus_and_nobody_gets_it_twice() {
    let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<Account>(()).start().await.unwrap();
    let accounts = runtime.aggregates::<Account>().unwrap();
    // More than are asked at once, and one of them is named twice.
    let mut payees: Vec<_> = (0..200).map(|number| format!("account-{number}")).collect();
    let is_open = |payee: &str| payee != "account-7";
    for payee in payees.iter().filter(|payee| is_open(payee)) {
        accounts.ask(payee, Open { owner: "Ada".into() }).await.unwrap();
    }
    payees.push("account-0".to_owned());

    let amount = Money::from_units(5);
    for _ in 0..3 {
        let answers = pay_bonus(&accounts, "christmas", &payees, amount).await;
        assert_eq!(answers.len(), payees.len());
        for (payee, answer) in payees.iter().zip(answers) {
            match answer {
                Ok(receipt) => assert_eq!((receipt.balance, receipt.version.get()), (amount, 2), "{payee}"),
                Err(Error::Rejected(AccountRejection::NotOpen { account })) => {
                    assert_eq!((account.as_str(), is_open(payee)), (payee.as_str(), false));
                }
                Err(error) => panic!("{payee}: {error}"),
            }
        }
    }
    let other = pay_bonus(&accounts, "easter", &payees[..1], amount).await;
    assert_eq!(other[0].as_ref().map(|receipt| receipt.balance), Ok(Money::from_units(10)));
}

/// A deposit that was not stored is sent again, and so is one that perhaps was: its key tells.
#[tokio::test]
async fn a_failing_journal_neither_keeps_the_bonus_back_nor_pays_it_twice() {
    let journal = FaultyJournal::new(Arc::new(MemoryJournal::new()));
    let faults = journal.faults();
    let runtime = Runtime::builder(journal).aggregate::<Account>(()).start().await.unwrap();
    let accounts = runtime.aggregates::<Account>().unwrap();
    let payees = ["ada", "bob", "eve"].map(str::to_owned);
    for payee in &payees {
        accounts.ask(payee, Open { owner: "Ada".into() }).await.unwrap();
    }
    let kinds = [AppendFault::FailBeforeWrite, AppendFault::LoseWrite, AppendFault::FailAfterWrite];
    for (payee, fault) in payees.iter().zip(kinds) {
        faults.append(When::next(1).of(&StreamId::new("account", payee).unwrap()), fault);
    }
    let amount = Money::from_units(5);
    for (payee, answer) in payees.iter().zip(pay_bonus(&accounts, "christmas", &payees, amount).await) {
        assert_eq!(answer.map(|receipt| (receipt.balance, receipt.version.get())), Ok((amount, 2)), "{payee}");
        assert_eq!(accounts.read(payee, Account::balance).await.unwrap(), amount, "{payee}");
    }
    assert_eq!(faults.appends_taken(), 3 + 3 + 2, "opened, failed, and two of the three were stored only then");
}
