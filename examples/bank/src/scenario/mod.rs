//! The story that `cargo run --release` tells: a crowd, a race for the last hundred, a kill, and what is left.
//!
//! Every act checks an invariant. The first one that does not hold ends the story with what was expected and what was
//! found; the journal is kept then, to be looked at.

mod child;
mod crowd;
mod kill;
mod last_hundred;
mod ledger;
mod report;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
pub use child::child;
use crowd::{Crowd, OPENING};
use report::{Work, grouped, grouped_money, per_second};

use crate::audit::{Audit, audit};
use crate::{Bank, Money};

/// How large the demo is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Accounts of the crowd, two at least.
    pub accounts: u32,
    /// What the crowd does.
    pub operations: u32,
    /// How long the child works before it is killed.
    pub child_duration: Duration,
}

impl Default for Size {
    fn default() -> Self {
        Size { accounts: 1_000, operations: 300_000, child_duration: Duration::from_secs(2) }
    }
}

/// Tells the story, with the journal in `data` or else in a temporary directory that is removed on success.
///
/// # Errors
///
/// An invariant that does not hold, or whatever kept the story from being told.
pub async fn tell(data: Option<&Path>, size: &Size, out: &mut dyn Write) -> anyhow::Result<()> {
    let begun = Instant::now();
    match data {
        Some(data) => {
            let occupied = std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
            ensure!(!occupied, "the demo starts from nothing, but {} is not empty", data.display());
            story(data, size, out).await.with_context(|| kept(data))?;
            writeln!(out, "All invariants hold, in {:.1} s.", begun.elapsed().as_secs_f64())?;
            writeln!(out, "Look around: bank list --data {}", data.display())?;
        }
        None => {
            let data = tempfile::Builder::new().prefix("onefold-bank-").tempdir()?.keep();
            story(&data, size, out).await.with_context(|| kept(&data))?;
            writeln!(out, "All invariants hold, in {:.1} s.", begun.elapsed().as_secs_f64())?;
            std::fs::remove_dir_all(&data)?;
            writeln!(out, "The journal in {} is removed again; --data DIR keeps it.", data.display())?;
        }
    }
    Ok(())
}

fn kept(data: &Path) -> String {
    format!("the demo failed, its journal is kept in {}", data.display())
}

/// What the living bank did before the kill.
struct Before {
    ids: Arc<[String]>,
    opened: Work,
    crowd: Crowd,
    /// What the crowd's accounts hold together.
    total: Money,
    duels: Work,
}

async fn story(data: &Path, size: &Size, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "A bank on onefold: an actor for each account, one journal, no answer before it is on disk.")?;
    writeln!(out, "The journal is in {}\n", data.display())?;

    let before = Bank::open(data).await?.during(async |bank| live(bank, size, out).await).await?;

    writeln!(out, "4. kill -9: a child process works on the same journal, and says what it does while it does it")?;
    let (directory, duration) = (data.to_owned(), size.child_duration);
    let words = tokio::task::spawn_blocking(move || kill::run_and_kill(&directory, duration)).await??;
    writeln!(out, "   Process {} was killed after {:.1} s under load.", words.pid, words.elapsed.as_secs_f64())?;
    let reopening = Instant::now();
    let bank = Bank::open(data).await?;
    writeln!(out, "   The journal was reopened in {:.2} s. It holds:", reopening.elapsed().as_secs_f64())?;
    bank.during(async |bank| reopened(bank, &words, &before, out).await).await?;

    let rows = [
        ("accounts opened and filled", &before.opened),
        ("deposits", &before.crowd.deposits),
        ("withdrawals", &before.crowd.withdrawals),
        ("transfers", &before.crowd.transfers),
        ("withdrawals of the last 100", &before.duels),
    ];
    writeln!(out, "{}", report::table(&rows))?;
    let rate = grouped(per_second(words.acknowledged, words.elapsed));
    writeln!(out, "The killed child got {} acknowledgements, {rate} per second.", grouped(words.acknowledged))?;
    writeln!(out, "The journal is in {}, {} MB.", data.display(), grouped(report::disk_bytes(data)? / 1_000_000))?;
    Ok(())
}

/// Acts one to three.
async fn live(bank: &Bank, size: &Size, out: &mut dyn Write) -> anyhow::Result<Before> {
    let accounts = bank.accounts();
    let ids: Arc<[String]> = (1..=size.accounts).map(|number| format!("account-{number:04}")).collect();

    writeln!(out, "1. {} accounts are opened, with {} each", grouped(size.accounts.into()), grouped_money(OPENING))?;
    let opened = crowd::open(accounts, &ids, OPENING).await?;
    let first = crowd::total(accounts, &ids).await?;
    let expected = Money::from_cents(OPENING.cents() * u64::from(size.accounts));
    ensure!(first == expected, "{expected} were paid in, but the accounts hold {first}");
    writeln!(out, "   The bank holds {}.\n", grouped_money(first))?;

    let clients = crowd::clients(size.operations);
    writeln!(out, "2. {} clients deposit, withdraw and transfer, all at once", grouped(clients.into()))?;
    let crowd = crowd::run(accounts, Arc::clone(&ids), size.operations).await?;
    let total = crowd::total(accounts, &ids).await?;
    crowd::check_conserved(first, &crowd, total)?;
    let (done, rejected) = (grouped(crowd.operations()), grouped(crowd.rejected()));
    let seconds = crowd.deposits.elapsed().as_secs_f64();
    writeln!(out, "   {done} operations in {seconds:.1} s, {rejected} of them rejected for lack of money.")?;
    let [before, paid_in, paid_out, after] = [first, crowd.paid_in(), crowd.paid_out(), total].map(grouped_money);
    writeln!(out, "   To the cent: {before} + {paid_in} paid in - {paid_out} paid out = {after}.\n")?;

    let (last, count) = (last_hundred::LAST, last_hundred::DUELS);
    writeln!(out, "3. The last {last}: two withdrawals of it at the same moment, on {count} accounts")?;
    let duels = last_hundred::run(accounts).await?;
    writeln!(out, "   Each time one succeeded, one was rejected by the domain, and no version clash surfaced.\n")?;

    ensure!(bank.runtime().health().is_healthy(), "the runtime is not healthy: {:?}", bank.runtime().health());
    Ok(Before { ids, opened, crowd, total, duels })
}

/// Act four, after the kill.
async fn reopened(bank: &Bank, words: &kill::LastWords, before: &Before, out: &mut dyn Write) -> anyhow::Result<()> {
    let sums = kill::compare(bank.accounts(), &words.transcript).await?.check()?;
    writeln!(out, "{}", report::witnesses(&sums))?;
    writeln!(out, "   The same holds for each account, to the cent.")?;
    let Audit { commits, transfers, .. } = audit(&**bank.runtime().journal()).await?;
    let (commits, transfers) = (grouped(commits), grouped(transfers));
    writeln!(
        out,
        "   At each of {commits} commits the books are in order; none of {transfers} transfers is half done."
    )?;
    let (total, after) = (before.total, crowd::total(bank.accounts(), &before.ids).await?);
    ensure!(after == total, "the crowd's accounts held {total} before the kill, and hold {after} after it");
    writeln!(out, "   And the crowd's {} are all there, replayed from the journal.\n", grouped_money(after))?;
    Ok(())
}
