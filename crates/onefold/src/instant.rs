//! Points in time, also those beyond the clock's range: the longest timeouts mean for ever.

use std::time::Duration;

use tokio::time::Instant;

/// What stands for "for ever": about 30 years, as tokio's own timers have it.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// `limit` after `now`.
pub(crate) fn after(now: Instant, limit: Duration) -> Instant {
    now.checked_add(limit).unwrap_or_else(|| now + FOREVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_limit_is_for_ever() {
        let now = Instant::now();
        assert_eq!(after(now, Duration::from_secs(1)), now + Duration::from_secs(1));
        assert_eq!(after(now, Duration::MAX), now + FOREVER);
    }
}
