#!/usr/bin/env python3
"""Concept precision, recall and F1 by scispaCy's UMLS linker, for a stage with `exec`.

    scored:
      from: answered
      exec:
        command: [python3, tools/scispacy_concepts.py, --prediction, answer, --reference, reference]

Reads records as JSON lines. For each it writes one line, in order, with the fields concept_f1,
concept_precision and concept_recall, which clue adds to the record. Compared are the sets of
canonical names of the concepts that the two texts name: of each entity that the model finds, the
linker's first candidate. A set without members, or two without a common one, give 0. If the
reference is a list of texts, the one with the highest F1 counts. A record whose fields are no
texts gets `null`, and so fails.

Needs scispaCy and a model of its (see its page for the versions that go together):

    pip install scispacy
    pip install ADDRESS_OF/en_core_sci_sm-VERSION.tar.gz

The linker fetches its knowledge base (about 1 GB) when it is first used.
"""
import argparse
import itertools
import json
import sys


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prediction", default="prediction", metavar="FIELD",
                        help="the field with the text that is judged")
    parser.add_argument("--reference", default="reference", metavar="FIELD",
                        help="the field with the text, or the list of texts, it is judged by")
    parser.add_argument("--model", default="en_core_sci_sm", help="the model that finds entities")
    parser.add_argument("--linker", default="umls", metavar="NAME",
                        help="the linker's knowledge base")
    parser.add_argument("--threshold", type=float, metavar="LIKENESS",
                        help="how alike a candidate must be at least; else the linker's own value")
    parser.add_argument("--batch", type=int, default=32, metavar="N",
                        help="how many records are read before they are answered")
    args = parser.parse_args()
    if args.batch < 1:
        parser.error("--batch must be at least 1")
    return args


class Missing(Exception):
    """What has to be installed first."""


def load(args):
    """The model with its linker, and the linker."""
    try:
        import spacy
        # Makes the name `scispacy_linker` known to spaCy.
        import scispacy.linking  # noqa: F401
    except ImportError as error:
        raise Missing("%s cannot be imported by %s: pip install scispacy"
                      % (error.name or "scispaCy", sys.executable))
    try:
        nlp = spacy.load(args.model)
    except OSError:
        raise Missing("the model `%s` is not installed for %s" % (args.model, sys.executable))
    config = {"resolve_abbreviations": True, "linker_name": args.linker}
    if args.threshold is not None:
        config["threshold"] = args.threshold
    return nlp, nlp.add_pipe("scispacy_linker", config=config)


def concepts(doc, linker):
    """Canonical names of the first candidates."""
    firsts = (ent._.kb_ents[0][0] for ent in doc.ents if ent._.kb_ents)
    return {linker.kb.cui_to_entity[cui].canonical_name for cui in firsts}


def overlap(found, right):
    """F1, precision and recall of two sets."""
    common = len(found & right)
    if common == 0:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(found), common / len(right)
    return 2 * precision * recall / (precision + recall), precision, recall


def texts_of(line, number, args):
    """The prediction and its references; none, and a word about it, if they are no texts."""
    record = json.loads(line)
    prediction, reference = record.get(args.prediction), record.get(args.reference)
    references = reference if isinstance(reference, list) else [reference]
    for name, values in ((args.prediction, [prediction]), (args.reference, references)):
        # The content of records is not for logs: the field's name must do.
        if not all(isinstance(value, str) for value in values):
            print("line %d: the field `%s` is no text" % (number, name), file=sys.stderr)
            return None
    return prediction, references


def answers(lines, first, nlp, linker, args):
    """One answer for each line."""
    cases = [texts_of(line, first + at, args) for at, line in enumerate(lines)]
    # Many predictions may share a reference: each text is read once.
    texts = list(dict.fromkeys(
        text for case in cases if case for text in [case[0]] + case[1]))
    docs = nlp.pipe(texts, batch_size=args.batch)
    found = {text: concepts(doc, linker) for text, doc in zip(texts, docs)}
    for case in cases:
        if case is None:
            yield None
            continue
        prediction, references = case
        scores = [overlap(found[prediction], found[text]) for text in references]
        f1, precision, recall = max(scores, key=lambda score: score[0], default=(0.0,) * 3)
        yield {"concept_f1": f1, "concept_precision": precision, "concept_recall": recall}


def main():
    args = arguments()
    try:
        nlp, linker = load(args)
    except Missing as missing:
        print("error: %s" % missing, file=sys.stderr)
        return 2
    sys.stdin.reconfigure(encoding="utf-8")
    first = 1
    while True:
        lines = list(itertools.islice(sys.stdin, args.batch))
        if not lines:
            return 0
        for answer in answers(lines, first, nlp, linker, args):
            print(json.dumps(answer))
        sys.stdout.flush()
        first += len(lines)


if __name__ == "__main__":
    sys.exit(main())
