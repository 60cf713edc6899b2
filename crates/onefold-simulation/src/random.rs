//! A small generator of its own (splitmix64): the same numbers everywhere, for ever.

use std::time::Duration;

/// Random numbers from a seed. Everything that a simulation decides comes from one of these.
///
/// ```
/// use onefold_simulation::Random;
/// let (mut one, mut other) = (Random::new(7), Random::new(7));
/// assert_eq!(one.below(1_000), other.below(1_000));
/// assert!(one.between(3, 5) <= 5);
/// ```
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of that seed. Seeds next to each other give unrelated numbers.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed ^ 0x6F6E_6566_6F6C_6421);
        random.next_u64();
        random
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 when the limit is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_u64() % limit.max(1)
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least).saturating_add(1))
    }

    /// A place in a list of that length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// True in `per_mille` of 1,000 times.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        // Nothing is drawn for what never happens.
        per_mille > 0 && self.below(1_000) < u64::from(per_mille)
    }

    /// One of `choices`.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())].clone()
    }

    /// A time below `limit`, in microseconds.
    pub fn time_below(&mut self, limit: Duration) -> Duration {
        match u64::try_from(limit.as_micros()).unwrap_or(u64::MAX) {
            0 => Duration::ZERO,
            micros => Duration::from_micros(self.below(micros)),
        }
    }

    /// A generator of its own, for a part of the simulation.
    pub fn fork(&mut self) -> Self {
        Random::new(self.next_u64())
    }
}
