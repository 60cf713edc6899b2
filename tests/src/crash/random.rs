//! Numbers that look random and follow from a seed: the same in the process that writes and in the one that checks.

/// A sequence of numbers (splitmix64, by Sebastiano Vigna).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The sequence of a seed and what it is for.
    pub fn of(seed: u64, purpose: u64) -> Self {
        Random(mix(seed ^ mix(purpose)))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number from `0` to `below - 1`; 0 when there is none.
    pub fn below(&mut self, below: u64) -> u64 {
        self.number() % below.max(1)
    }

    /// One of so many times, on average.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A number from `least` to `most`, each order of magnitude as likely as the others.
    pub fn magnitude(&mut self, least: u64, most: u64) -> u64 {
        let (least, most) = (least.max(1), most.max(1));
        #[expect(clippy::cast_precision_loss, reason = "a size, not an identity")]
        let (share, ratio) = (self.number() as f64 / u64::MAX as f64, most as f64 / least as f64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between the two"
        )]
        let number = (least as f64 * ratio.powf(share)) as u64;
        number.clamp(least, most.max(least))
    }
}

/// Mixes all bits of a number.
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let numbers = |seed| std::array::from_fn::<u64, 8, _>(|_| 0).map(|_| Random::of(seed, 1).number());
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn magnitudes_keep_to_their_bounds() {
        let mut random = Random::new(1);
        let sizes: Vec<u64> = (0..10_000).map(|_| random.magnitude(20, 1 << 20)).collect();
        assert!(sizes.iter().all(|size| (20..=1 << 20).contains(size)));
        assert!(sizes.iter().any(|size| *size < 40) && sizes.iter().any(|size| *size > 500_000));
    }
}
