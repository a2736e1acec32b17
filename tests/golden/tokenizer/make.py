#!/usr/bin/env python3
"""Writes tokenizer.json: the stand-in that the LongHealth goldens were made with.

Its tokens are runs of white space and runs of anything else, and a text begins with the mark
<|begin_of_text|>. All words share one entry of the vocabulary: what counts is where they end.
"""
import json
import pathlib

MARK = "<|begin_of_text|>"


def added(number, text):
    return {"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True}


begin = {"SpecialToken": {"id": MARK, "type_id": 0}}
tokenizer = {
    "version": "1.0",
    # Files often say how to cut and fill up; whoever counts must not do so.
    "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
    "padding": None,
    "added_tokens": [added(1, MARK)],
    "normalizer": None,
    "pre_tokenizer": {"type": "Split", "pattern": {"Regex": r"\s+|[^\s]+"}, "behavior": "Isolated",
                      "invert": False},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {MARK: {"id": MARK, "ids": [1], "tokens": [MARK]}},
    },
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"[word]": 0, MARK: 1}, "unk_token": "[word]"},
}
text = json.dumps(tokenizer, indent=1) + "\n"
pathlib.Path(__file__).with_name("tokenizer.json").write_text(text, encoding="utf-8")
