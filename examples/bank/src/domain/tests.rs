//! Given these events, when this command, then those events or this rejection.

use std::sync::Arc;

use futures_util::FutureExt as _;
use onefold::{Aggregate as _, AggregateId, Context, Handle, StreamVersion, SystemClock};

use super::AccountEvent::{Deposited, Opened, Withdrawn};
use super::AccountRejection::{AlreadyOpen, AmountZero, BalanceTooLarge, InsufficientFunds, NotOpen, OwnerMissing};
use super::{Account, AccountEvent, AccountRejection, Deposit, Look, Open, Receipt, Statement, Withdraw};
use crate::Money;

/// What came of a command: the events and the reply, or the rejection.
type Outcome<R> = Result<(Vec<AccountEvent>, R), AccountRejection>;

/// Runs one command on the state after `history`.
fn when<C: Send + 'static>(history: &[AccountEvent], command: C) -> Outcome<<Account as Handle<C>>::Reply>
where
    Account: Handle<C>,
{
    let mut account = Account::default();
    history.iter().for_each(|event| account.apply(event));
    let mut cx = Context::new(Arc::new(()), ada(), Arc::new(SystemClock), Arc::new(()));
    cx.prepare(StreamVersion::new(history.len() as u64), Default::default());

    let decision = account.handle(command, &cx).now_or_never().expect("an account decides without waiting")?;
    let (events, reply) = decision.into_parts();
    events.iter().for_each(|event| account.apply(event));
    Ok((events.to_vec(), reply(&account)))
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

fn receipt(balance: &str, version: u64) -> Receipt {
    Receipt { balance: money(balance), version: StreamVersion::new(version) }
}

#[test]
fn opens_once_and_for_somebody() {
    let open = |owner: &str| Open { owner: owner.into() };
    let rows = [
        (vec![], open("Ada"), Ok((vec![opened()], receipt("0.00", 1)))),
        (vec![], open(" "), Err(OwnerMissing { account: ada() })),
        (vec![opened()], open("Bob"), Err(AlreadyOpen { account: ada(), owner: "Ada".into() })),
    ];
    for (given, command, then) in rows {
        assert_eq!(when(&given, command.clone()), then, "{command:?}");
    }
}

#[test]
fn deposits() {
    let (most, cent) = (Money::MAX, Money::from_cents(1));
    let full = [opened(), Deposited { amount: most }];
    let rows = [
        (&[][..], money("1.00"), Err(NotOpen { account: ada() })),
        (&[opened()], money("12.34"), Ok((vec![deposited("12.34")], receipt("12.34", 2)))),
        (&[opened(), deposited("0.66")], money("12.34"), Ok((vec![deposited("12.34")], receipt("13.00", 3)))),
        (&[opened()], Money::ZERO, Err(AmountZero)),
        (&full, cent, Err(BalanceTooLarge { account: ada(), balance: most, amount: cent })),
    ];
    for (given, amount, then) in rows {
        assert_eq!(when(given, Deposit { amount }), then, "{amount} after {given:?}");
    }
}

#[test]
fn withdrawals() {
    let hundred = [opened(), deposited("100.00")];
    let spent = [opened(), deposited("100.00"), withdrawn("100.00")];
    let lacks = |balance, amount| InsufficientFunds { account: ada(), balance: money(balance), amount: money(amount) };
    let rows = [
        (&[][..], "1.00", Err(NotOpen { account: ada() })),
        (&hundred, "100.00", Ok((vec![withdrawn("100.00")], receipt("0.00", 3)))),
        (&hundred, "0.01", Ok((vec![withdrawn("0.01")], receipt("99.99", 3)))),
        (&hundred, "100.01", Err(lacks("100.00", "100.01"))),
        (&spent, "0.01", Err(lacks("0.00", "0.01"))),
        (&hundred, "0.00", Err(AmountZero)),
    ];
    for (given, amount, then) in rows {
        assert_eq!(when(given, Withdraw { amount: money(amount) }), then, "{amount} after {given:?}");
    }
}

#[test]
fn looking_changes_nothing() {
    let statement = |balance, version| {
        let version = StreamVersion::new(version);
        Some(Statement { owner: "Ada".into(), balance: money(balance), version })
    };
    let rows = [
        (vec![], None),
        (vec![opened()], statement("0.00", 1)),
        (vec![opened(), deposited("5.00"), withdrawn("1.50")], statement("3.50", 3)),
    ];
    for (given, then) in rows {
        assert_eq!(when(&given, Look), Ok((vec![], then)), "{given:?}");
    }
}
