//! An aggregate that behaves well, with services, a clock, and all that a context tells.

use std::sync::Mutex;

use onefold_core::{Aggregate, Context, Decision, Handle, Timestamp};
use onefold_derive::Event;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) balance: u64,
}

#[derive(Clone, Debug, PartialEq, Event)]
#[event(prefix = "account", crate = "onefold_core")]
pub(crate) enum AccountEvent {
    Deposited { amount: u64 },
    Withdrawn { amount: u64, fee: u64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("only {0} left")]
pub(crate) struct InsufficientFunds(pub(crate) u64);

/// What a withdrawal costs, and who asked.
#[derive(Debug, Default)]
pub(crate) struct Fees {
    pub(crate) fee: u64,
    pub(crate) asked: Mutex<Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct Deposit(pub(crate) u64);

#[derive(Debug)]
pub(crate) struct Withdraw {
    pub(crate) amount: u64,
}

/// Asks for the context.
#[derive(Debug)]
pub(crate) struct Look;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) now: Timestamp,
    pub(crate) command: u128,
    pub(crate) correlation: u128,
    pub(crate) note: Option<String>,
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = InsufficientFunds;
    type Services = Fees;

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount, fee } => self.balance -= amount + fee,
        }
    }
}

type Decided<R> = Result<Decision<Account, R>, InsufficientFunds>;

impl Handle<Deposit> for Account {
    type Reply = u64;

    async fn handle(&self, Deposit(amount): Deposit, _: &Context<Self>) -> Decided<u64> {
        Ok(self.emit(AccountEvent::Deposited { amount }).reply(|account| account.balance))
    }
}

impl Handle<Withdraw> for Account {
    type Reply = u64;

    async fn handle(&self, Withdraw { amount }: Withdraw, cx: &Context<Self>) -> Decided<u64> {
        // A handler may wait.
        tokio::task::yield_now().await;
        cx.durable().await;
        cx.services().asked.lock().expect("no panic").push(cx.id().to_string());
        let fee = cx.services().fee;
        match self.balance < amount + fee {
            true => Err(InsufficientFunds(self.balance)),
            false => Ok(self.emit(AccountEvent::Withdrawn { amount, fee }).reply(|account| account.balance)),
        }
    }
}

impl Handle<Look> for Account {
    type Reply = Seen;

    async fn handle(&self, _: Look, cx: &Context<Self>) -> Decided<Seen> {
        let seen = Seen {
            id: cx.id().to_string(),
            version: cx.version().get(),
            now: cx.now(),
            command: cx.metadata().command_id.as_u128(),
            correlation: cx.metadata().correlation_id.as_u128(),
            note: cx.metadata().entries.get("note").map(str::to_owned),
        };
        Ok(self.reply(move |_| seen))
    }
}
