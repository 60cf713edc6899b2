//! From the command line to an exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::disk::volatile::server;
use super::{flip, io, kill, load, mutations, power, read, simulate, soak};

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
    /// Lets calls to the disk go wrong, one after the other, and fills the disk; needs root
    Io(io::IoOptions),
    /// Damages the files of a journal, and looks whether that is noticed
    Flip(flip::FlipOptions),
    /// Keeps a journal under load for long, with kills and restarts, and watches memory and disk
    Soak(soak::SoakOptions),
    /// Simulates the runtime in virtual time, by seed: crashes, faults, panics, callers who leave
    Simulate(simulate::SimulateOptions),
    /// Breaks the runtime on purpose, one way after the other, and looks whether anybody notices
    Mutations(mutations::MutationsOptions),
    /// The process that is attacked: a load on a journal
    #[command(hide = true)]
    Child(load::ChildOptions),
    /// The process that looks afterwards: reads a journal, and says what is there
    #[command(hide = true)]
    Read(read::ReadOptions),
    /// The process that serves a disk with a volatile cache
    #[command(hide = true)]
    DiskServer(server::Arguments),
    /// The process that serves a folder in which calls go wrong
    #[command(hide = true)]
    FolderServer(io::folder::Arguments),
    /// The process that makes a journal to be damaged
    #[command(hide = true)]
    FlipTemplate(flip::template::TemplateOptions),
    /// The process that looks whether damage is noticed
    #[command(hide = true)]
    FlipWorker(flip::worker::WorkerOptions),
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
        Command::Io(options) => io::run(&options),
        Command::Simulate(options) => Ok(simulate::run(&options)),
        Command::Mutations(options) => mutations::run(&options),
        Command::Child(options) => load::run(&options),
        Command::Read(options) => read::run(&options),
        Command::DiskServer(arguments) => server::serve(&arguments).map(|()| ExitCode::SUCCESS),
        Command::FolderServer(arguments) => io::folder::serve(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Soak(options) => soak::run(&options),
        Command::Flip(options) => flip::run(&options),
        Command::FlipTemplate(options) => flip::template::run(&options),
        Command::FlipWorker(options) => flip::worker::run(&options),
    }
}
