//! Resampling: the bootstrap and the test by random signs. Owns the draws and the p-values'
//! definitions; knows nothing of records.
//!
//! Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile interval:
//! chapter 13; test of a mean against 0, by samples moved to it: chapter 16). Random signs:
//! Fisher, The Design of Experiments, 1935; for paired scores of systems Yeh, More accurate
//! tests for the statistical significance of result differences, COLING 2000. The ones that
//! are added in p-values: Davison and Hinkley, Bootstrap Methods and their Application, 1997,
//! section 4.2; Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology
//! 9, 2010.

use super::sample::{Sample, mean};
use crate::rng::Draws;

/// What part of the sizes of all numbers two sums may differ by and still count as equal:
/// far above what rounding does.
const SLACK: f64 = 1e-12;

/// Samples that are resampled together: enough to share the draws, few enough to stay in the
/// processor's cache.
const TOGETHER: usize = 16;

/// Gives `take` the number of each sample whose spread is known, with how far the means of its
/// resamples are from its own, in ascending order. The result for a sample depends on it and
/// the seed alone.
pub fn bootstrap_each(
    samples: &[&Sample],
    resamples: usize,
    seed: u64,
    mut take: impl FnMut(usize, &[f64]),
) {
    let mut shapes: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        if resamples == 0 || !sample.has_spread() {
            continue;
        }
        let shape = sample.shape();
        match shapes.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, alike)) => alike.push(at),
            None => shapes.push((shape, vec![at])),
        }
    }
    for part in shapes.iter().flat_map(|(_, alike)| alike.chunks(TOGETHER)) {
        let together: Vec<&Sample> = part.iter().map(|at| samples[*at]).collect();
        let deviations = bootstrap(&together, resamples, seed);
        for (at, deviations) in part.iter().zip(&deviations) {
            take(*at, deviations);
        }
    }
}

/// How far the means of `resamples` resamples are from the sample's own, in ascending order,
/// of samples of the same shape. Every stratum is drawn from itself, with replacement. All
/// samples see the same draws, as if each came alone.
fn bootstrap(samples: &[&Sample], resamples: usize, seed: u64) -> Vec<Vec<f64>> {
    let Some(first) = samples.first() else {
        return Vec::new();
    };
    // Deviations from the means, so that equal numbers give exactly no spread; the numbers of
    // one place in all samples lie together.
    let width = samples.len();
    let shape = first.shape();
    let strata: Vec<Vec<f64>> = (0..shape.len())
        .map(|stratum| {
            let columns: Vec<(&[f64], f64)> = samples
                .iter()
                .map(|sample| &*sample.strata()[stratum])
                .map(|numbers| (numbers, mean(numbers)))
                .collect();
            let weight = 1.0 / (shape[stratum] * shape.len()) as f64;
            let place = |at: usize| columns.iter().map(move |(x, mean)| (x[at] - mean) * weight);
            (0..shape[stratum]).flat_map(place).collect()
        })
        .collect();
    let mut draws = Draws::seed(seed);
    let mut found = vec![Vec::with_capacity(resamples); width];
    let mut sums = vec![0.0; width];
    for _ in 0..resamples {
        sums.fill(0.0);
        for (numbers, count) in strata.iter().zip(&shape) {
            let count = u32::try_from(*count).unwrap_or(u32::MAX);
            for _ in 0..count {
                let at = draws.below(count) as usize * width;
                let place = numbers.get(at..at + width).unwrap_or_default();
                for (sum, number) in sums.iter_mut().zip(place) {
                    *sum += number;
                }
            }
        }
        for (found, sum) in found.iter_mut().zip(&sums) {
            found.push(*sum);
        }
    }
    for found in &mut found {
        found.sort_by(f64::total_cmp);
    }
    found
}

/// The quantile of sorted numbers, linear between the two nearest: definition 7 of Hyndman
/// and Fan, The American Statistician 50, 1996, which is numpy's default. None of nothing.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place.floor();
    let low = *sorted.get(below as usize)?;
    let high = *sorted.get((below as usize + 1).min(last))?;
    Some(low + (high - low) * (place - below))
}

/// The two-sided p-value of a mean, from the bootstrap's deviations: how often a resample is
/// as far from the sample's mean as that is from 0; with one added to both counts.
pub fn bootstrap_p(mean: f64, deviations: &[f64]) -> f64 {
    let far = mean.abs() * (1.0 - SLACK);
    let count = deviations.iter().filter(|x| x.abs() >= far).count();
    (count + 1) as f64 / (deviations.len() + 1) as f64
}

/// The two-sided p-value of a mean when every number might as well have the other sign: how
/// often random signs bring the mean as far from 0; with one added to both counts.
pub fn sign_p(sample: &Sample, resamples: usize, seed: u64) -> f64 {
    let strata = sample.strata();
    let weighted = strata.iter().flat_map(|numbers| {
        let weight = 1.0 / (numbers.len() * strata.len()) as f64;
        numbers.iter().map(move |x| x * weight)
    });
    // The sign of nothing does not matter.
    let numbers: Vec<f64> = weighted.filter(|x| *x != 0.0).collect();
    let size: f64 = numbers.iter().map(|x| x.abs()).sum();
    let far = numbers.iter().sum::<f64>().abs() - size * SLACK;
    let mut draws = Draws::seed(seed);
    let mut count = 0;
    for _ in 0..resamples {
        let mut sum = 0.0;
        for part in numbers.chunks(32) {
            let mut bits = draws.bits();
            for number in part {
                sum += if bits & 1 == 0 { *number } else { -number };
                bits >>= 1;
            }
        }
        count += usize::from(sum.abs() >= far);
    }
    (count + 1) as f64 / (resamples + 1) as f64
}

/// Holm's step-down correction of p-values that belong together (Scandinavian Journal of
/// Statistics 6, 1979), in their order.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        let factor = (p_values.len() - rank) as f64;
        least = least.max((p_values[at] * factor).min(1.0));
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(numbers: &[f64]) -> Sample {
        Sample::new(vec![numbers.to_vec()])
    }

    #[test]
    fn quantiles_are_numpys() {
        let numbers = [0.0, 1.0, 4.0, 10.0];
        // numpy.quantile(x, [0, 0.025, 0.5, 0.9, 1])
        for (share, expected) in [
            (0.0, 0.0),
            (0.025, 0.075),
            (0.5, 2.5),
            (0.9, 8.2),
            (1.0, 10.0),
        ] {
            let found = quantile(&numbers, share).expect("numbers");
            assert!((found - expected).abs() < 1e-12, "{share}: {found}");
        }
        assert_eq!(
            (quantile(&[], 0.5), quantile(&[3.0], 0.9)),
            (None, Some(3.0))
        );
    }

    /// Of many 0/1 scores the interval is that of the normal approximation.
    #[test]
    fn intervals_have_the_right_width() {
        let numbers: Vec<f64> = (0..400).map(|n| f64::from(u8::from(n % 4 == 0))).collect();
        let of = sample(&numbers);
        let spread = of.stderr().expect("spread");
        let deviations = bootstrap(&[&of], 4000, 1).remove(0);
        for (share, expected) in [(0.025, -1.96), (0.975, 1.96), (0.5, 0.0)] {
            let found = quantile(&deviations, share).expect("numbers") / spread;
            assert!((found - expected).abs() < 0.12, "{share}: {found}");
        }
        let same = bootstrap(&[&sample(&[0.1; 7])], 50, 1).remove(0);
        assert_eq!(same, [0.0; 50]);
    }

    #[test]
    fn neither_order_nor_company_matters() {
        let forward = [0.1, 0.9, 0.4, 0.0, 0.4];
        let mut backward = forward;
        backward.reverse();
        let (a, b, other) = (sample(&forward), sample(&backward), sample(&[1.0; 5]));
        let alone = bootstrap(&[&a], 100, 7).remove(0);
        assert_eq!(bootstrap(&[&other, &b], 100, 7).remove(1), alone);
        assert_ne!(bootstrap(&[&a], 100, 8).remove(0), alone);
        assert_eq!(sign_p(&a, 100, 7), sign_p(&b, 100, 7));
    }

    #[test]
    fn strata_are_drawn_from_themselves() {
        let constant = Sample::new(vec![vec![0.0; 9], vec![1.0; 4]]);
        assert_eq!(bootstrap(&[&constant], 20, 1).remove(0), [0.0; 20]);
    }

    /// The exact p-value of six differences of one sign is 2 / 2^6.
    #[test]
    fn p_values_are_those_of_the_definitions() {
        let all = sample(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
        let p = sign_p(&all, 20_000, 3);
        assert!((p - 2.0 / 64.0).abs() < 0.004, "{p}");
        assert_eq!(sign_p(&sample(&[0.0; 9]), 99, 3), 1.0);
        assert_eq!(sign_p(&sample(&[0.7]), 99, 3), 1.0);
        assert_eq!(bootstrap_p(0.5, &[-0.6, -0.1, 0.2, 0.5]), 0.6);
        assert_eq!(bootstrap_p(0.0, &[0.0; 9]), 1.0);
    }

    /// In ascending order: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which may not be less.
    #[test]
    fn holms_correction_steps_down() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
