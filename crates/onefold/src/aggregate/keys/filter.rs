//! Tells of most keys that were never added that they were not, by a few bits: Bloom's filter, of 256 bits and two for each key.

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filter([u64; 4]);

impl Filter {
    pub(super) fn add(&mut self, hash: u64) {
        for (word, bit) in bits(hash) {
            self.0[word] |= bit;
        }
    }

    /// False only if no key with this hash was added.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        bits(hash).into_iter().all(|(word, bit)| self.0[word] & bit != 0)
    }
}

/// The two bits of a hash: which word, and which of it. From its upper half; tables look at the ends.
fn bits(hash: u64) -> [(usize, u64); 2] {
    let bit = |shift: u32| {
        let [index, ..] = (hash >> shift).to_le_bytes();
        (usize::from(index / 64), 1 << (index % 64))
    };
    [bit(32), bit(44)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was added is held, whatever else was; of what was not, few are taken for it.
    #[test]
    fn what_was_added_is_held() {
        let hash = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
        let mut filter = Filter::default();
        assert!(!filter.may_hold(0) && !filter.may_hold(u64::MAX));
        for number in 0..32 {
            filter.add(hash(number));
            assert!((0..=number).all(|number| filter.may_hold(hash(number))), "{number}");
        }
        let mistaken = (1_000..2_000).filter(|number| filter.may_hold(hash(*number))).count();
        assert!(mistaken < 200, "{mistaken} of 1,000");
    }
}
