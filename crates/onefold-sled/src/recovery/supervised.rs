//! Opening on a thread of its own, because sled may never answer: a write of its background threads that fails while
//! somebody waits for it can leave that one waiting for ever.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Recovered, open};
use crate::config::SledConfig;
use crate::error::OpenJournalError;
use crate::timer::Timer;

/// How long sled may take for one batch or sync at least, also when the watchdog is less patient: nobody's command waits.
const PATIENCE_LEAST: Duration = Duration::from_secs(5);
const PERIOD: Duration = Duration::from_millis(50);

/// Opens the directory. When sled does not answer in time, the thread is left behind, and with it the directory's lock: both
/// end with the process.
pub(crate) fn recover(config: SledConfig) -> Result<Recovered, OpenJournalError> {
    let patience = config.watchdog_timeout.max(PATIENCE_LEAST);
    let timer = Arc::new(Timer::default());
    let watched = Arc::clone(&timer);
    let dir = config.path.clone();
    let (sender, receiver) = mpsc::channel();
    // What is logged goes where the caller's goes.
    let (dispatch, span) = (tracing::dispatcher::get_default(Clone::clone), tracing::Span::current());
    let work = move || {
        let opened = tracing::dispatcher::with_default(&dispatch, || span.in_scope(|| open(config, timer)));
        // Nobody waits any more if it took too long.
        let _ = sender.send(opened);
    };
    let worker = thread::Builder::new().name("onefold-open".to_owned()).spawn(work);
    let worker = worker.map_err(OpenJournalError::io("could not start a thread for", &dir))?;
    loop {
        match receiver.recv_timeout(PERIOD) {
            Ok(opened) => return opened,
            Err(RecvTimeoutError::Disconnected) => match worker.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => unreachable!("it sends before it ends"),
            },
            Err(RecvTimeoutError::Timeout) => {
                if watched.waiting_for().is_some_and(|waiting| waiting > patience) {
                    let reason = format!("sled has not answered for {patience:?}: restart the process to try again");
                    return Err(OpenJournalError::Storage { reason: reason.into() });
                }
            }
        }
    }
}
