//! From the command line to an exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::disk::volatile::server;
use super::{kill, load, power, read};

/// Attacks on onefold's claim to lose nothing. Exit code 1 when one of them succeeds.
#[derive(Debug, Parser)]
#[command(name = "crash", bin_name = "cargo crash", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kills a process under load, again and again, and reads back what is there
    Kill(kill::KillOptions),
    /// Cuts the power of the disk under a journal, again and again, and reads back what is there; needs root
    Power(power::PowerOptions),
    /// The process that is attacked: a load on a journal
    #[command(hide = true)]
    Child(load::ChildOptions),
    /// The process that looks afterwards: reads a journal, and says what is there
    #[command(hide = true)]
    Read(read::ReadOptions),
    /// The process that serves a disk with a volatile cache
    #[command(hide = true)]
    DiskServer(server::Arguments),
}

/// Runs the harness.
///
/// # Errors
///
/// Whatever kept it from attacking: a sentence for people. An attack that succeeds is not an error but an exit code of 1,
/// after the report.
pub fn main() -> anyhow::Result<ExitCode> {
    match Options::parse().command {
        Command::Kill(options) => kill::run(&options),
        Command::Power(options) => power::run(&options),
        Command::Child(options) => load::run(&options),
        Command::Read(options) => read::run(&options),
        Command::DiskServer(arguments) => server::serve(&arguments).map(|()| ExitCode::SUCCESS),
    }
}
