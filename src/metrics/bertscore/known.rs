//! Facts about published models, from the tables of bert-score 0.3.13: which layer it recommends
//! (tuned on WMT16), and what unrelated English texts get there (`rescale_baseline/en`, and
//! `en-sci` for SciBERT). Only models whose architecture can be computed here.

use super::rescale::Baseline;

/// The layer that bert-score recommends for a model, by its id or the name of its folder.
pub fn layer(model: &str) -> Option<usize> {
    let (_, layer) = LAYERS.iter().find(|(id, _)| same(id, model))?;
    Some(*layer)
}

/// The baseline for English of a model at a layer: known for recommended layers only.
pub fn baseline(model: &str, layer: usize) -> Option<Baseline> {
    let (_, values) = BASELINES.iter().find(|(id, _)| same(id, model))?;
    (self::layer(model) == Some(layer)).then_some(Baseline(*values))
}

/// Whether `model` (an id, perhaps with an owner that it got later, or a folder) is `id`.
fn same(id: &str, model: &str) -> bool {
    let last = |path: &str| {
        path.trim_end_matches('/')
            .rsplit('/')
            .next()
            .map(str::to_owned)
    };
    last(id) == last(model)
}

const LAYERS: &[(&str, usize)] = &[
    ("bert-base-uncased", 9),
    ("bert-large-uncased", 18),
    ("bert-base-cased-finetuned-mrpc", 9),
    ("bert-base-multilingual-cased", 9),
    ("bert-base-chinese", 8),
    ("roberta-base", 10),
    ("roberta-large", 17),
    ("roberta-large-mnli", 19),
    ("roberta-base-openai-detector", 7),
    ("roberta-large-openai-detector", 15),
    ("allenai/scibert_scivocab_uncased", 8),
    ("allenai/scibert_scivocab_cased", 9),
    ("nfliu/scibert_basevocab_uncased", 9),
    ("distilroberta-base", 5),
    ("xlm-roberta-base", 9),
    ("xlm-roberta-large", 17),
    ("google/bert_uncased_L-2_H-128_A-2", 1),
    ("google/bert_uncased_L-2_H-256_A-4", 1),
    ("google/bert_uncased_L-2_H-512_A-8", 1),
    ("google/bert_uncased_L-2_H-768_A-12", 2),
    ("google/bert_uncased_L-4_H-128_A-2", 3),
    ("google/bert_uncased_L-4_H-256_A-4", 3),
    ("google/bert_uncased_L-4_H-512_A-8", 3),
    ("google/bert_uncased_L-4_H-768_A-12", 3),
    ("google/bert_uncased_L-6_H-128_A-2", 5),
    ("google/bert_uncased_L-6_H-256_A-4", 5),
    ("google/bert_uncased_L-6_H-512_A-8", 5),
    ("google/bert_uncased_L-6_H-768_A-12", 5),
    ("google/bert_uncased_L-8_H-128_A-2", 7),
    ("google/bert_uncased_L-8_H-256_A-4", 7),
    ("google/bert_uncased_L-8_H-512_A-8", 6),
    ("google/bert_uncased_L-8_H-768_A-12", 7),
    ("google/bert_uncased_L-10_H-128_A-2", 8),
    ("google/bert_uncased_L-10_H-256_A-4", 8),
    ("google/bert_uncased_L-10_H-512_A-8", 9),
    ("google/bert_uncased_L-10_H-768_A-12", 8),
    ("google/bert_uncased_L-12_H-128_A-2", 10),
    ("google/bert_uncased_L-12_H-256_A-4", 11),
    ("google/bert_uncased_L-12_H-512_A-8", 10),
    ("google/bert_uncased_L-12_H-768_A-12", 9),
    ("SpanBERT/spanbert-base-cased", 8),
    ("SpanBERT/spanbert-large-cased", 17),
    ("ProsusAI/finbert", 10),
    ("princeton-nlp/unsup-simcse-bert-base-uncased", 10),
    ("princeton-nlp/unsup-simcse-bert-large-uncased", 18),
    ("princeton-nlp/unsup-simcse-roberta-base", 8),
    ("princeton-nlp/unsup-simcse-roberta-large", 13),
    ("princeton-nlp/sup-simcse-bert-base-uncased", 10),
    ("princeton-nlp/sup-simcse-bert-large-uncased", 18),
    ("princeton-nlp/sup-simcse-roberta-base", 10),
    ("princeton-nlp/sup-simcse-roberta-large", 16),
    ("dbmdz/bert-base-turkish-cased", 10),
];

const BASELINES: &[(&str, [f64; 3])] = &[
    ("bert-base-uncased", [0.35375935, 0.3537393, 0.35219112]),
    ("bert-large-uncased", [0.4278576, 0.42786714, 0.42646673]),
    (
        "bert-base-cased-finetuned-mrpc",
        [0.55345184, 0.55342007, 0.5525519],
    ),
    (
        "bert-base-multilingual-cased",
        [0.6320527, 0.6320019, 0.63146895],
    ),
    ("roberta-base", [0.8146725, 0.8146619, 0.814463]),
    ("roberta-large", [0.83150584, 0.8314941, 0.83122575]),
    ("roberta-large-mnli", [0.6901594, 0.69018, 0.6896288]),
    (
        "allenai/scibert_scivocab_uncased",
        [0.5335945, 0.5336341, 0.5322364],
    ),
    ("distilroberta-base", [0.84732, 0.84759504, 0.8473319]),
    ("xlm-roberta-base", [0.81658614, 0.8165717, 0.81639785]),
    ("xlm-roberta-large", [0.85291016, 0.8529066, 0.8525485]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_any_of_their_names() {
        assert_eq!(layer("roberta-large"), Some(17));
        assert_eq!(layer("FacebookAI/roberta-large"), Some(17));
        assert_eq!(layer("models/scibert_scivocab_uncased/"), Some(8));
        assert_eq!(layer("roberta"), None);
        assert!(baseline("roberta-large", 17).is_some());
        assert_eq!(baseline("roberta-large", 16), None);
        assert_eq!(baseline("bert-base-chinese", 8), None);
    }
}
