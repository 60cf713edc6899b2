//! The command line of onefold: looks at a journal and looks after it.
//!
//! The binary `onefold` of this crate knows no events: it shows their names, revisions, lengths and bytes. Embedded with your
//! aggregates, in a binary of your own, it decodes them:
//!
//! ```no_run
//! use onefold_cli::Cli;
//! # use onefold::{Aggregate, Event};
//! # #[derive(Default)]
//! # struct Account;
//! # #[derive(Event)]
//! # #[event(prefix = "account")]
//! # enum AccountEvent { Withdrawn { amount: u64 } }
//! # impl Aggregate for Account {
//! #     const TYPE: &'static str = "account";
//! #     type Event = AccountEvent;
//! #     type Rejection = std::convert::Infallible;
//! #     type Services = ();
//! #     fn apply(&mut self, _: &AccountEvent) {}
//! # }
//!
//! fn main() -> std::process::ExitCode {
//!     Cli::new().aggregate::<Account>().run()
//! }
//! ```
//!
//! Nothing is asked of the events but what they are: they are shown by encoding them as JSON.
//!
//! The commands are described in `docs/guide/operating.md`, with their exit codes and the keys of `--json`. What they are made
//! of is in [`onefold::admin`], for tools of your own. The format of an export is in [`export`].
#![forbid(unsafe_code)]

mod arguments;
mod cli;
mod commands;
mod decoders;
mod failure;
mod output;
mod progress;
mod shown;
mod time;

pub mod export;

pub use cli::Cli;
