"""The jobs of the suite `data` as the script that one writes first: Python's csv, row by row.

table_csv.py JOB NOTES [DIAGNOSES]; writes out.csv."""

import csv
import gzip
import random
import sys

job, notes, *diagnoses = sys.argv[1:]
csv.field_size_limit(1 << 30)


def table(path, *names):
    """The cells of these columns, row by row."""
    opened = gzip.open(path, "rt", newline="") if path.endswith(".gz") else open(path, newline="")
    with opened as file:
        rows = csv.reader(file)
        head = next(rows)
        places = [head.index(name) for name in names]
        for row in rows:
            yield [row[place] for place in places]


def filtered():
    for note_id, hadm_id, text in table(notes, "note_id", "hadm_id", "text"):
        if "hospice" in text:
            yield note_id, hadm_id, len(text), text


def shuffled():
    rows = list(table(notes, "note_id", "hadm_id", "text"))
    random.seed(44)
    random.shuffle(rows)
    return rows


def joined():
    note_of = {hadm_id: note_id for note_id, hadm_id in table(notes, "note_id", "hadm_id")}
    for hadm_id, code, version in table(diagnoses[0], "hadm_id", "icd_code", "icd_version"):
        if hadm_id in note_of:
            yield note_of[hadm_id], hadm_id, code, version


head, rows = {
    "filter": (["note_id", "hadm_id", "characters", "text"], filtered),
    "shuffle": (["note_id", "hadm_id", "text"], shuffled),
    "join": (["note_id", "hadm_id", "icd_code", "icd_version"], joined),
}[job]
with open("out.csv", "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(head)
    out.writerows(rows())
