"""Stands in for spaCy and scispaCy in tests: as much of their interface as
pipelines/tools/scispacy_concepts.py uses. Entities are words; those of seven letters and more
have candidates, and the first is the word itself in lower case, as in the goldens
(tests/golden/units/concept_f1.jsonl).
"""
import re
import sys


class Underscore:
    def __init__(self, kb_ents):
        self.kb_ents = kb_ents


class Span:
    def __init__(self, text):
        self.text = text
        self._ = Underscore([])


class Doc:
    def __init__(self, text):
        self.ents = tuple(Span(word) for word in re.findall("[A-Za-z]+", text))


class Entity:
    def __init__(self, name):
        self.canonical_name = name


class KnowledgeBase:
    def __init__(self):
        self.cui_to_entity = {}
        self.cuis = {}

    def cui(self, name):
        cui = self.cuis.setdefault(name, "C%07d" % len(self.cuis))
        self.cui_to_entity[cui] = Entity(name)
        return cui


class Linker:
    def __init__(self, linker_name, resolve_abbreviations, threshold=0.7):
        assert linker_name == "umls" and resolve_abbreviations is True
        self.kb = KnowledgeBase()
        self.threshold = threshold

    def __call__(self, doc):
        for ent in doc.ents:
            if len(ent.text) >= 7:
                near = [(ent.text.lower(), 0.99), ("a worse candidate", 0.8)]
                ent._.kb_ents = [(self.kb.cui(name), score) for name, score in near
                                 if score > self.threshold]
        return doc


class Language:
    def __init__(self):
        self.pipes = []

    def add_pipe(self, name, config):
        if "scispacy.linking" not in sys.modules:
            raise ValueError("[E002] Can't find factory for '%s'" % name)
        assert name == "scispacy_linker"
        self.pipes.append(Linker(**config))
        return self.pipes[-1]

    def pipe(self, texts, batch_size):
        assert batch_size >= 1
        for text in texts:
            doc = Doc(text)
            for pipe in self.pipes:
                doc = pipe(doc)
            yield doc


def load(name):
    if name != "en_core_sci_sm":
        raise OSError("[E050] Can't find model '%s'." % name)
    return Language()
