"""`data`: tables as large as MIMIC-IV's, filtered, shuffled and joined: time and memory."""

import csv
import hashlib
import shutil
import sys

from . import mimic
from .measure import once
from .peers import Missing

HEAD = "clue: 1\nname: data\nparams: {notes: {type: path}, diagnoses: {type: path, default: none}}\n"
PIPELINES = {
    "filter": """\
stages:
  notes: {load: {path: "{{ params.notes }}", key: note_id, fields: [note_id, hadm_id, text]}}
  hospice: {from: notes, where: "'hospice' in text"}
  measured: {from: hospice, set: {characters: text | length}}
outputs:
  out.csv: {from: measured, fields: [note_id, hadm_id, characters, text]}
""",
    "shuffle": """\
stages:
  notes: {load: {path: "{{ params.notes }}", key: note_id, fields: [note_id, hadm_id, text]}}
  mixed: {from: notes, shuffle: {seed: 44, rng: python}}
outputs:
  out.csv: {from: mixed}
""",
    "join": """\
stages:
  notes: {load: {path: "{{ params.notes }}", key: note_id, fields: [note_id, hadm_id]}}
  diagnoses: {load: {path: "{{ params.diagnoses }}", fields: [hadm_id, icd_code, icd_version]}}
  both: {from: [diagnoses, notes], join: {"on": hadm_id}}
outputs:
  out.csv: {from: both, fields: [note_id, hadm_id, icd_code, icd_version]}
""",
}


def run(bench):
    plain, gzipped, diagnoses = mimic.make(bench.home / "data", 10 if bench.quick else 1, bench.say)
    jobs = [
        ("filter", plain, None),
        ("filter", gzipped, None),
        ("shuffle", plain, None),
        ("join", plain, diagnoses),
    ]
    rows, missing = [], {}
    for job, notes, table in jobs:
        sums = {}
        for tool, words in tools(bench, job, notes, table, missing):
            bench.say(f"data: {job} of {notes.name}: {tool}")
            home = bench.work / "data"
            home.mkdir()
            (home / "data.yaml").write_text(HEAD + PIPELINES[job])
            # A limit is about reading: what it prints goes nowhere.
            printed = "/dev/null" if tool.startswith("limit") else home / "printed"
            cost = once(words, home, stdout=printed)
            if (home / "out.csv").exists():
                sums[tool] = sum_of(home / "out.csv", job)
            shutil.rmtree(home)
            read = notes.stat().st_size
            rows.append({"job": job, "gz": notes == gzipped, "tool": tool, "bytes": read, **cost.json()})
        # Polars has another generator, so that its order is another one.
        sums.pop("Polars", None) if job == "shuffle" else None
        assert len(set(sums.values())) == 1, f"{job}: not the same rows: {sums}"
    sizes = {"plain": plain.stat().st_size, "gz": gzipped.stat().st_size}
    sizes |= {"notes": mimic.NOTES // (10 if bench.quick else 1), "diagnoses": diagnoses.stat().st_size}
    return {"rows": rows, "missing": missing, "sizes": sizes}


def tools(bench, job, notes, table, missing):
    """Names and words of what does a job."""
    table = [table] if table else []
    param = [f"-pdiagnoses={table[0]}"] if table else []
    words = ["run", "data.yaml", "-q", "--yes", "--store", "store", "--out", ".", f"-pnotes={notes}", *param]
    yield "clue", [bench.clue, *words]
    yield "Python script (csv)", [sys.executable, bench.here / "peers/table_csv.py", job, notes, *table]
    try:
        python = bench.peers.bin("polars")
        yield "Polars", [python, bench.here / "peers/table_polars.py", job, notes, *table]
    except Missing as why:
        missing["Polars"] = str(why)
    yield "bare csv loop in Rust, one core", [bench.limits, "table", notes]
    if notes.suffix == ".gz":
        yield "limit: gzip -dc", ["gzip", "-dc", notes]
    else:
        yield "limit: cat", ["cat", notes]


def sum_of(path, job):
    """A hash of the cells but the texts, in order; a join's in any order."""
    csv.field_size_limit(1 << 30)
    with open(path, newline="") as file:
        rows = csv.reader(file)
        short = (",".join(cell for cell in row if len(cell) < 100) for row in rows)
        lines = sorted(short) if job == "join" else short
        digest = hashlib.sha256()
        for line in lines:
            digest.update(line.encode() + b"\n")
    return digest.hexdigest()
