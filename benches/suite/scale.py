"""`scale`: how long full MIMIC and 25 models would take, as `clue plan --estimate` tells it from a
run on a few notes, for so many workers and servers."""

import json

from .measure import Server, once

NOTES, CASES, MODELS = 331_794, 200, 25
WIDTH, LATENCY = 16, 20

GENERATE = """\
clue: 1
name: generate
params: {url: "", models: %(models)s}
models:
  writer: {url: "{{ params.url }}", id: writer, concurrency: %(width)d}
include:
  - file: answer.yaml
    as: "{{ each.model }}"
    for_each: {model: "{{ params.models }}"}
    params: {model: "{{ each.model }}", url: "{{ params.url }}"}
stages:
  notes: {load: {path: notes.jsonl, key: id}}
  statements: {from: notes, generate: {model: writer, prompt: ask.j2, into: statements}}
  both: {from: statements, set: {parts: "[statements, prompt]"}}
  statement: {from: both, explode: {field: parts, into: prompt}}
  questions: {from: statement, generate: {model: writer, prompt: ask.j2, into: question}}
  longest: {from: questions, top_k: {k: 50, by: "question | length"}}
outputs:
  questions.jsonl: {from: longest}
"""

ANSWER = """\
clue: 1
name: answer
params: {url: "", model: ""}
models:
  asked: {url: "{{ params.url }}", id: "{{ params.model }}", concurrency: %(width)d}
stages:
  cases: {load: {path: cases.jsonl, key: id}}
  answers: {from: cases, generate: {model: asked, prompt: ask.j2}}
outputs:
  answers.jsonl: {from: answers}
"""


def run(bench):
    home = bench.work
    settings = {
        "models": json.dumps([f"model-{at:02}" for at in range(1, MODELS + 1)]),
        "width": WIDTH,
    }
    (home / "generate.yaml").write_text(GENERATE % settings)
    (home / "answer.yaml").write_text(ANSWER % settings)
    (home / "ask.j2").write_text("{{ prompt }}\n")
    notes = 60 if bench.quick else 300
    for name, count in (("notes", notes), ("cases", CASES)):
        with open(home / f"{name}.jsonl", "w") as file:
            for at in range(count):
                line = {"id": f"{name}-{at}", "prompt": f"What happened to patient {at}?"}
                file.write(json.dumps(line) + "\n")
    with Server([bench.limits, "mock", LATENCY]) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        same = ["generate.yaml", "--store", "store", "--out", "out", "-p", f"url={url}"]
        bench.say(f"scale: a run on {notes:,} notes")
        sample = once([bench.clue, "run", *same, "-q", "--yes"], home)
        rows = [estimate(bench, home, same, *farm) for farm in FARMS]
    return {"rows": rows, "sample": sample.json(), "notes": notes, "missing": {}}


# Workers, and servers of each model.
FARMS = [(1, 1), (4, 4), (16, 4), (16, 16), (64, 16), (64, 64)]


def estimate(bench, home, same, workers, servers):
    out = home / "estimate.json"
    words = [
        bench.clue, "plan", *same, "--estimate", "--json", "--records", f"notes={NOTES}",
        "--workers", workers, "--servers", servers,
    ]
    cost = once(words, home, stdout=out)
    told = json.loads(out.read_text())
    return {
        "workers": workers,
        "servers": servers,
        "calls": sum(row["calls"] for row in told["stages"]),
        "tokens": sum(row["prompt_tokens"] + row["answer_tokens"] for row in told["stages"]),
        "seconds": sum(told["waves"]),
        "wall": cost.wall,
    }
