//! From the command line to an exit code.

use std::process::ExitCode;

use clap::Parser;

use crate::command;
use crate::cores::Cores;
use crate::options::{Command, Options};

/// Runs the harness.
///
/// # Errors
///
/// Whatever kept it from measuring: a sentence for people. A journal that does not hold what was acknowledged is not an
/// error but an exit code of 1, after the report.
pub fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    // Before there are threads: they run where this one does.
    let cores = match &options.command {
        Command::Overload(overload) if !overload.shared_cores => Cores::divide(),
        _ => None,
    };
    cores.map_or(Ok(()), |cores| cores.be_runtime())?;
    let workers = options.workers.min(cores.map_or(usize::MAX, |cores| cores.of_runtime())).max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let right = match options.command {
        Command::Limit(options) => runtime.block_on(command::limit::run(options, workers))?,
        Command::Run(options) => runtime.block_on(command::run::run(options, workers))?,
        Command::Recover(options) => runtime.block_on(command::recover::run(options, workers))?,
        Command::Overload(options) => runtime.block_on(command::overload::run(options, workers, cores))?,
        Command::NoisyNeighbour(options) => runtime.block_on(command::noisy_neighbour::run(options, workers))?,
        Command::Passivations(options) => runtime.block_on(command::passivations::run(options, workers))?,
        Command::Table(options) => command::table::run(&options)?,
        Command::Memory(options) => runtime.block_on(command::memory::run(options, workers))?,
    };
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
