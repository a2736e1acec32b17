"""`dag`: many stages that cost nothing each: the first run, a run with nothing to do, and one
after one source changed."""

import shutil
import time
from pathlib import Path

from . import graphs
from .measure import Failed, median, once
from .peers import Missing

TOOL_A_STAGE = "clue, a program a stage"
# Seconds.
SETTLED = 3


class Tool:
    """How one tool is told of a graph and run on it."""

    def __init__(self, name, write, words, slow=False, env=None, setup=None, shapes=None):
        self.name, self.write, self.words = name, write, words
        self.slow, self.env, self.setup, self.shapes = slow, env, setup, shapes


def tools(bench):
    """Those that can be had; and why the others can't."""
    clue = [bench.clue, "run", "dag.yaml", "--yes", "-q", "--store", "store", "--out", "out"]
    found = [
        Tool("clue", graphs.clue, clue),
        Tool(TOOL_A_STAGE, graphs.clue_exec, clue, shapes=["independent", "chain"]),
    ]
    makers = {
        "ninja": lambda: Tool("ninja", graphs.ninja, [bench.peers.bin("ninja", "ninja"), "--quiet"]),
        "redun": lambda: Tool(
            "redun",
            graphs.redun,
            [bench.peers.bin("redun", "redun"), "run", bench.here / "peers/redun_flow.py", "main"],
            env={"REDUN_CONFIG": ".redun"},
        ),
        "snakemake": lambda: Tool(
            "Snakemake",
            graphs.snakemake,
            [bench.peers.bin("snakemake", "snakemake"), "-c2", "-q", "all"],
            slow=True,
        ),
        "dvc": lambda: Tool(
            "DVC",
            graphs.dvc,
            [bench.peers.bin("dvc", "dvc"), "repro", "-q"],
            slow=True,
            env={"DVC_NO_ANALYTICS": "1"},
            setup=[bench.peers.bin("dvc", "dvc"), "init", "-q", "--no-scm"],
        ),
    }
    missing = {}
    for name, make in makers.items():
        try:
            found.append(make())
        except Missing as why:
            missing[name] = str(why)
    return found, missing


def run(bench):
    few = 10 if bench.quick else 1
    shapes = {
        "independent": (graphs.independent(1000 // few), graphs.independent(100 // few)),
        "chain": (graphs.chain(100 // few), graphs.chain(100 // few)),
        "layers": (graphs.layers(10, 100 // few), graphs.layers(10, 10 // min(few, 2))),
    }
    found, missing = tools(bench)
    rows = []
    for shape, (whole, small) in shapes.items():
        for tool in found:
            if tool.shapes and shape not in tool.shapes:
                continue
            graph = small if tool.slow else whole
            what = f"{shape} of {len(graph.nodes)}"
            bench.say(f"dag: {what}: {tool.name}")
            try:
                rows.append(measured(bench, shape, graph, tool))
            except Failed as why:
                if tool.words[0] == bench.clue:
                    raise
                missing[f"{tool.name}, {what}"] = str(why).splitlines()[-1]
    return {"rows": rows, "starts": starts(bench, found), "missing": missing}


def starts(bench, found):
    """What each program takes to say its version, and `true` to say nothing."""
    words = {"true": ["true"]} | {
        tool.name: [tool.words[0], "--version"] for tool in found if tool.name != TOOL_A_STAGE
    }
    home = bench.work
    return [
        {"tool": name, **median(lambda: once(say, home), most=20, budget=4).json()}
        for name, say in words.items()
    ]


def measured(bench, shape, graph, tool):
    home = bench.work / "dag"
    texts = {name: f"{name} begins" for name in graph.sources}
    run_once = lambda: once(tool.words, home, tool.env)

    def afresh():
        shutil.rmtree(home, ignore_errors=True)
        for folder in ("in", "out"):
            (home / folder).mkdir(parents=True)
        for name, text in texts.items():
            (home / f"in/{name}.txt").write_text(text)
        tool.write(graph, home)
        if tool.setup:
            once(tool.setup, home, tool.env)

    first = median(run_once, prepare=afresh, budget=4)
    check(home, graph, texts)
    # While a file is so young that a change within its clock's tick could go unseen, `clue` hashes
    # it at each run.
    time.sleep(SETTLED)
    noop = median(run_once, most=20)
    changes = iter(range(100))

    def change():
        texts["s0"] = f"s0 changed {next(changes)}"
        (home / "in/s0.txt").write_text(texts["s0"])

    changed = median(run_once, prepare=change)
    check(home, graph, texts)
    return {
        "shape": shape,
        "stages": len(graph.nodes),
        "tool": tool.name,
        "first": first.json(),
        "noop": noop.json(),
        "changed": changed.json(),
    }


def check(home, graph, texts):
    """Every tool must have done the work."""
    for name, text in graph.texts(texts).items():
        got = Path(home, f"out/{name}.txt").read_text().rstrip("\n")
        if got != text:
            raise AssertionError(f"{name} holds {got!r}, not {text!r}")
