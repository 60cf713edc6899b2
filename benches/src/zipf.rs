//! Zipf-distributed ranks: few aggregates get most commands, as in real services.
//!
//! The method of Gray et al., "Quickly generating billion-record synthetic databases" (SIGMOD 1994), with YCSB's
//! exponent 0.99: over 100,000 aggregates the first gets 8 % of all commands, the first hundred 39 %.

use crate::rng::Rng;

const EXPONENT: f64 = 0.99;

/// Draws ranks from 0, the most frequent, up to `count - 1`.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    count: f64,
    alpha: f64,
    zeta: f64,
    eta: f64,
    second: f64,
}

impl Zipf {
    /// Over `count` ranks. Sums `count` terms: make one and clone it.
    pub(crate) fn new(count: u32) -> Self {
        let zeta_to = |last: u32| (1..=last).map(|rank| f64::from(rank).powf(-EXPONENT)).sum::<f64>();
        let (zeta, zeta_two) = (zeta_to(count), zeta_to(2));
        let count = f64::from(count);
        let eta = (1.0 - (2.0 / count).powf(1.0 - EXPONENT)) / (1.0 - zeta_two / zeta);
        Zipf { count, alpha: 1.0 / (1.0 - EXPONENT), zeta, eta, second: zeta_two }
    }

    /// A rank.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and count, a u32")]
    pub(crate) fn rank(&self, rng: &mut Rng) -> u32 {
        let unit = rng.unit();
        let scaled = unit * self.zeta;
        match scaled {
            _ if scaled < 1.0 || self.count < 2.0 => 0,
            _ if scaled < self.second || self.count < 3.0 => 1,
            _ => (self.count * (self.eta * unit - self.eta + 1.0).powf(self.alpha)).min(self.count - 1.0) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ranks_are_as_frequent_as_zipf_says() {
        let (zipf, mut rng) = (Zipf::new(100_000), Rng::new(7, 0, 0));
        let mut first = 0;
        let mut first_hundred = 0;
        for _ in 0..100_000 {
            let rank = zipf.rank(&mut rng);
            assert!(rank < 100_000);
            first += u32::from(rank == 0);
            first_hundred += u32::from(rank < 100);
        }
        assert!((7_400..8_400).contains(&first), "{first}");
        assert!((37_000..43_000).contains(&first_hundred), "{first_hundred}");
    }

    #[test]
    fn tiny_counts_work() {
        for count in 1..4 {
            let (zipf, mut rng) = (Zipf::new(count), Rng::new(7, 0, 0));
            assert!((0..1_000).all(|_| zipf.rank(&mut rng) < count), "{count}");
        }
    }
}
