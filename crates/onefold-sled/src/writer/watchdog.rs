//! The watchdog: when the disk does not answer in time, it answers in the writer's place. When sled does
//! not, it poisons.

use std::sync::Arc;
use std::time::Duration;

use super::flight;
use crate::shared::Shared;
use crate::timer::Timer;

/// The thread.
pub(crate) fn run(shared: &Arc<Shared>) {
    let timeout = shared.config.watchdog_timeout;
    let period = (timeout / 4).clamp(Duration::from_millis(2), Duration::from_secs(1));
    while shared.tick.sleep(period) {
        let late = |timer: &Timer| timer.waiting_for().is_some_and(|waiting| waiting > timeout);
        if late(&shared.applier.timer) {
            // The writer is not stuck itself: it will see the poison, and answer.
            shared.fail(format!("sled has not answered for {timeout:?}"));
        }
        if late(&shared.flight.timer) {
            shared.fail(format!("the disk has not answered for {timeout:?}"));
            flight::refuse_all(shared);
            shared.applier.writer_is_gone();
            return;
        }
    }
}
