"""`metrics`: pairs of texts a second, ROUGE and BERTScore."""

import json
import shutil

from .measure import median, once
from .peers import Missing
from .texts import Writer

PAIRS = """\
clue: 1
name: %(name)s
stages:
  pairs: {load: {path: pairs.jsonl, key: id}}
  scored: {from: pairs, score: {metric: %(name)s, prediction: prediction, reference: reference, options: %(options)s}}
outputs:
  scores.jsonl: {from: scored, fields: [id, %(column)s]}
"""


def run(bench):
    missing, rows = {}, []
    for measure in (rouge, bertscore):
        home = bench.work / measure.__name__
        home.mkdir()
        measure(bench, home, rows, missing)
    return {"rows": rows, "missing": missing}


def write_pairs(home, count, words):
    writer = Writer(7)
    with open(home / "pairs.jsonl", "w") as file:
        for at in range(count):
            reference, prediction = writer.pair(words)
            pair = {"id": f"p{at}", "reference": reference, "prediction": prediction}
            file.write(json.dumps(pair) + "\n")


def ours_anew(bench, home, pinned, budget):
    """What a run costs that begins without a cache."""
    words = [*pinned, bench.clue, "run", "score.yaml", "-q", "--yes", "--store", "store"]
    forget = lambda: shutil.rmtree(home / "store", ignore_errors=True)
    return median(lambda: once(words, home), prepare=forget, budget=budget)


def rouge(bench, home, rows, missing):
    """ROUGE-1, -2 and -L of texts of 100 words, with and without stems, on one core."""
    count = 300 if bench.quick else 3000
    write_pairs(home, count, 100)
    for stem in (False, True):
        metric = "ROUGE with stems" if stem else "ROUGE"
        bench.say(f"metrics: {metric}")

        def row(tool, pairs_a_second, **more):
            rows.append({"metric": metric, "tool": tool, "rate": pairs_a_second, "cores": 1, **more})

        out = home / "out.txt"
        one_core = ["taskset", "-c", "0"]
        flag = ["stem"] if stem else []
        once([*one_core, bench.limits, "rouge", "pairs.jsonl", *flag], home, stdout=out)
        ours = [float(word) for word in out.read_text().split()]
        row("clue, the metric alone", ours[0])

        settings = {"name": "rouge", "column": "rougeL", "options": json.dumps({"stem": stem})}
        (home / "score.yaml").write_text(PAIRS % settings)
        cost = ours_anew(bench, home, one_core, budget=4)
        row("clue, a run with reading and writing", count / cost.wall)

        try:
            python = bench.peers.bin("rouge-score")
        except Missing as why:
            missing["rouge-score"] = str(why)
            continue
        script = bench.here / "peers/rouge_pairs.py"
        once([*one_core, python, script, "pairs.jsonl", *flag], home, stdout=out)
        theirs = [float(word) for word in out.read_text().split()]
        row("rouge-score", theirs[0])
        assert abs(ours[1] - theirs[1]) < 1e-9, f"other scores: {ours[1]}, {theirs[1]}"


def bertscore(bench, home, rows, missing):
    """BERTScore of texts of 60 words by a BERT of 6 layers, on all cores and on one."""
    count = 40 if bench.quick else 400
    write_pairs(home, count, 60)
    try:
        model = bench.peers.minilm()
    except Missing as why:
        missing["BERTScore"] = f"its model: {why}"
        return
    settings = {"name": "bertscore", "column": "bertscore"}
    settings["options"] = json.dumps({"model": str(model), "layer": 6})
    (home / "score.yaml").write_text(PAIRS % settings)
    for cores in sorted({bench.cores, 1}, reverse=True):
        bench.say(f"metrics: BERTScore, cores: {cores}")
        pinned = ["taskset", "-c", f"0-{cores - 1}"]
        cost = ours_anew(bench, home, pinned, budget=20)

        def row(tool, rate, **more):
            rows.append({"metric": "BERTScore", "tool": tool, "rate": rate, "cores": cores, **more})

        row("clue, a run with all it takes", count / cost.wall, rss=cost.rss)
        try:
            python = bench.peers.bin("bert-score")
        except Missing as why:
            missing["bert-score"] = str(why)
            continue
        out = home / "out.json"
        script = bench.here / "peers/bert_pairs.py"
        environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(cores)}
        cost = once([*pinned, python, script, model, "pairs.jsonl"], home, environment, stdout=out)
        theirs = json.loads(out.read_text())
        row("bert-score, once it is loaded", count / theirs["seconds"], rss=cost.rss)
        row("bert-score, a run with all it takes", count / cost.wall, rss=cost.rss)
        row("limit: the model's matrix products", count / theirs["least_seconds"])
        rows[-1]["gflops"] = theirs["gflops"]
        lines = (home / "out/bertscore/scores.jsonl").read_text().splitlines()
        ours = [json.loads(line)["bertscore"] for line in lines]
        apart = sorted(abs(a - b) for a, b in zip(ours, theirs["f"]))
        rows[-4]["apart"] = {"median": apart[len(apart) // 2], "most": apart[-1]}
