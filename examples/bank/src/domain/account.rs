//! The account: its state, how events change it, and how it decides.

use onefold::{Aggregate, AggregateId, Context, Decision, Handle, StreamVersion};
use serde::{Deserialize, Serialize};

use super::{AccountEvent, AccountRejection, Deposit, Look, Open, Withdraw};
use crate::Money;

/// A bank account. Before it is opened it has no owner.
#[derive(Debug, Default)]
pub struct Account {
    owner: Option<String>,
    balance: Money,
}

/// Where an account stands after a deposit or a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What it holds.
    pub balance: Money,
    /// The version of its stream, for use with `expect_version`.
    pub version: StreamVersion,
}

/// What an account says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Whose account it is.
    pub owner: String,
    /// What it holds.
    pub balance: Money,
    /// The version of its stream.
    pub version: StreamVersion,
}

impl Account {
    /// What it holds.
    pub fn balance(&self) -> Money {
        self.balance
    }

    /// Whose it is; `None` when it is not open.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Refuses everything but opening while the account is not open.
    fn require_open(&self, account: &AggregateId) -> Result<(), AccountRejection> {
        match self.owner {
            Some(_) => Ok(()),
            None => Err(AccountRejection::NotOpen { account: account.clone() }),
        }
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Event = AccountEvent;
    type Rejection = AccountRejection;
    type Services = ();

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { owner } => self.owner = Some(owner.clone()),
            // `handle` lets no event pass that over- or underflows; saturating keeps `apply` total all the same.
            AccountEvent::Deposited { amount } => {
                self.balance = self.balance.checked_add(*amount).unwrap_or(Money::MAX)
            }
            AccountEvent::Withdrawn { amount } => {
                self.balance = self.balance.checked_sub(*amount).unwrap_or(Money::ZERO)
            }
        }
    }

    fn weight(&self) -> usize {
        self.owner.as_ref().map_or(0, String::capacity)
    }
}

impl Handle<Open> for Account {
    type Reply = Receipt;

    async fn handle(&self, open: Open, cx: &Context<Self>) -> Result<Decision<Self, Receipt>, AccountRejection> {
        if let Some(owner) = &self.owner {
            return Err(AccountRejection::AlreadyOpen { account: cx.id().clone(), owner: owner.clone() });
        }
        if open.owner.trim().is_empty() {
            return Err(AccountRejection::OwnerMissing { account: cx.id().clone() });
        }
        Ok(self.decide(AccountEvent::Opened { owner: open.owner }, cx))
    }
}

impl Handle<Deposit> for Account {
    type Reply = Receipt;

    async fn handle(
        &self,
        Deposit { amount }: Deposit,
        cx: &Context<Self>,
    ) -> Result<Decision<Self, Receipt>, AccountRejection> {
        self.require_open(cx.id())?;
        if amount == Money::ZERO {
            return Err(AccountRejection::AmountZero);
        }
        if self.balance.checked_add(amount).is_none() {
            let account = cx.id().clone();
            return Err(AccountRejection::BalanceTooLarge { account, balance: self.balance, amount });
        }
        Ok(self.decide(AccountEvent::Deposited { amount }, cx))
    }
}

impl Handle<Withdraw> for Account {
    type Reply = Receipt;

    async fn handle(
        &self,
        Withdraw { amount }: Withdraw,
        cx: &Context<Self>,
    ) -> Result<Decision<Self, Receipt>, AccountRejection> {
        self.require_open(cx.id())?;
        if amount == Money::ZERO {
            return Err(AccountRejection::AmountZero);
        }
        if amount > self.balance {
            let account = cx.id().clone();
            return Err(AccountRejection::InsufficientFunds { account, balance: self.balance, amount });
        }
        Ok(self.decide(AccountEvent::Withdrawn { amount }, cx))
    }
}

impl Handle<Look> for Account {
    /// `None` when the account is not open.
    type Reply = Option<Statement>;

    async fn handle(&self, _: Look, cx: &Context<Self>) -> Result<Decision<Self, Option<Statement>>, AccountRejection> {
        let version = cx.version();
        Ok(self.reply(move |account| {
            let owner = account.owner.clone()?;
            Some(Statement { owner, balance: account.balance, version })
        }))
    }
}

impl Account {
    /// One event, answered with the balance and the version after it.
    fn decide(&self, event: AccountEvent, cx: &Context<Self>) -> Decision<Self, Receipt> {
        let version = cx.version().next();
        self.emit(event).reply(move |account| Receipt { balance: account.balance, version })
    }
}
