"""The jobs of the suite `data` in Polars, lazily and streaming where it can.

table_polars.py JOB NOTES [DIAGNOSES]; writes out.csv."""

import sys

import polars as pl

job, notes, *diagnoses = sys.argv[1:]
table = pl.scan_csv(notes, infer_schema=False)
if job == "filter":
    kept = table.filter(pl.col("text").str.contains("hospice", literal=True))
    measured = kept.with_columns(characters=pl.col("text").str.len_chars())
    measured.select("note_id", "hadm_id", "characters", "text").sink_csv("out.csv")
elif job == "shuffle":
    rows = table.select("note_id", "hadm_id", "text").collect()
    rows.sample(fraction=1, shuffle=True, seed=44).write_csv("out.csv")
else:
    codes = pl.scan_csv(diagnoses[0], infer_schema=False)
    both = codes.join(table.select("note_id", "hadm_id"), on="hadm_id", maintain_order="left")
    both.select("note_id", "hadm_id", "icd_code", "icd_version").sink_csv("out.csv")
