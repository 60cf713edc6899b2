//! The command line: what can be typed, and what the exit code says.

mod commands;
mod customers;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use onefold::ErrorKind;
use tracing_subscriber::EnvFilter;

use self::customers::CustomerCommand;
use crate::booking::BookError;
use crate::domain::{Account, Book, Holder, Subscription};
use crate::owners::Review;
use crate::scenario::Size;
use crate::transfer::TransferError;
use crate::{AccountError, HolderError, Money};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: a broken promise in the demo, a journal that cannot be opened, an error of the disk
  2  wrong usage: an unknown option, a text that is not an amount, an id, a key or an alias
  3  rejected by the bank, at another version than expected, or a key that was used for something else:
     nothing happened
  4  outcome unknown, or a transfer half done: `bank history` tells";

const EXAMPLES: &str = "\
Examples:
  bank                                 the demo, in a temporary directory
  bank open ada --owner 'Ada Lovelace'
  bank deposit ada 100
  bank transfer ada bob 12.34
  bank book ada +100 -40 -12.34 --if-version 3
  bank bonus christmas ada bob --amount 5
  bank history ada
  bank check-owners --accounts-max 3
  bank register ada --name Ada --address London
  bank alias ada countess
  bank offer bonds --places 3 --customers 20
  bank serve --listen 127.0.0.1:7070
  bank journal verify
  bank journal show account/ada

Amounts are decimals with at most two places and are kept in cents.";

const TRANSFER_HELP: &str = "\
The withdrawal and the deposit are decided together and land in one commit: either both accounts
changed or neither did, whatever fails, and a crash leaves nothing half done. If one of them says
no (because the payee has no account, say) nothing was transferred.

When the outcome is unknown (the journal failed at that moment, or a deadline passed) the transfer
happened as a whole or not at all. The exit code is 4, and the message names the correlation id to
look for in either history.";

const BOOK_HELP: &str = "\
The entries are decided in order, each on the balance after those before it, and land in one commit:
all of them, or none when one is rejected.

--if-version books only if the account is where you saw it. Each entry takes it one version further.
--key names the booking: sent again under it, the same entries have no second effect and are
answered as they were, whatever --if-version says then.";

const BONUS_HELP: &str = "\
Each account has a commit of its own: one that says no does not stop the others. The bonus's name is
the key of each deposit: run it again after a failure, and who was paid is not paid twice.";

const CHECK_OWNERS_HELP: &str = "\
No account can see its owner's others, so anybody can open too many. This check looks at what
happened since the last one and asks for a review of each account too many. Run it now and then.

It stores how far it got when everything is done. A crash before that repeats the check: it finds
the reviews that were asked for, and asks for none twice.";

/// A bank of event-sourced accounts on onefold. Without a command it runs the demo.
#[derive(Debug, Parser)]
#[command(name = "bank", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// The directory of the journal [default: bank-data; for the demo a temporary one, removed on success]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the bank at work: a crowd, a race for the last hundred, and a kill -9
    Demo(Demo),
    #[command(flatten)]
    Account(AccountCommand),
    #[command(flatten)]
    Customer(CustomerCommand),
    /// Serve the accounts as a JSON API, until ctrl-c or SIGTERM
    Serve {
        /// Where to listen; port 0 picks a free one
        #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS:PORT")]
        listen: SocketAddr,
        /// Where `POST /backups/{name}` puts its copies [default: the journal's directory with -backups behind it]
        #[arg(long, value_name = "DIR")]
        backups: Option<PathBuf>,
    },
    /// Look at the journal and look after it: verify, repair, export, import, backup, streams, show, tail, stats
    #[command(disable_help_flag = true)]
    Journal {
        /// A command and its options; --help lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        arguments: Vec<OsString>,
    },
    /// The process that the demo kills
    #[command(hide = true)]
    DemoChild,
}

#[derive(Debug, Subcommand)]
enum AccountCommand {
    /// Open an account
    Open {
        /// The account's id
        account: String,
        /// Whose it is
        #[arg(long, default_value_t = whoami())]
        owner: String,
    },
    /// Pay money in
    Deposit {
        /// The account's id
        account: String,
        /// How much, such as 12.34
        #[arg(allow_negative_numbers = true)]
        amount: Money,
    },
    /// Pay money out
    Withdraw {
        /// The account's id
        account: String,
        /// How much, such as 12.34
        #[arg(allow_negative_numbers = true)]
        amount: Money,
    },
    /// Move money from one account to another, in one commit
    #[command(after_long_help = TRANSFER_HELP)]
    Transfer {
        /// The paying account
        from: String,
        /// The paid account
        to: String,
        /// How much, such as 12.34
        #[arg(allow_negative_numbers = true)]
        amount: Money,
    },
    /// Pay in and out several times, all in one commit or none
    #[command(after_long_help = BOOK_HELP)]
    Book {
        /// The account's id
        account: String,
        /// What to pay in and out, in order, such as +100 -40
        #[arg(required = true, allow_negative_numbers = true, value_name = "ENTRY")]
        entries: Vec<Book>,
        /// Only if the account is at this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
        /// What names this booking: under it, it happens once
        #[arg(long)]
        key: Option<String>,
    },
    /// Pay the same into many accounts, once each
    #[command(after_long_help = BONUS_HELP)]
    Bonus {
        /// What names this bonus, such as christmas-2026
        name: String,
        /// The accounts' ids
        #[arg(required = true, value_name = "ACCOUNT")]
        accounts: Vec<String>,
        /// How much each of them gets, such as 12.34
        #[arg(long, allow_negative_numbers = true)]
        amount: Money,
    },
    /// Go through the whole history: no account is ever overdrawn, and no transfer half done
    Audit,
    /// Show what an account holds
    Balance {
        /// The account's id
        account: String,
    },
    /// Show everything that happened to an account
    History {
        /// The account's id
        account: String,
    },
    /// Show all accounts
    List,
    /// Check that nobody has too many accounts, and ask for a review of those that are too many
    #[command(after_long_help = CHECK_OWNERS_HELP)]
    CheckOwners {
        /// How many accounts an owner may have
        #[arg(long, default_value_t = 3, value_name = "COUNT")]
        accounts_max: usize,
        /// Where the check keeps how far it got [default: the journal's directory with -owners.json behind it]
        #[arg(long, value_name = "FILE")]
        progress: Option<PathBuf>,
    },
}

#[derive(Debug, Default, Args)]
struct Demo {
    /// How many accounts the crowd uses
    #[arg(long, hide = true, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    accounts: Option<u32>,
    /// How many deposits, withdrawals and transfers the crowd makes
    #[arg(long, hide = true)]
    operations: Option<u32>,
    /// How long the child process works before it is killed
    #[arg(long, hide = true)]
    seconds: Option<f64>,
}

impl Demo {
    fn size(&self) -> anyhow::Result<Size> {
        let default = Size::default();
        Ok(Size {
            accounts: self.accounts.unwrap_or(default.accounts),
            operations: self.operations.unwrap_or(default.operations),
            child_duration: self.seconds.map_or(Ok(default.child_duration), Duration::try_from_secs_f64)?,
        })
    }
}

/// Who opens an account, unless told otherwise.
fn whoami() -> String {
    std::env::var("USER").ok().filter(|user| !user.trim().is_empty()).unwrap_or_else(|| "somebody".to_owned())
}

/// Does what was typed; says what went wrong in one line, and by the exit code.
pub async fn main(cli: Cli) -> ExitCode {
    let is_demo = matches!(cli.command, None | Some(Command::Demo(_)));
    log_to_stderr(is_demo);
    if let Some(Command::Journal { arguments }) = cli.command {
        return journal(cli.data, arguments).await;
    }
    match commands::run(cli, &mut std::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if !is_demo && reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bank: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// onefold's own command line, which knows the bank's events.
async fn journal(data: Option<PathBuf>, arguments: Vec<OsString>) -> ExitCode {
    let tool = onefold_cli::Cli::new()
        .name("bank journal")
        .journal_option("data")
        .default_journal(data.unwrap_or_else(|| commands::DEFAULT_DATA.into()))
        .aggregate::<Account>()
        .aggregate::<Holder>()
        .aggregate::<Review>()
        .aggregate::<Subscription>();
    // It blocks, which no async thread should.
    tokio::task::spawn_blocking(move || tool.run_from(arguments)).await.unwrap_or(ExitCode::FAILURE)
}

/// Whatever RUST_LOG asks for; by default warnings, and the progress of opening a large journal. stdout is for answers.
fn log_to_stderr(is_demo: bool) {
    // The demo's kill is meant to tear the journal's last write, which is worth a warning everywhere else.
    let default = if is_demo { "error" } else { "warn,onefold_sled=info" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}

/// `bank list | head -1`: nobody reads on, and that is no failure, except of a demo that did not come to its end.
fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let of_kind = |kind: ErrorKind| match kind {
        ErrorKind::InvalidId | ErrorKind::InvalidClaim | ErrorKind::InvalidKey => 2,
        ErrorKind::Rejected | ErrorKind::Conflict | ErrorKind::KeyReused => 3,
        ErrorKind::OutcomeUnknown => 4,
        _ => 1,
    };
    if let Some(error) = error.downcast_ref::<HolderError>() {
        return of_kind(error.kind());
    }
    if let Some(BookError { error, .. }) = error.downcast_ref() {
        return of_kind(error.kind());
    }
    let of_account = |error: &AccountError| of_kind(error.kind());
    match (error.downcast_ref::<AccountError>(), error.downcast_ref::<TransferError>()) {
        (Some(error), _) => of_account(error),
        (_, Some(TransferError::NothingHappened(error))) => of_account(error),
        (_, Some(TransferError::SameAccount)) => 3,
        (_, Some(_)) => 4,
        (None, None) => 1,
    }
}
