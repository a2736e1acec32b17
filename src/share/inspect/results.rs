//! Scores of a whole chain: means with their standard errors, as Inspect computes them. Pure.

use serde_json::{Value as Json, json};

use super::Chain;
use super::sample::{Samples, columns_of};
use crate::record::Record;
use crate::report::page::Scorer;

/// The names of scorers, each once: their metric, or with the stage if it scores twice.
pub fn names(scorers: &[Scorer]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for scorer in scorers {
        let same = |name: &&String| {
            let name = name.as_str();
            name == scorer.metric || name.starts_with(&format!("{}-", scorer.metric))
        };
        let before = names.iter().filter(same).count();
        names.push(match before {
            0 => scorer.metric.clone(),
            _ => format!("{}-{}", scorer.metric, before + 1),
        });
    }
    names
}

/// What scored, with its settings.
pub fn scorers(scorers: &[Scorer]) -> Json {
    let names = names(scorers);
    let all = scorers.iter().zip(names).map(|(scorer, name)| {
        let options = match &scorer.options {
            options @ Json::Object(_) => options.clone(),
            _ => json!({}),
        };
        json!({
            "name": name, "options": options,
            "metrics": [{"name": "mean", "options": {}}, {"name": "stderr", "options": {}}],
            "metadata": {},
        })
    });
    all.collect()
}

/// The number that a record has in a field.
pub fn number(record: &Record, field: &str) -> Option<f64> {
    let value = record.fields.get(field)?;
    let number = match value.kind() {
        minijinja::value::ValueKind::Bool => f64::from(u8::from(value.is_true())),
        minijinja::value::ValueKind::Number => f64::try_from(value.clone()).ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Mean and standard error of each field that a scorer filled.
pub fn results(chain: &Chain<'_>, samples: &Samples) -> Json {
    let names = names(&chain.scorers);
    let mut scores = Vec::new();
    let scorers = chain.scorers.iter().zip(&names);
    for ((scorer, name), numbers) in scorers.zip(&samples.numbers) {
        let columns = columns_of(chain, scorer);
        for (column, numbers) in columns.iter().zip(numbers) {
            let mut metrics = json!({});
            if let Some((mean, stderr)) = mean(numbers) {
                metrics["mean"] = json!({"name": "mean", "value": mean, "params": {}});
                metrics["stderr"] = json!({"name": "stderr", "value": stderr, "params": {}});
            }
            scores.push(json!({
                // Inspect names a scorer's only number by the scorer.
                "name": if columns.len() == 1 { name } else { column },
                "scorer": name,
                "scored_samples": numbers.len(),
                "unscored_samples": chain.records.len() - numbers.len(),
                "params": {},
                "metrics": metrics,
                "metadata": {"field": column},
            }));
        }
    }
    json!({
        "total_samples": samples.json.len(),
        "completed_samples": chain.records.len(),
        "logged_samples": samples.json.len(),
        "scores": scores,
    })
}

/// Mean and its standard error: the sample's standard deviation (by n - 1) over the root of n; 0
/// of one number, as Inspect has it.
fn mean(numbers: &[f64]) -> Option<(f64, f64)> {
    if numbers.is_empty() {
        return None;
    }
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    if numbers.len() == 1 {
        return Some((mean, 0.0));
    }
    let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
    Some((mean, (squares / (n - 1.0) / n).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_errors() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[0.25]), Some((0.25, 0.0)));
        let (mean, error) = mean(&[1.0, 1.0, 0.0, 0.0]).expect("numbers");
        assert!(mean == 0.5 && (error - (1.0_f64 / 12.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn a_metric_that_scores_twice_has_two_names() {
        let scorer = |metric: &str| Scorer {
            stage: 0,
            metric: metric.to_owned(),
            prediction: None,
            reference: None,
            columns: Vec::new(),
            options: Json::Null,
        };
        let all = ["rouge", "icd", "rouge", "rouge"].map(scorer);
        assert_eq!(names(&all), ["rouge", "icd", "rouge-2", "rouge-3"]);
    }
}
