//! What each command does. Those on accounts open the bank, do one thing, and close it again.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use onefold::{AggregateId, ExpectedVersion, StreamVersion};
use tokio::net::TcpListener;

use super::customers::{self, CustomerCommand};
use super::{AccountCommand, Cli, Command, Demo};
use crate::audit::{Audit, audit};
use crate::bonus::pay_bonus;
use crate::booking::{BookingTerms, book};
use crate::domain::{AccountRejection, Deposit, Look, Open, Receipt, Statement, Withdraw};
use crate::history::Entry;
use crate::transfer::transfer;
use crate::{AccountError, Bank, Money, http, owners, scenario};

/// Where the accounts are, unless told otherwise.
pub(super) const DEFAULT_DATA: &str = "bank-data";

/// How many accounts `list` asks at once.
const LIST_CONCURRENCY: usize = 64;

pub(super) async fn run(cli: Cli, out: &mut dyn Write) -> anyhow::Result<()> {
    let data = cli.data.as_deref().unwrap_or(Path::new(DEFAULT_DATA));
    match cli.command.unwrap_or(Command::Demo(Demo::default())) {
        Command::Demo(demo) => scenario::tell(cli.data.as_deref(), &demo.size()?, out).await,
        Command::DemoChild => scenario::child(data).await,
        Command::Serve { listen, backups } => serve(listen, data, backups, out).await,
        // Dealt with before: it answers with an exit code of its own.
        Command::Journal { .. } => Ok(()),
        Command::Customer(command) => {
            let bank = match command {
                CustomerCommand::Register { .. } | CustomerCommand::Offer { .. } => Bank::open(data).await?,
                _ => Bank::open_existing(data).await?,
            };
            bank.during(async |bank| customers::obey(command, bank, out).await).await
        }
        Command::Account(command) => {
            let bank = match command {
                AccountCommand::Open { .. } => Bank::open(data).await?,
                _ => Bank::open_existing(data).await?,
            };
            bank.during(async |bank| obey(command, bank, out).await).await
        }
    }
}

async fn obey(command: AccountCommand, bank: &Bank, out: &mut dyn Write) -> anyhow::Result<()> {
    let accounts = bank.accounts();
    match command {
        AccountCommand::Open { account, owner } => {
            accounts.ask(&account, Open { owner: owner.clone() }).await?;
            writeln!(out, "{account} is open, it belongs to {owner}")?;
        }
        AccountCommand::Deposit { account, amount } => {
            print(out, &account, accounts.ask(&account, Deposit { amount }).await?)?;
        }
        AccountCommand::Withdraw { account, amount } => {
            print(out, &account, accounts.ask(&account, Withdraw { amount }).await?)?;
        }
        AccountCommand::Transfer { from, to, amount } => {
            let transferred = transfer(accounts, &from, &to, amount).await?;
            print(out, &from, transferred.from)?;
            print(out, &to, transferred.to)?;
        }
        AccountCommand::Book { account, entries, if_version, key } => {
            let expected = if_version.map_or(ExpectedVersion::Any, ExpectedVersion::from);
            let terms = BookingTerms { expected, key, ..BookingTerms::default() };
            for receipt in book(accounts, &account, entries, terms).await? {
                print(out, &account, receipt)?;
            }
        }
        AccountCommand::Bonus { name, accounts: payees, amount } => {
            let answers = pay_bonus(accounts, &name, &payees, amount).await;
            bonus(&payees, answers, out)?;
        }
        AccountCommand::Audit => {
            let Audit { commits, transfers, accounts, total } = audit(&**bank.runtime().journal()).await?;
            writeln!(
                out,
                "{commits} commits, {transfers} of them transfers: {accounts} accounts hold {total}, in order"
            )?;
        }
        AccountCommand::Balance { account } => {
            let Statement { balance, version, .. } = look(bank, &account).await?;
            print(out, &account, Receipt { balance, version })?;
        }
        AccountCommand::History { account } => history(&account, bank, out).await?,
        AccountCommand::List => list(bank, out).await?,
        AccountCommand::CheckOwners { accounts_max, progress } => {
            let progress = progress.unwrap_or_else(|| bank.beside("-owners.json"));
            let checked = owners::check(bank, accounts_max, &progress).await?;
            for surplus in &checked.requested {
                writeln!(out, "{surplus}: a review is requested")?;
            }
            writeln!(out, "{} new events, {} reviews requested", checked.observed, checked.requested.len())?;
        }
    }
    Ok(())
}

fn print(out: &mut dyn Write, account: &str, receipt: Receipt) -> std::io::Result<()> {
    writeln!(out, "{account} holds {} (version {})", receipt.balance, receipt.version)
}

/// Tells what became of each; the exit code is that of the worst.
fn bonus(payees: &[String], answers: Vec<Result<Receipt, AccountError>>, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for (payee, answer) in payees.iter().zip(answers) {
        match answer {
            Ok(receipt) => print(out, payee, receipt)?,
            Err(error) => {
                writeln!(out, "{payee}: {error}")?;
                failures.push(error);
            }
        }
    }
    let (failed, all) = (failures.len(), payees.len());
    // What nobody knows is worse than a failure, and that is worse than a rejection, which running it again does not change.
    let worst = failures.into_iter().max_by_key(|error| (!error.is_surely_not_stored(), error.rejection().is_none()));
    worst.map_or(Ok(()), |error| Err(anyhow::Error::from(error).context(format!("{failed} of {all} were not paid"))))
}

/// An account's statement; one that is not open says no, as it does to other commands.
async fn look(bank: &Bank, account: &str) -> Result<Statement, AccountError> {
    let statement = bank.accounts().ask(account, Look).await?;
    let account = AggregateId::new(account)?;
    statement.ok_or(AccountError::Rejected(AccountRejection::NotOpen { account }))
}

async fn history(account: &str, bank: &Bank, out: &mut dyn Write) -> anyhow::Result<()> {
    look(bank, account).await?;
    let mut events = bank.accounts().events(account, StreamVersion::EMPTY)?;
    let mut balance = Money::ZERO;
    while let Some(recorded) = events.try_next().await? {
        let entry = Entry::from(recorded);
        let amount = entry.amount.unwrap_or_default();
        let (after, sign) = match entry.event {
            "withdrawn" => (balance.checked_sub(amount), '-'),
            _ => (balance.checked_add(amount), '+'),
        };
        balance = after.with_context(|| format!("the history of {account} does not add up"))?;
        let change = entry.amount.map(|amount| format!("{sign}{amount}")).unwrap_or_default();
        let note = entry.owner.map(|owner| format!("by {owner}")).or(entry.transfer);
        let (version, time, event, correlation) = (entry.version, entry.time, entry.event, entry.correlation);
        let line = format!("{version:>6}  {time}  {event:<9} {change:>14} {balance:>14}  {correlation}");
        writeln!(out, "{line}{}", note.map(|note| format!("  {note}")).unwrap_or_default())?;
    }
    Ok(())
}

async fn list(bank: &Bank, out: &mut dyn Write) -> anyhow::Result<()> {
    let look = async |id: AggregateId| anyhow::Ok((bank.accounts().ask(&id, Look).await?, id));
    let ids = bank.accounts().ids().map_err(anyhow::Error::from);
    let mut statements = std::pin::pin!(ids.map_ok(look).try_buffered(LIST_CONCURRENCY));
    let (mut count, mut total) = (0_u64, Money::ZERO);
    while let Some((statement, id)) = statements.try_next().await? {
        let Some(Statement { owner, balance, .. }) = statement else { continue };
        writeln!(out, "{:<24} {balance:>14}  {owner}", id.as_str())?;
        (count, total) = (count + 1, total.checked_add(balance).context("the sum is too large to tell")?);
    }
    writeln!(out, "{:<24} {total:>14}", format!("{count} accounts"))?;
    Ok(())
}

async fn serve(listen: SocketAddr, data: &Path, backups: Option<PathBuf>, out: &mut dyn Write) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let stop = stop_signal()?;
    let bank = Bank::open(data).await?;
    let bank = match backups {
        Some(backups) => bank.with_backups(backups),
        None => bank,
    };
    writeln!(out, "listening on http://{}, the journal is in {}", listener.local_addr()?, data.display())?;
    out.flush()?;
    http::serve(bank, listener, stop).await?;
    writeln!(out, "closed cleanly")?;
    Ok(())
}

/// Resolves at ctrl-c or SIGTERM. The handlers are in place when this returns.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
