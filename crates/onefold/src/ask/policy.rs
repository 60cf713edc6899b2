//! How often, and after which pauses, a command is tried again: pure, so that it can be read and tested at a glance.

use std::time::Duration;

/// How a command is retried. See [`Ask::retry`](crate::Ask::retry).
///
/// The pause before the second attempt is drawn from nothing up to `backoff_min`, before the third from twice that, and so on
/// up to `backoff_max`: exponential back-off with full jitter, after
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
///
/// What makes no sense is brought within bounds: at least one attempt and at most
/// [`ATTEMPTS_MAX`](RetryPolicy::ATTEMPTS_MAX), a `backoff_min` of at least [`BACKOFF_LEAST`](RetryPolicy::BACKOFF_LEAST), a
/// `backoff_max` that is not below it.
///
/// ```
/// use onefold::RetryPolicy;
/// let patient = RetryPolicy { attempts: 10, ..RetryPolicy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often the command is sent at most, the first time included. Default: 5.
    pub attempts: u32,
    /// The longest pause before the second attempt; it doubles from attempt to attempt. Default: 10 ms.
    pub backoff_min: Duration,
    /// What no pause exceeds, but one that the error asks for. Default: 1 s.
    pub backoff_max: Duration,
    /// How pauses are drawn. Default: [`Jitter::Full`].
    pub jitter: Jitter,
}

/// How a pause is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// Anything between nothing and the back-off. Callers that were refused together don't come back together.
    #[default]
    Full,
    /// Exactly the back-off.
    None,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 5,
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_secs(1),
            jitter: Jitter::Full,
        }
    }
}

impl RetryPolicy {
    /// No more attempts than these.
    pub const ATTEMPTS_MAX: u32 = 100;

    /// The least that the back-off begins with.
    pub const BACKOFF_LEAST: Duration = Duration::from_millis(1);

    /// The same within bounds.
    pub(super) fn bounded(self) -> Self {
        let backoff_min = self.backoff_min.max(Self::BACKOFF_LEAST);
        RetryPolicy {
            attempts: self.attempts.clamp(1, Self::ATTEMPTS_MAX),
            backoff_min,
            backoff_max: self.backoff_max.max(backoff_min),
            jitter: self.jitter,
        }
    }

    /// The pause after the attempt of that number, counted from 1, by a random number; at least what the error asks for.
    pub(super) fn pause(&self, attempt: u32, random: u64, retry_after: Option<Duration>) -> Duration {
        let factor = 1u32.checked_shl(attempt - 1).unwrap_or(u32::MAX);
        let backoff = self.backoff_min.saturating_mul(factor).min(self.backoff_max);
        let drawn = match self.jitter {
            Jitter::None => backoff,
            Jitter::Full => share(backoff, random),
        };
        drawn.max(retry_after.unwrap_or_default())
    }
}

/// As much of `whole` as the upper 32 bits of the random number are of all that they can be.
fn share(whole: Duration, random: u64) -> Duration {
    // The longest duration has less than 95 bits of nanoseconds.
    let nanos = whole.as_nanos() * u128::from(random >> 32) / u128::from(u32::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "no more than the whole, which is a duration")]
    let (seconds, rest) = ((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32);
    Duration::new(seconds, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy { attempts: 9, backoff_min: 10 * MS, backoff_max: 100 * MS, jitter: Jitter::None };
        let pauses = [1, 2, 3, 4, 5, 33, 99].map(|attempt| policy.pause(attempt, 0, None));
        assert_eq!(pauses, [10, 20, 40, 80, 100, 100, 100].map(|ms| ms * MS));
    }

    #[test]
    fn full_jitter_draws_from_nothing_to_the_whole() {
        let policy = RetryPolicy { backoff_min: 10 * MS, ..RetryPolicy::default() };
        assert_eq!(policy.pause(1, 0, None), Duration::ZERO);
        assert_eq!(policy.pause(1, u64::MAX, None), 10 * MS);
        assert_eq!(policy.pause(3, u64::MAX, None), 40 * MS);
        let half = policy.pause(1, u64::MAX / 2, None);
        assert!(half > 4 * MS && half < 6 * MS, "{half:?}");
    }

    #[test]
    fn the_error_may_ask_for_more_and_never_gets_less() {
        let policy = RetryPolicy { backoff_min: 10 * MS, backoff_max: 20 * MS, ..RetryPolicy::default() };
        assert_eq!(policy.pause(1, 0, Some(300 * MS)), 300 * MS);
        assert_eq!(policy.pause(1, u64::MAX, Some(MS)), 10 * MS);
    }

    #[test]
    fn what_makes_no_sense_is_brought_within_bounds() {
        let wild =
            RetryPolicy { attempts: 0, backoff_min: Duration::ZERO, backoff_max: Duration::ZERO, jitter: Jitter::Full };
        assert_eq!(wild.bounded(), RetryPolicy { attempts: 1, backoff_min: MS, backoff_max: MS, jitter: Jitter::Full });
        let wilder = RetryPolicy { attempts: u32::MAX, backoff_min: Duration::MAX, ..wild }.bounded();
        assert_eq!((wilder.attempts, wilder.backoff_max), (RetryPolicy::ATTEMPTS_MAX, Duration::MAX));
        assert_eq!(wilder.pause(99, u64::MAX, None), Duration::MAX);
        assert_eq!(RetryPolicy::default().bounded(), RetryPolicy::default());
    }
}
