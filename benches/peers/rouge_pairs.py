"""Pairs a second of rouge-score, and the mean of ROUGE-L. rouge_pairs.py PAIRS [stem]"""

import json
import sys
import time

from rouge_score.rouge_scorer import RougeScorer

with open(sys.argv[1]) as file:
    pairs = [json.loads(line) for line in file]
scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer="stem" in sys.argv[2:])
start = time.perf_counter()
scores = [scorer.score(pair["reference"], pair["prediction"]) for pair in pairs]
seconds = time.perf_counter() - start
print(len(pairs) / seconds, sum(score["rougeL"].fmeasure for score in scores) / len(pairs))
