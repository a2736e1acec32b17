"""Tables of results in Markdown, suite by suite and as the whole of RESULTS.md."""

from . import dag as dag_
from . import scale as scale_
from . import targets
from .peers import PINS
from .table import markdown, number, ratio, seconds, size


def whole(results):
    parts = [
        "# Benchmarks",
        "Made by `python3 benches/run.py`; not written by hand. Times are wall times of whole programs, "
        "start-up included, medians of up to five runs (one, of what takes longer); CPU is user and system "
        "time on all cores; memory the largest process's peak, where less than 9 MB can't be told. Ratios "
        "are to `clue` in the same run.",
        "## Machine",
        machine(results),
        "## Targets",
        markdown(["target", "measured", "", "the limit, and what stands in the way"], targets.rows(results)),
        *(suite(name, result) for name, result in results.items()),
        "## Versions of the others",
        "\n".join(f"- {' '.join(pin for pin in pins if '==' in pin)}" for pins in PINS.values()),
    ]
    return "\n\n".join(parts) + "\n"


def machine(results):
    head = ["suite", "day", "clue", "commit", "processor", "cores", "memory", "system", "Python", "load before"]
    rows = [
        [name, m["day"], m["clue"], m["commit"], m["cpu"], m["cores"], f"{m['memory_gib']} GiB",
         m["system"], m["python"], m["load"]]
        for name, m in ((name, result["machine"]) for name, result in results.items())
    ]
    return markdown(head, rows)


def suite(name, result):
    parts = [f"## {name}", {"calls": calls, "dag": dag, "metrics": metrics, "data": data, "scale": scale}[name](result)]
    parts += [f"Left out: {peer}: {why}" for peer, why in result["missing"].items()]
    return "\n\n".join(parts)


def calls(result):
    intro = (
        f"{result['width']} calls at once to a server on the same machine that answers after so many "
        "milliseconds. `again`: every answer is in the tool's own cache. `made`: how many calls reached "
        "the server."
    )
    rows = []
    for row in result["rows"]:
        ours = next(
            other for other in result["rows"]
            if other["tool"] == "clue" and all(other[k] == row[k] for k in ("what", "latency", "calls"))
        ) if row["tool"] != "clue" else row
        rows.append([
            f"{row['calls']:,}", f"{row['latency']} ms", row["what"], row["tool"], f"{row['made']:,}", seconds(row["wall"]),
            number(row["calls"] / row["wall"]), seconds(row["cpu"] / row["calls"]), size(row["rss"]),
            ratio(row["wall"] / ours["wall"]),
        ])
    head = ["calls", "latency", "run", "tool", "made", "time", "calls/s", "CPU a call", "memory", "time to clue's"]
    return f"{intro}\n\n{markdown(head, rows)}"


def dag(result):
    intro = (
        "Stages that append a letter to a text. `clue` does it on records; redun in Python; the others "
        "start a shell for each, and so does `clue, a program a stage`, with `sed`. Snakemake and DVC need "
        "minutes for 1,000 and get 100. `nothing to do`: the median of up to twenty runs that begin "
        f"{dag_.SETTLED} seconds after the first one, when the files are no longer so young that `clue` "
        "hashes them again. The ratio is of the run with nothing to do, to `clue`'s for "
        "the same number of stages if there is one."
    )
    rows = []
    for row in result["rows"]:
        ours = next(r for r in result["rows"] if r["tool"] == "clue" and r["shape"] == row["shape"])
        fair = ours["stages"] == row["stages"]
        more = "" if fair else f" (clue: {ours['stages']:,} stages)"
        rows.append([
            row["shape"], f"{row['stages']:,}", row["tool"],
            *(seconds(row[run]["wall"]) for run in ("first", "noop", "changed")),
            size(row["noop"]["rss"]), ratio(row["noop"]["wall"] / ours["noop"]["wall"]) + more,
        ])
    head = ["graph", "stages", "tool", "first", "nothing to do", "one source changed", "memory", "time to clue's"]
    start = markdown(
        ["program", "time", "CPU"],
        [[row["tool"], seconds(row["wall"]), seconds(row["cpu"])] for row in result["starts"]],
    )
    return f"{intro}\n\n{markdown(head, rows)}\n\nStart-up (`--version`; `true` is the least a process takes):\n\n{start}"


def metrics(result):
    rows = []
    for row in result["rows"]:
        same = [r for r in result["rows"] if r["metric"] == row["metric"] and r["cores"] == row["cores"]]
        ours = next(r for r in same if r["tool"].startswith("clue"))
        rows.append([
            row["metric"], row["cores"], row["tool"], number(row["rate"]),
            size(row["rss"]) if "rss" in row else "", ratio(ours["rate"] / row["rate"]),
        ])
    head = ["metric", "cores", "tool", "pairs/s", "memory", "clue's rate to this"]
    text = (
        "ROUGE-1, -2 and -L of texts of 100 words (the scores are the same); BERTScore of texts of 60 words by a BERT of 6 layers, "
        "384 wide.\n\n" + markdown(head, rows)
    )
    apart = next((row["apart"] for row in result["rows"] if "apart" in row), None)
    if apart:
        text += f"\n\nBERTScore's F differs from bert-score's by {apart['median']:.1e} in the median, {apart['most']:.1e} at most."
    return text


def data(result):
    sizes = result["sizes"]
    intro = (
        f"Invented notes in the form of MIMIC-IV's: {sizes['notes']:,} of them, {size(sizes['plain'])} of CSV, "
        f"{size(sizes['gz'])} gzipped; diagnoses of {size(sizes['diagnoses'])}. `filter`: load, keep one in ten by a word, "
        "measure the text, write. `shuffle`: all notes in CPython's order, written. `join`: diagnoses with "
        "their notes. The files are in the system's cache. Rates are of bytes read of the notes."
    )
    rows = []
    for row in result["rows"]:
        job = f"{row['job']}{', .gz' if row['gz'] else ''}"
        ours = next(r for r in result["rows"] if r["tool"] == "clue" and (r["job"], r["gz"]) == (row["job"], row["gz"]))
        rows.append([
            job, row["tool"], seconds(row["wall"]), seconds(row["cpu"]), f"{row['bytes'] / row['wall'] / 1e6:,.0f} MB/s",
            f"{row['bytes'] / row['cpu'] / 1e6:,.0f} MB/s", size(row["rss"]), ratio(row["wall"] / ours["wall"]),
        ])
    head = ["job", "tool", "time", "CPU", "rate", "rate a core", "memory", "time to clue's"]
    return f"{intro}\n\n{markdown(head, rows)}"


def scale(result):
    intro = (
        f"What `clue plan --estimate` tells of {scale_.NOTES:,} notes, each with a call for its statements "
        f"and two for questions, and of {scale_.MODELS} models that answer {scale_.CASES} cases each: from a "
        f"run on {result['notes']:,} notes ({seconds(result['sample']['wall'])}) against servers that take "
        f"{scale_.LATENCY} ms and {scale_.WIDTH} calls at once from each worker."
    )
    rows = [
        [row["workers"], row["servers"], f"{row['calls']:,}", f"{row['tokens']:,}",
         f"{row['seconds'] / 60:,.1f} min", seconds(row["wall"])]
        for row in result["rows"]
    ]
    head = ["workers", "servers of each model", "calls", "tokens", "would take", "told in"]
    return f"{intro}\n\n{markdown(head, rows)}"
