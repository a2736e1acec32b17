#!/usr/bin/env python3
"""Stands in for BERTScore in tests: reads pairs as JSON lines, adds `likeness`.

The number is made of the pair's SHA-256, as in the goldens (tests/golden/medisumqa).
"""
import hashlib
import json
import sys

for line in sys.stdin:
    pair = json.loads(line)
    text = "\x1f".join(["bert_F", pair["question"], pair["answer"]])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    pair["likeness"] = (int(digest[:8], 16) % 101) / 100
    print(json.dumps(pair), flush=True)
