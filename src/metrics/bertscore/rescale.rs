//! Rescaling with a baseline: what unrelated texts get becomes 0, and 1 stays 1. Owns the file
//! format, which is bert-score's.

use std::path::Path;

use crate::diag::Diagnostic;

/// What unrelated texts get: precision, recall and F1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline(pub [f64; 3]);

impl Baseline {
    /// `(score - baseline) / (1 - baseline)`, for each of precision, recall and F1.
    pub fn apply(self, scores: [f64; 3]) -> [f64; 3] {
        let mut scores = scores;
        for (score, base) in scores.iter_mut().zip(self.0) {
            *score = (*score - base) / (1.0 - base);
        }
        scores
    }

    /// The row of a layer in a file with the columns `LAYER,P,R,F`.
    ///
    /// # Errors
    /// The file cannot be read, has other columns, no such layer, or values that are not below 1.
    pub fn read(path: &Path, layer: usize) -> Result<Baseline, Diagnostic> {
        let shown = path.display();
        let fault = |why: String| Diagnostic::error(format!("`{shown}`: {why}"));
        let mut file = csv::Reader::from_path(path).map_err(|e| fault(e.to_string()))?;
        let header = file.headers().map_err(|e| fault(e.to_string()))?;
        if header != vec!["LAYER", "P", "R", "F"] {
            return Err(fault("the columns are not `LAYER,P,R,F`".to_owned()));
        }
        for row in file.deserialize::<(usize, f64, f64, f64)>() {
            let (number, p, r, f) = row.map_err(|e| fault(e.to_string()))?;
            if number != layer {
                continue;
            }
            let values = [p, r, f];
            if values.iter().all(|value| (-1.0..1.0).contains(value)) {
                return Ok(Baseline(values));
            }
            let what = format!("the values of layer {layer} are not between -1 and 1");
            return Err(fault(what));
        }
        Err(fault(format!("no row for layer {layer}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_layer() {
        let temp = tempfile::tempdir().expect("a folder");
        let path = temp.path().join("b.csv");
        let read = |text: &str, layer| {
            std::fs::write(&path, text).expect("written");
            Baseline::read(&path, layer).map_err(|fault| fault.message)
        };
        let table = "LAYER,P,R,F\n0,0.1,0.2,0.3\n1,0.5,0.5,0.5\n2,0.5,1,0.5\n";
        assert_eq!(read(table, 0), Ok(Baseline([0.1, 0.2, 0.3])));
        let half = read(table, 1).expect("read");
        assert_eq!(half.apply([1.0, 0.5, 0.0]), [1.0, 0.0, -1.0]);
        assert!(read(table, 2).is_err_and(|why| why.contains("layer 2")));
        assert!(read(table, 3).is_err_and(|why| why.contains("no row")));
        assert!(read("a,b\n1,2\n", 0).is_err_and(|why| why.contains("columns")));
        assert!(read("LAYER,P,R,F\n0,x,0,0\n", 0).is_err());
    }
}
