//! ROUGE as `score` computes it, without a pipeline around it.

use std::path::Path;
use std::time::{Duration, Instant};

use clue::metrics::rouge::Rouge;
use clue::metrics::{Metric, Pair};
use serde_json::Value;

/// Scores the pairs of a file of JSON lines over and over for a second, each time by a scorer that
/// has seen no word yet, and prints how many a second, and the mean of ROUGE-L.
pub fn score(path: &str, stem: bool) {
    let text = std::fs::read_to_string(path).expect("a file");
    let pairs: Vec<Pair> = text.lines().map(pair).collect();
    let metric = Rouge {
        stem,
        ..Rouge::default()
    };
    let (mut scored, mut sum) = (0, 0.0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let mut scorer = metric.prepare(Path::new("")).expect("a scorer");
        sum = 0.0;
        for pair in &pairs {
            // The columns: ROUGE-1, -2 and -L.
            sum += scorer.score(pair).expect("scores")[2];
        }
        scored += pairs.len();
    }
    let rate = scored as f64 / start.elapsed().as_secs_f64();
    println!("{rate} {}", sum / pairs.len() as f64);
}

fn pair(line: &str) -> Pair {
    let pair: Value = serde_json::from_str(line).expect("JSON");
    let text = |name: &str| pair[name].as_str().expect("a text").to_owned();
    Pair::new(&text("prediction"), &text("reference"))
}
