//! Random numbers for the load: seeded, eight bytes of state, a few instructions each.
//!
//! Every client has its own, so that nothing is shared per operation and a run can be repeated. SplitMix64, by Steele,
//! Lea and Flood, "Fast splittable pseudorandom number generators" (2014).

/// A generator.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The generator of one client in one round: streams of different clients don't overlap in practice.
    pub(crate) fn new(seed: u64, round: u64, client: u64) -> Self {
        Rng(mix(seed ^ mix(round ^ mix(client))))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `0..bound`; the bias is below 2^-32 for every bound that fits an aggregate's number.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Uniform in `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Turns similar numbers into dissimilar ones.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_range_and_differ_by_client() {
        let (mut one, mut other) = (Rng::new(1, 0, 0), Rng::new(1, 0, 1));
        assert_ne!(one.bits(), other.bits());
        let mut seen = [false; 10];
        for _ in 0..1_000 {
            seen[one.below(10) as usize] = true;
            assert!((0.0..1.0).contains(&one.unit()));
        }
        assert_eq!(seen, [true; 10]);
    }
}
