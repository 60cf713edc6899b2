//! A percentile of many short rounds taken together, against that of the rounds beside them, and how sure the quotient is.
//!
//! The p99 of half a second is what the two or three pieces of work in the background made of it, and whether they were two
//! or three moves it twofold. Of all rounds together it is steady. How far it can be trusted is found by drawing the rounds
//! again from themselves, each with the ones beside it, so that a minute of an uneasy disk is in both or in neither.

use hdrhistogram::Histogram;

use crate::rng::Rng;
use crate::statistics::Estimate;

/// So many times the rounds are drawn again.
const RESAMPLES: usize = 1_000;

const SEED: u64 = 0x0b00_7575;

/// Latencies in nanoseconds, and how often there was each.
type Latencies = Vec<(u64, u64)>;

/// A round, and the rounds beside it.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    above: Latencies,
    below: Latencies,
}

impl Pair {
    pub(crate) fn new(round: &Histogram<u64>, beside: [&Histogram<u64>; 2]) -> Self {
        Pair { above: latencies(round).collect(), below: beside.into_iter().flat_map(latencies).collect() }
    }
}

fn latencies(histogram: &Histogram<u64>) -> impl Iterator<Item = (u64, u64)> {
    histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
}

/// The quotient of a quantile, and where it lies with a confidence of 95 %.
pub(crate) fn estimate(pairs: &[Pair], quantile: f64) -> Option<Estimate> {
    let rounds = Rounds::new(pairs);
    let count = u32::try_from(pairs.len()).ok()?;
    let ratio = rounds.ratio(&(0..pairs.len()).collect::<Vec<_>>(), quantile)?;
    let mut rng = Rng::new(SEED, 0, 0);
    let mut draw = |_| {
        let drawn: Vec<usize> = (0..count).map(|_| rng.below(count) as usize).collect();
        rounds.ratio(&drawn, quantile)
    };
    let mut ratios: Vec<f64> = (0..RESAMPLES).filter_map(&mut draw).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |per_mille: usize| ratios.get(ratios.len() * per_mille / 1_000).copied().unwrap_or(ratio);
    Some(Estimate { median: ratio, low: at(25), high: at(975) })
}

/// The rounds as counts of the same latencies, so that they can be summed up quickly.
struct Rounds {
    latencies: Vec<u64>,
    above: Vec<Vec<u64>>,
    below: Vec<Vec<u64>>,
}

impl Rounds {
    fn new(pairs: &[Pair]) -> Self {
        let all = pairs.iter().flat_map(|pair| pair.above.iter().chain(&pair.below));
        let mut latencies: Vec<u64> = all.map(|(latency, _)| *latency).collect();
        latencies.sort_unstable();
        latencies.dedup();
        let counts = |of: &Latencies| {
            let mut counts = vec![0; latencies.len()];
            for (latency, count) in of {
                counts[latencies.partition_point(|known| known < latency)] += count;
            }
            counts
        };
        let (above, below) = pairs.iter().map(|pair| (counts(&pair.above), counts(&pair.below))).unzip();
        Rounds { latencies, above, below }
    }

    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of minutes fit")]
    fn ratio(&self, drawn: &[usize], quantile: f64) -> Option<f64> {
        let above = self.quantile(drawn.iter().map(|round| &self.above[*round]), quantile)?;
        let below = self.quantile(drawn.iter().map(|round| &self.below[*round]), quantile)?;
        Some(above as f64 / below as f64)
    }

    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    fn quantile<'a>(&self, rounds: impl Iterator<Item = &'a Vec<u64>>, quantile: f64) -> Option<u64> {
        let mut sums = vec![0; self.latencies.len()];
        for round in rounds {
            sums.iter_mut().zip(round).for_each(|(sum, count)| *sum += count);
        }
        let rank = (sums.iter().sum::<u64>() as f64 * quantile).ceil() as u64;
        let mut seen = 0;
        let at = sums.iter().position(|count| {
            seen += count;
            seen >= rank.max(1)
        });
        at.map(|at| self.latencies[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rng: &mut Rng, scale: u32) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 1 << 40, 3).unwrap();
        (0..2_000).for_each(|_| histogram.record(u64::from(1_000 + rng.below(1_000)) * u64::from(scale)).unwrap());
        histogram
    }

    fn rounds(scale: u32) -> Vec<Pair> {
        let mut rng = Rng::new(3, 0, 0);
        let pair = |_| Pair::new(&round(&mut rng, scale), [&round(&mut rng, 100), &round(&mut rng, 100)]);
        (0..12).map(pair).collect()
    }

    #[test]
    fn what_does_not_differ_and_what_does_is_told_apart() {
        let same = estimate(&rounds(100), 0.99).unwrap();
        assert!(same.low <= 1.0 && 1.0 <= same.high && same.high - same.low < 0.05, "{same:?}");
        let slower = estimate(&rounds(110), 0.99).unwrap();
        assert!(slower.low > 1.05 && slower.low <= slower.median && slower.median <= slower.high, "{slower:?}");
        assert_eq!(estimate(&[], 0.99), None);
    }
}
