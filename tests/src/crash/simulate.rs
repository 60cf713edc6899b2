//! `cargo crash simulate`: the runtime on a simulated journal in virtual time, a life and a death for each seed.

use std::process::ExitCode;

use clap::Args;

use super::progress::Progress;

/// `cargo crash simulate`.
#[derive(Clone, Copy, Debug, Args)]
pub struct SimulateOptions {
    /// How many seeds to run
    #[arg(long, default_value_t = 1_000)]
    pub seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// On how many threads [default: as many as there are cores]
    #[arg(long)]
    pub threads: Option<usize>,
}

/// Runs the simulations and tells how they went. What fails is told by its seed.
pub fn run(options: &SimulateOptions) -> ExitCode {
    let threads = options.threads.or_else(|| Some(std::thread::available_parallelism().ok()?.get())).unwrap_or(1);
    let progress = Progress::new("simulate", options.seeds);
    let seeds = options.from..options.from.saturating_add(options.seeds);
    let summary = onefold_simulation::sweep_with(seeds, threads, |_| progress.step(1));
    progress.finish();
    print!("{summary}");
    for failure in &summary.failures {
        println!("to repeat it: cargo crash simulate --seeds 1 --from {}", failure.seed);
    }
    if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
