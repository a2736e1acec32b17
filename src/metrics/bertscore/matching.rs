//! Greedy matching: precision, recall and F1 from the cosines of all pairs of tokens. Knows no
//! model.

/// The cosines of a prediction's tokens (rows) with a reference's (columns), and what each token
/// weighs.
pub struct Cosines<'a> {
    /// Row by row.
    pub cosines: &'a [f32],
    /// Weights of the prediction's tokens.
    pub prediction: &'a [f32],
    /// Weights of the reference's tokens.
    pub reference: &'a [f32],
}

impl Cosines<'_> {
    /// Precision, recall and F1. A best cosine below 0 counts 0.
    pub fn scores(&self) -> [f64; 3] {
        let mut best_row = vec![0f32; self.prediction.len()];
        let mut best_column = vec![0f32; self.reference.len()];
        let rows = self.cosines.chunks_exact(self.reference.len().max(1));
        for (row, best) in rows.zip(&mut best_row) {
            for (cosine, other) in row.iter().zip(&mut best_column) {
                // Rounding can take it above 1.
                let cosine = cosine.min(1.0);
                *best = best.max(cosine);
                *other = other.max(cosine);
            }
        }
        let precision = mean(&best_row, self.prediction);
        let recall = mean(&best_column, self.reference);
        let sum = precision + recall;
        let f1 = if sum > 0.0 {
            2.0 * precision * recall / sum
        } else {
            0.0
        };
        [precision, recall, f1]
    }
}

/// The weighted mean; 0 if nothing weighs anything.
fn mean(values: &[f32], weights: &[f32]) -> f64 {
    let products = values
        .iter()
        .zip(weights)
        .map(|(value, weight)| f64::from(*value) * f64::from(*weight));
    let sum: f64 = products.sum();
    let weight: f64 = weights.iter().copied().map(f64::from).sum();
    if weight > 0.0 { sum / weight } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_best_match() {
        let cosines = [0.5, 0.25, -0.5, -0.25];
        let scores = Cosines {
            cosines: &cosines,
            prediction: &[1.0, 1.0],
            reference: &[3.0, 1.0],
        };
        let recall = (3.0 * 0.5 + 0.25) / 4.0;
        assert_eq!(
            scores.scores(),
            [0.25, recall, 2.0 * 0.25 * recall / (0.25 + recall)]
        );
    }

    #[test]
    fn nothing_that_weighs_gives_zero() {
        let scores = Cosines {
            cosines: &[1.0],
            prediction: &[0.0],
            reference: &[0.0],
        };
        assert_eq!(scores.scores(), [0.0; 3]);
        let scores = Cosines {
            cosines: &[],
            prediction: &[],
            reference: &[],
        };
        assert_eq!(scores.scores(), [0.0; 3]);
    }
}
