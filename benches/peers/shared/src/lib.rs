//! What every peer shares: the arguments, the load generator, the report.
//!
//! A peer is a type that implements [`Peer`] and a `main` that calls
//! [`main`]. The story of one run reads top-down in [`run`]: check the
//! directory, open the store, touch every aggregate once, measure, close,
//! open the store again and count what it kept.

mod arguments;
mod filesystem;
mod keyed_locks;
mod latencies;
mod load;
mod peer;
mod random;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

pub use arguments::{Arguments, Workload};
pub use keyed_locks::KeyedLocks;
pub use peer::Peer;

use load::Load;
use report::Report;

/// As in onefold's load harness.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
/// As in onefold's load harness, where it is the default of `--workers`.
const WORKER_THREADS: usize = 2;

/// The whole `main` of a peer: parse, run, report, and say what went wrong.
pub fn main<P: Peer>() -> ExitCode {
    let arguments = match Arguments::parse(P::NAME, std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{}: {problem}\n\n{}", P::NAME, Arguments::usage(P::NAME));
            return ExitCode::from(2);
        }
    };
    match run::<P>(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{}: {problem:#}", P::NAME);
            ExitCode::FAILURE
        }
    }
}

fn run<P: Peer>(arguments: &Arguments) -> Result<()> {
    let filesystem = filesystem::prepare(&arguments.data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .context("cannot start the tokio runtime")?;

    runtime.block_on(async {
        let peer = P::open(&arguments.data)
            .await
            .with_context(|| format!("cannot open the store in {}", arguments.data.display()))?;
        let load = Load::new(Arc::new(peer), arguments);

        let warm_up = load.warm_up().await;
        let measured = load.measure().await?;
        let rss_bytes = report::rss_bytes();
        let conflicts = load.peer().conflicts();
        load.close().await.context("cannot close the store")?;

        let acknowledged = warm_up.acknowledged + measured.acknowledged;
        let stored = P::stored_events(&arguments.data).await.context("cannot reread the store")?;

        let report = Report {
            peer: P::NAME,
            arguments,
            filesystem: &filesystem,
            warm_up: &warm_up,
            measured: &measured,
            conflicts,
            acknowledged,
            stored,
            rss_bytes,
        };
        println!("{}", report.line());
        if let Some(file) = &arguments.json {
            report.write_json(file)?;
        }
        if report.verified() == Some(false) {
            bail!("acknowledged {acknowledged} events, but the store kept {stored:?}");
        }
        Ok(())
    })
}
