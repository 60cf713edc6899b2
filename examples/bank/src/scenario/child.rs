//! The process that gets killed: a load of deposits and withdrawals that says what it does while it does it.
//!
//! Beside them others move money between accounts of their own, and say nothing: that each of their transfers is whole can be
//! told from the journal alone.
//!
//! IMPORTANT: a command's line is in the pipe before the command is given, and an acknowledgement's line only after the
//! acknowledgement. So whatever the journal holds was announced, and whatever was acknowledged must be in the journal.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use onefold::{Aggregates, CorrelationId, ErrorKind};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use super::ledger::{Attempt, Kind, acknowledged};
use crate::domain::{Account, Deposit, Open, Withdraw};
use crate::transfer::{TransferError, transfer};
use crate::{AccountError, Bank, Money};

/// How many accounts the child uses, and how many clients are at each.
const ACCOUNTS: u64 = 64;
const CLIENTS_PER_ACCOUNT: u64 = 4;

/// How many accounts the transfers are between, and how many clients transfer.
const MOVING_ACCOUNTS: usize = 16;
const MOVING_CLIENTS: u64 = 32;

/// What is paid into each account first, and the largest amount afterwards.
const FIRST_DEPOSIT: Money = Money::from_units(1_000);
const AMOUNT_CENTS_MAX: u64 = 10_000;

/// The accounts that the child uses.
pub(super) fn account_ids() -> impl Iterator<Item = String> + Clone {
    (0..ACCOUNTS).map(|number| format!("killed-{number:02}"))
}

/// Runs until it is killed.
///
/// # Errors
///
/// Anything that ends it earlier, such as that nobody listens to it any more.
pub async fn child(data: &Path) -> anyhow::Result<()> {
    let bank = Bank::open(data).await?;
    for id in account_ids() {
        open(bank.accounts(), &id).await?;
    }
    let moving: Arc<[String]> = (0..MOVING_ACCOUNTS).map(|number| format!("moving-{number:02}")).collect();
    for id in moving.iter() {
        open(bank.accounts(), id).await?;
        bank.accounts().ask(id, Deposit { amount: FIRST_DEPOSIT }).await?;
    }
    let numbers = Arc::new(AtomicU64::new(1));
    let mut clients = JoinSet::new();
    for (id, seed) in account_ids().cycle().zip(0..ACCOUNTS * CLIENTS_PER_ACCOUNT) {
        let (accounts, numbers) = (bank.accounts().clone(), Arc::clone(&numbers));
        clients.spawn(Client { accounts, id, numbers, random: StdRng::seed_from_u64(seed) }.run());
    }
    for seed in 0..MOVING_CLIENTS {
        clients.spawn(move_money(bank.accounts().clone(), Arc::clone(&moving), StdRng::seed_from_u64(seed)));
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(())
}

/// Opens an account, unless an earlier child did.
async fn open(accounts: &Aggregates<Account>, id: &str) -> Result<(), AccountError> {
    match accounts.ask(id, Open { owner: "the child".to_owned() }).await {
        Err(error) if error.kind() != ErrorKind::Rejected => Err(error),
        _ => Ok(()),
    }
}

/// Transfers between any two of them, without end.
async fn move_money(accounts: Aggregates<Account>, ids: Arc<[String]>, mut random: StdRng) -> anyhow::Result<()> {
    loop {
        let from = random.random_range(0..ids.len());
        let to = (from + random.random_range(1..ids.len())) % ids.len();
        let amount = Money::from_cents(random.random_range(1..=AMOUNT_CENTS_MAX));
        match transfer(&accounts, &ids[from], &ids[to], amount).await {
            Ok(_) => {}
            Err(TransferError::NothingHappened(error)) if error.kind() == ErrorKind::Rejected => {}
            Err(error) => return Err(error.into()),
        }
    }
}

struct Client {
    accounts: Aggregates<Account>,
    id: String,
    numbers: Arc<AtomicU64>,
    random: StdRng,
}

impl Client {
    async fn run(mut self) -> anyhow::Result<()> {
        self.operate(Kind::Deposit, FIRST_DEPOSIT).await?;
        loop {
            let kind = if self.random.random() { Kind::Deposit } else { Kind::Withdrawal };
            let amount = Money::from_cents(self.random.random_range(1..=AMOUNT_CENTS_MAX));
            self.operate(kind, amount).await?;
        }
    }

    async fn operate(&self, kind: Kind, amount: Money) -> anyhow::Result<()> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        say(&Attempt { number, kind, account: self.id.clone(), amount }.to_string())?;
        match self.ask(kind, amount, CorrelationId::from_u128(number.into())).await {
            Ok(()) => say(&acknowledged(number))?,
            Err(error) if error.kind() == ErrorKind::Rejected => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn ask(&self, kind: Kind, amount: Money, correlation: CorrelationId) -> Result<(), AccountError> {
        match kind {
            Kind::Deposit => self.accounts.ask(&self.id, Deposit { amount }).correlation(correlation).await?,
            Kind::Withdrawal => self.accounts.ask(&self.id, Withdraw { amount }).correlation(correlation).await?,
        };
        Ok(())
    }
}

/// One line, in one write, at once. It blocks while the pipe is full: the parent reads on.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}
