//! A small seeded generator (SplitMix64), so that every run and every peer
//! sees the same commands.

/// One client's stream of random numbers.
pub(crate) struct Random(u64);

impl Random {
    /// The same `seed` always yields the same numbers.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`. The bias is below 2^-40 for our bounds.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// `bytes` lowercase hexadecimal digits: text, so that stores which keep
    /// JSON hold the same payload as stores which keep bytes.
    pub(crate) fn payload(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes);
        while text.len() < bytes {
            let digits = self.next();
            for shift in (0..64).step_by(4).take(bytes - text.len()) {
                text.push(char::from(b"0123456789abcdef"[((digits >> shift) & 0xf) as usize]));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_the_bound_and_payloads_have_the_size() {
        let mut random = Random::new(1);
        for bound in [1, 2, 100_000] {
            assert!((0..1_000).all(|_| random.below(bound) < bound));
        }
        for bytes in [1, 16, 80, 81] {
            assert_eq!(random.payload(bytes).len(), bytes);
        }
    }
}
