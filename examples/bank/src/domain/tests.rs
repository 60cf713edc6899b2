//! Given these events, when this command, then those events or this rejection.

use onefold::{AggregateId, StreamVersion};
use onefold_testkit::Given;

use super::AccountEvent::{Deposited, Opened, Withdrawn};
use super::AccountRejection::{AlreadyOpen, AmountZero, BalanceTooLarge, InsufficientFunds, NotOpen, OwnerMissing};
use super::{Account, AccountEvent, Book, Deposit, Look, Open, Receipt, Statement, Withdraw};
use crate::Money;

/// Ada's account after these events. Whatever a test asks of it must survive a replay.
fn given(events: impl IntoIterator<Item = AccountEvent>) -> Given<Account> {
    Given::events(events).id("ada").compare_states_by(|account| format!("{account:#?}"))
}

fn ada() -> AggregateId {
    AggregateId::new("ada").unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn opened() -> AccountEvent {
    Opened { owner: "Ada".into() }
}

fn deposited(amount: &str) -> AccountEvent {
    Deposited { amount: money(amount) }
}

fn withdrawn(amount: &str) -> AccountEvent {
    Withdrawn { amount: money(amount) }
}

fn open(owner: &str) -> Open {
    Open { owner: owner.into() }
}

fn deposit(amount: &str) -> Deposit {
    Deposit { amount: money(amount) }
}

fn withdraw(amount: &str) -> Withdraw {
    Withdraw { amount: money(amount) }
}

fn receipt(balance: &str, version: u64) -> Receipt {
    Receipt { balance: money(balance), version: StreamVersion::new(version) }
}

#[tokio::test]
async fn opens_once_and_for_somebody() {
    given([]).when(open("Ada")).await.then_events([opened()]).then_reply(receipt("0.00", 1));
    given([]).when(open(" ")).await.then_rejected(OwnerMissing { account: ada() });
    given([opened()]).when(open("Bob")).await.then_rejected(AlreadyOpen { account: ada(), owner: "Ada".into() });
}

#[tokio::test]
async fn deposits_add_up() {
    given([opened()])
        .when(deposit("12.34"))
        .await
        .then_events([deposited("12.34")])
        .round_trip_reply()
        .then_reply(receipt("12.34", 2))
        .when(deposit("0.66"))
        .await
        .then_events([deposited("0.66")])
        .round_trip_reply()
        .then_reply(receipt("13.00", 3));
}

#[tokio::test]
async fn deposits_that_are_refused() {
    given([]).when(deposit("1.00")).await.then_rejected(NotOpen { account: ada() });
    given([opened()]).when(deposit("0.00")).await.then_rejected(AmountZero);
    let (balance, amount) = (Money::MAX, Money::from_cents(1));
    given([opened(), Deposited { amount: balance }]).when(Deposit { amount }).await.then_rejected(BalanceTooLarge {
        account: ada(),
        balance,
        amount,
    });
}

#[tokio::test]
async fn an_account_is_emptied_and_not_overdrawn() {
    let lacks = |balance, amount| InsufficientFunds { account: ada(), balance: money(balance), amount: money(amount) };
    given([opened(), deposited("100.00")])
        .when(withdraw("100.01"))
        .await
        .then_rejected(lacks("100.00", "100.01"))
        .when(withdraw("0.01"))
        .await
        .then_events([withdrawn("0.01")])
        .round_trip_reply()
        .then_reply(receipt("99.99", 3))
        .when(withdraw("99.99"))
        .await
        .then_events([withdrawn("99.99")])
        .round_trip_reply()
        .then_reply(receipt("0.00", 4))
        .when(withdraw("0.01"))
        .await
        .then_rejected(lacks("0.00", "0.01"));
}

#[tokio::test]
async fn withdrawals_that_are_refused() {
    given([]).when(withdraw("1.00")).await.then_rejected(NotOpen { account: ada() });
    given([opened(), deposited("1.00")]).when(withdraw("0.00")).await.then_rejected(AmountZero);
}

#[tokio::test]
async fn entry_of_a_booking_is_a_deposit_or_a_withdrawal() {
    given([opened()])
        .when(Book::Deposit(money("1.00")))
        .await
        .then_events([deposited("1.00")])
        .round_trip_reply()
        .then_reply(receipt("1.00", 2))
        .when(Book::Withdraw(money("0.40")))
        .await
        .then_events([withdrawn("0.40")])
        .round_trip_reply()
        .then_reply(receipt("0.60", 3))
        .when(Book::Withdraw(money("0.00")))
        .await
        .then_rejected(AmountZero);
}

#[tokio::test]
async fn looking_changes_nothing() {
    let statement = |balance, version| {
        let version = StreamVersion::new(version);
        Some(Statement { owner: "Ada".into(), balance: money(balance), version })
    };
    given([]).when(Look).await.then_no_events().then_reply(None);
    given([opened()]).when(Look).await.then_no_events().then_reply(statement("0.00", 1));
    let busy = [opened(), deposited("5.00"), withdrawn("1.50")];
    given(busy).when(Look).await.then_no_events().then_reply(statement("3.50", 3));
}
