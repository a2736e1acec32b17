"""Seconds that bert-score takes for pairs, once it is loaded; the scores; and the least that the
model's matrix products take on these cores. bert_pairs.py MODEL PAIRS"""

import json
import sys
import time

import torch
from bert_score import BERTScorer

model, path = sys.argv[1:]
with open(path) as file:
    pairs = [json.loads(line) for line in file]
predictions = [pair["prediction"] for pair in pairs]
references = [pair["reference"] for pair in pairs]
layers = 6
scorer = BERTScorer(model_type=model, num_layers=layers, device="cpu")
scorer.score(predictions[:2], references[:2])
start = time.perf_counter()
_, _, f = scorer.score(predictions, references)
seconds = time.perf_counter() - start

# What the cores can do: the largest of some products, in multiplications and additions a second.
size, best = 1536, 0.0
a, b = torch.rand(size, size), torch.rand(size, size)
for _ in range(20):
    start = time.perf_counter()
    a @ b
    best = max(best, 2 * size**3 / (time.perf_counter() - start))
tokens = sum(len(scorer._tokenizer.encode(text)) for text in set(predictions + references))
config = scorer._model.config
width, inner = config.hidden_size, config.intermediate_size
work = tokens * layers * 2 * (4 * width**2 + 2 * width * inner)
print(json.dumps({
    "seconds": seconds, "f": f.tolist(), "least_seconds": work / best, "gflops": best / 1e9,
}))
