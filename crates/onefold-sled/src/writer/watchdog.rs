//! The watchdog: when the disk does not answer in time, it answers in the writer's place. When sled or the beacon does not,
//! it poisons; and when the end then does not come, it says so to whoever waits for it.

use std::sync::Arc;
use std::time::Duration;

use onefold_core::journal::CloseError;

use super::flight;
use crate::shared::Shared;
use crate::timer::Timer;

/// The thread.
pub(crate) fn run(shared: &Arc<Shared>) {
    let timeout = shared.config.watchdog_timeout;
    let period = (timeout / 4).clamp(Duration::from_millis(2), Duration::from_secs(1));
    let mut gave_up = false;
    while shared.tick.sleep(period) {
        let late = |timer: &Timer| timer.waiting_for().is_some_and(|waiting| waiting > timeout);
        let (store, beacon, redo) = (late(&shared.store_timer), late(&shared.beacon.timer), late(&shared.flight.timer));
        if store {
            // The writer is not stuck itself: it will see the poison, and answer.
            shared.fail(format!("sled has not answered for {timeout:?}"));
        }
        if beacon {
            shared.fail(format!("the beacon could not be written for {timeout:?}"));
        }
        if redo && !gave_up {
            shared.fail(format!("the disk has not answered for {timeout:?}"));
            flight::refuse_all(shared);
            shared.applier.writer_is_gone();
            gave_up = true;
        }
        // Whoever is stuck will not bring the journal to its end.
        if (store || beacon)
            && shared.applier.is_end_wanted()
            && let Some(reason) = shared.poison.reason()
        {
            shared.set_closed(Err(CloseError { reason }));
        }
    }
}
