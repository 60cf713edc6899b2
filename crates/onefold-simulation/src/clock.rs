//! A time of day that jumps, in either direction.

use std::time::Duration;

use onefold_core::{Clock, Timestamp};
use parking_lot::Mutex;

use crate::Random;

/// Jumps now and then, by up to centuries; sometimes it stands still.
pub(crate) struct JumpingClock(Mutex<(Random, Timestamp)>);

impl JumpingClock {
    pub(crate) fn new(random: Random) -> Self {
        JumpingClock(Mutex::new((random, Timestamp::from_micros(1_700_000_000_000_000))))
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        let mut state = self.0.lock();
        let (random, now) = &mut *state;
        let micros = match random.below(16) {
            0 => random.next_u64() >> random.below(64),
            1 => now.as_micros().saturating_sub(random.below(3_600_000_000)),
            2..8 => now.as_micros(),
            _ => {
                now.as_micros().saturating_add(random.below(Duration::from_secs(1).as_micros().try_into().unwrap_or(1)))
            }
        };
        *now = Timestamp::from_micros(micros);
        *now
    }
}
