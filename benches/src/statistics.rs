//! Medians: what a table shows of several rounds, because one slow second of a shared disk moves a mean. And how sure they are.

use crate::rng::Rng;

/// So many times a sample is drawn again from itself.
const RESAMPLES: u32 = 4_000;

/// The seed of that: the same values give the same answer.
const SEED: u64 = 0x0b00_7574;

/// A median, and where it lies with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The median of some values, and by the percentile bootstrap how far it can be trusted: what the medians of samples are that
/// are drawn from the values themselves, with replacement. Efron, "Bootstrap methods: another look at the jackknife" (1979).
pub(crate) fn estimate(values: &[f64]) -> Option<Estimate> {
    let median_of_all = median(values.iter().copied())?;
    let count = u32::try_from(values.len()).ok()?;
    let mut rng = Rng::new(SEED, 0, 0);
    let mut draw = |_| median((0..count).map(|_| values[rng.below(count) as usize])).unwrap_or(median_of_all);
    let mut medians: Vec<f64> = (0..RESAMPLES).map(&mut draw).collect();
    medians.sort_by(f64::total_cmp);
    let at = |per_mille: usize| medians[medians.len() * per_mille / 1_000];
    Some(Estimate { median: median_of_all, low: at(25), high: at(975) })
}

/// The median; of an even number of values the mean of the middle two. `None` of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The median of the quotients of pairs: each round of one kind over the round of the other kind right beside it.
pub(crate) fn median_ratio(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    median(pairs.into_iter().filter(|(_, below)| *below > 0.0).map(|(above, below)| above / below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(estimate(&[]), None);
        assert_eq!(estimate(&[2.0]), Some(Estimate { median: 2.0, low: 2.0, high: 2.0 }));
        assert_eq!(median_ratio([(1.0, 2.0), (3.0, 0.0), (9.0, 3.0), (1.0, 1.0)]), Some(1.0));
    }
    /// Of twenty-one values whose median is known, drawn a hundred times: the range holds it nearly always, and is not so wide
    /// that it tells nothing.
    #[test]
    fn a_median_lies_where_its_estimate_says() {
        let mut rng = Rng::new(7, 0, 0);
        let estimates = (0..100).map(|_| {
            let values: Vec<f64> = (0..21).map(|_| 1.0 + (rng.unit() - 0.5) * 0.4).collect();
            estimate(&values).unwrap()
        });
        let estimates: Vec<Estimate> = estimates.collect();
        let held = estimates.iter().filter(|estimate| (estimate.low..=estimate.high).contains(&1.0)).count();
        assert!((88..=100).contains(&held), "{held} of 100");
        let width = median(estimates.iter().map(|estimate| estimate.high - estimate.low)).unwrap();
        assert!((0.05..0.25).contains(&width), "{width}");
    }
}
