"""Invented tables in the form and size of MIMIC-IV's: discharge notes, plain and gzipped, and
diagnoses. The same bytes every time."""

import os
import random
import subprocess

from .texts import Writer

NOTES = 331_794
DIAGNOSES = 4_756_326


def make(folder, few, say):
    """Makes what isn't there. `few` notes of a whole, 1 for all. Returns the three paths."""
    folder.mkdir(parents=True, exist_ok=True)
    notes, diagnoses = NOTES // few, DIAGNOSES // few
    plain = folder / f"discharge-{notes}.csv"
    table = folder / f"diagnoses-{diagnoses}.csv"
    gzipped = plain.with_suffix(".csv.gz")
    for path, write in (
        (plain, lambda part: write_notes(part, notes)),
        (table, lambda part: write_diagnoses(part, diagnoses, notes)),
        (gzipped, lambda part: compress(plain, part)),
    ):
        if not path.exists():
            say(f"data: making {path.name}")
            part = path.with_suffix(".part")
            write(part)
            os.replace(part, path)
    return plain, gzipped, table


def write_notes(path, count):
    """Texts of many lines and sections, quoted, with quotes in them; one in ten has the word
    `hospice`, near its end."""
    writer = Writer(3)
    parts = [writer.paragraph(720).replace(" b", ' ""b""', 1) + " \n" for _ in range(4000)]
    some = random.Random(4)
    sections = ["Chief Complaint", "History of Present Illness", "Past Medical History",
                "Physical Exam", "Pertinent Results", "Brief Hospital Course"]
    with open(path, "w", buffering=1 << 20) as file:
        file.write("note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text\n")
        for at in range(count):
            subject, stay = 10_000_000 + at * 7 % count, 20_000_000 + at
            when = f"21{at % 90:02}-{at % 12 + 1:02}-{at % 28 + 1:02} 00:00:00"
            body = some.choices(parts, k=len(sections) + some.randint(2, 8))
            text = "".join(f"{name}:\n{part}" for name, part in zip(sections, body))
            rest = "".join(body[len(sections):])
            end = "Home with hospice" if at % 10 == 3 else "Home"
            file.write(
                f'{subject}-DS-{at},{subject},{stay},DS,{at % 30},{when},{when},"Name:  ___'
                f"\n \n{text}{rest}\nDischarge Disposition:\n{end}\n \nDischarge Instructions:\n"
                f'{body[0]}\nFollowup Instructions:\n___\n"\n'
            )


def write_diagnoses(path, count, notes):
    some = random.Random(5)
    codes = [f"{letter}{some.randint(100, 99999)}" for letter in "AEFIJKMNRSZ" for _ in range(900)]
    with open(path, "w", buffering=1 << 20) as file:
        file.write("subject_id,hadm_id,seq_num,icd_code,icd_version\n")
        at = 0
        # More stays than there are notes, as in MIMIC-IV.
        for stay in range(count):
            for number, code in enumerate(some.choices(codes, k=stay % 20 + 2), 1):
                if at == count:
                    return
                file.write(f"{10_000_000 + stay * 7 % notes},{20_000_000 + stay},{number},{code},10\n")
                at += 1


def compress(plain, path):
    with open(path, "wb") as out:
        subprocess.run(["gzip", "-3", "-c", str(plain)], stdout=out, check=True)
