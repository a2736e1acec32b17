//! Numbers and what is estimated of them: means and standard errors. Owns the formulas; knows
//! nothing of records.
//!
//! A sample may fall into strata (the tasks of a benchmark): its mean is then the mean of the
//! strata's means, so that a large task counts no more than a small one.

use std::cmp::Ordering;

use crate::stages::sum::Sum;

/// Numbers in strata; of most samples there is one stratum. Both levels are sorted, so that
/// nothing computed of a sample depends on the order in which its numbers came.
#[derive(Clone, Debug)]
pub struct Sample {
    strata: Vec<Vec<f64>>,
}

impl Sample {
    /// Of finite numbers; strata without any do not count.
    pub fn new(mut strata: Vec<Vec<f64>>) -> Sample {
        strata.retain(|numbers| !numbers.is_empty());
        for numbers in &mut strata {
            numbers.sort_by(f64::total_cmp);
        }
        strata.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| compare(a, b)));
        Sample { strata }
    }

    /// The strata.
    pub fn strata(&self) -> &[Vec<f64>] {
        &self.strata
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.strata.iter().map(Vec::len).sum()
    }

    /// How many numbers each stratum has.
    pub fn shape(&self) -> Vec<usize> {
        self.strata.iter().map(Vec::len).collect()
    }

    /// The mean of the strata's means; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        average(self.strata.iter().map(|numbers| mean(numbers)))
    }

    /// The standard error of the mean: the sample standard deviation (divisor n - 1) over the
    /// root of n; over K strata the root of the sum of their squares, over K. None where a
    /// stratum has fewer than two numbers, whose spread is not known.
    pub fn stderr(&self) -> Option<f64> {
        if !self.has_spread() {
            return None;
        }
        let squares = self.strata.iter().map(|numbers| {
            let (n, mean) = (numbers.len() as f64, mean(numbers));
            let sum: Sum = numbers.iter().map(|x| (x - mean) * (x - mean)).collect();
            sum.total() / (n - 1.0) / n
        });
        let sum: Sum = squares.collect();
        finite(sum.total().sqrt() / self.strata.len() as f64)
    }

    /// True when every stratum has two numbers or more.
    pub fn has_spread(&self) -> bool {
        !self.strata.is_empty() && self.strata.iter().all(|numbers| numbers.len() > 1)
    }
}

fn compare(a: &[f64], b: &[f64]) -> Ordering {
    let pairs = a.iter().zip(b).map(|(x, y)| x.total_cmp(y));
    pairs.fold(Ordering::Equal, Ordering::then)
}

/// The mean of numbers; 0 of nothing.
pub fn mean(numbers: &[f64]) -> f64 {
    let sum: Sum = numbers.iter().copied().collect();
    sum.total() / numbers.len().max(1) as f64
}

/// The mean of means; none of nothing, or if the numbers are too large for one.
pub fn average(means: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = means.len();
    let sum: Sum = means.collect();
    (count > 0)
        .then(|| sum.total() / count as f64)
        .and_then(finite)
}

/// A number, unless it is infinite or not a number.
pub fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As numpy has them: `x.mean()`, `x.std(ddof=1) / sqrt(len(x))`.
    #[test]
    fn means_and_errors() {
        let sample = Sample::new(vec![vec![1.0, 0.0, 1.0, 1.0, 0.5]]);
        assert_eq!(sample.mean(), Some(0.7));
        let stderr = sample.stderr().expect("spread");
        assert!((stderr - 0.2).abs() < 1e-15, "{stderr}");
        let two = Sample::new(vec![vec![0.0, 2.0], vec![], vec![3.0, 3.0, 3.0]]);
        assert_eq!((two.mean(), two.stderr()), (Some(2.0), Some(0.5)));
    }

    #[test]
    fn one_number_has_no_spread_and_none_has_no_mean() {
        let of = |strata| {
            let sample = Sample::new(strata);
            (sample.mean(), sample.stderr())
        };
        assert_eq!(of(vec![]), (None, None));
        assert_eq!(of(vec![vec![]]), (None, None));
        assert_eq!(of(vec![vec![0.3]]), (Some(0.3), None));
        assert_eq!(of(vec![vec![0.3], vec![0.1, 0.3]]).1, None);
        assert_eq!(of(vec![vec![f64::MAX, f64::MAX]]), (None, None));
    }
}
