//! How a service begins and ends, whatever it serves.

use std::future::Future;
use std::io;
use std::time::Duration;

use onefold::{Runtime, SledJournal};

use super::Article;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long the end of the service waits for commands under way. Less than what the supervisor allows before it kills.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(20);

/// Opens the journal and starts the runtime on it.
pub(crate) async fn start(directory: &'static str) -> Result<Runtime, Failure> {
    // Opening blocks: for milliseconds after a clean end, for longer after a crash. No async thread should.
    let journal = tokio::task::spawn_blocking(move || SledJournal::open(directory)).await??;
    Ok(Runtime::builder(journal).aggregate::<Article>(()).start().await?)
}

/// Resolves at SIGTERM or ctrl-c. Call it before the service starts: the handlers are in place when it returns.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends the runtime: what it has accepted is answered, the journal is closed. Call it when nothing asks any more.
pub(crate) async fn stop(runtime: &Runtime) -> Result<(), Failure> {
    let report = runtime.shutdown(SHUTDOWN_DEADLINE).await;
    if report.unanswered > 0 {
        return Err(format!("{} commands were not answered in time", report.unanswered).into());
    }
    Ok(report.journal?)
}
