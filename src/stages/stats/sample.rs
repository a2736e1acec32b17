//! Numbers and what is estimated of them: means and standard errors. Owns the formulas; knows
//! nothing of records.
//!
//! A sample may fall into strata (the tasks of a benchmark): its mean is then the mean of the
//! strata's means, so that a large task counts no more than a small one.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::stages::sum::Sum;

/// Numbers in strata; of most samples there is one stratum. Both levels are sorted, so that
/// nothing computed of a sample depends on the order in which its numbers came.
#[derive(Clone, Debug)]
pub struct Sample {
    strata: Vec<Vec<f64>>,
    /// How many numbers it was made of, if not as many as it has.
    count: Option<usize>,
}

/// A number, and what it belongs to: numbers of one cluster (the questions about one note, say,
/// or one question asked again) are not independent of each other.
#[derive(Clone, Copy, Debug)]
pub struct Clustered {
    /// The number.
    pub number: f64,
    /// Its cluster.
    pub cluster: u128,
}

impl Sample {
    /// Of finite numbers; strata without any do not count.
    pub fn new(mut strata: Vec<Vec<f64>>) -> Sample {
        strata.retain(|numbers| !numbers.is_empty());
        for numbers in &mut strata {
            numbers.sort_by(f64::total_cmp);
        }
        strata.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| compare(a, b)));
        Sample {
            strata,
            count: None,
        }
    }

    /// Of numbers in clusters: one number for each cluster, which has the mean and the spread
    /// that the clusters give the mean. With C clusters of n_c numbers with sums S_c, N numbers
    /// in all and their mean m, it is m + (S_c - m n_c) C / N. Its standard error is then the
    /// cluster-robust one, √(C/(C-1) Σ (S_c - m n_c)²) / N (Liang and Zeger, Biometrika 73,
    /// 1986; for scores of models: Miller, Adding Error Bars to Evals, arXiv 2411.00640), and
    /// its resamples are those of clusters.
    pub fn clustered(strata: Vec<Vec<Clustered>>) -> Sample {
        let whole = |numbers: &[Clustered]| {
            let mean = mean(&numbers.iter().map(|x| x.number).collect::<Vec<f64>>());
            let scale = |clusters: usize| clusters as f64 / numbers.len() as f64;
            let sums = sums(numbers);
            let scale = scale(sums.len());
            sums.into_iter()
                .map(|(sum, count)| mean + (sum - mean * count as f64) * scale)
                .collect()
        };
        Sample::of_clusters(&strata, whole)
    }

    /// Of numbers in clusters that are tested against 0: one number for each cluster, its sum
    /// times C / N. The mean is that of all numbers, and signs change cluster by cluster.
    pub fn cluster_sums(strata: Vec<Vec<Clustered>>) -> Sample {
        Sample::of_clusters(&strata, |numbers| {
            let sums = sums(numbers);
            let scale = sums.len() as f64 / numbers.len() as f64;
            sums.into_iter().map(|(sum, _)| sum * scale).collect()
        })
    }

    fn of_clusters(
        strata: &[Vec<Clustered>],
        numbers: impl Fn(&[Clustered]) -> Vec<f64>,
    ) -> Sample {
        let count = strata.iter().map(Vec::len).sum();
        Sample {
            count: Some(count),
            ..Sample::new(strata.iter().map(|stratum| numbers(stratum)).collect())
        }
    }

    /// How many clusters there are; of single numbers, how many these are.
    pub fn clusters(&self) -> usize {
        self.strata.iter().map(Vec::len).sum()
    }

    /// The strata.
    pub fn strata(&self) -> &[Vec<f64>] {
        &self.strata
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.count.unwrap_or_else(|| self.clusters())
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

/// Sum and size of each cluster. Numbers are added in their order of size, so that theirs does
/// not matter.
fn sums(numbers: &[Clustered]) -> Vec<(f64, usize)> {
    let mut clusters: HashMap<u128, Vec<f64>> = HashMap::new();
    for Clustered { number, cluster } in numbers {
        clusters.entry(*cluster).or_default().push(*number);
    }
    let sum = |mut numbers: Vec<f64>| {
        numbers.sort_by(f64::total_cmp);
        let sum: Sum = numbers.iter().copied().collect();
        (sum.total(), numbers.len())
    };
    clusters.into_values().map(sum).collect()
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

    /// Equal numbers in clusters of k are worth one each; of single ones nothing changes.
    #[test]
    fn clusters_count_once() {
        let clustered = |numbers: &[(f64, u128)]| -> Vec<Vec<Clustered>> {
            let numbers = numbers.iter();
            let of = |(number, cluster): &(f64, u128)| Clustered {
                number: *number,
                cluster: *cluster,
            };
            vec![numbers.map(of).collect()]
        };
        let plain = Sample::new(vec![vec![1.0, 0.0, 1.0, 1.0, 0.5]]);
        let mut repeated = Vec::new();
        for (cluster, number) in [1.0, 0.0, 1.0, 1.0, 0.5].into_iter().enumerate() {
            repeated.extend([(number, cluster as u128); 3]);
        }
        for alike in [
            Sample::clustered(clustered(&repeated)),
            Sample::clustered(clustered(&[
                (1.0, 1),
                (0.0, 2),
                (1.0, 3),
                (1.0, 4),
                (0.5, 5),
            ])),
        ] {
            let near = |a: Option<f64>, b: Option<f64>| (a.unwrap() - b.unwrap()).abs() < 1e-15;
            assert!(near(alike.mean(), plain.mean()) && near(alike.stderr(), plain.stderr()));
            assert_eq!(alike.clusters(), 5);
        }
        assert_eq!(Sample::clustered(clustered(&repeated)).count(), 15);
        // By hand: sums 3, 0 and 1 of 3, 1 and 1 numbers, mean 0.8, residuals 0.6, -0.8, 0.2.
        let uneven = clustered(&[(1.0, 1), (1.0, 1), (1.0, 1), (0.0, 2), (1.0, 3)]);
        let stderr = Sample::clustered(uneven.clone()).stderr().expect("spread");
        let expected = (1.5_f64 * (0.36 + 0.64 + 0.04)).sqrt() / 5.0;
        assert!((stderr - expected).abs() < 1e-15, "{stderr} {expected}");
        let sums = Sample::cluster_sums(uneven);
        assert!((sums.mean().expect("a mean") - 0.8).abs() < 1e-15);
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
