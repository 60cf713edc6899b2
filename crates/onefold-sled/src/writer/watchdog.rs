//! The watchdog: when the disk does not answer in time, it answers in the writer's place.

use std::sync::Arc;
use std::time::Duration;

use super::flight;
use crate::shared::Shared;

/// The thread.
pub(crate) fn run(shared: &Arc<Shared>) {
    let timeout = shared.config.watchdog_timeout;
    let period = (timeout / 4).clamp(Duration::from_millis(2), Duration::from_secs(1));
    while shared.tick.sleep(period) {
        if shared.flight.waiting_for().is_some_and(|waiting| waiting > timeout) {
            shared.fail(format!("the disk has not answered for {timeout:?}"));
            flight::refuse_all(shared);
            shared.applier.writer_is_gone();
            return;
        }
    }
}
