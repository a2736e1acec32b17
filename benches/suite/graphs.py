"""The graphs of the suite `dag`, and how each tool is told of one.

A node's text is its first input's, and then the first letter of its second one, or an `x`. Every
tool does the same work, each in the way that it is made for: `clue` on records, redun in Python,
the others with files and a shell."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Graph:
    sources: list
    nodes: list  # (name, [one input, or two]), inputs first
    ends: list  # the nodes that are wanted

    def texts(self, of_sources):
        """What every node holds in the end."""
        texts = dict(of_sources)
        for name, inputs in self.nodes:
            texts[name] = texts[inputs[0]] + (texts[inputs[1]][0] if inputs[1:] else "x")
        return {name: texts[name] for name in self.ends}


def independent(n):
    nodes = [(f"n{i}", [f"s{i}"]) for i in range(n)]
    return Graph([f"s{i}" for i in range(n)], nodes, [name for name, _ in nodes])


def chain(n):
    nodes = [(f"n{i}", [f"n{i - 1}" if i else "s0"]) for i in range(n)]
    return Graph(["s0"], nodes, [nodes[-1][0]])


def layers(depth, width):
    """Each node needs two of the layer before."""
    names = [[f"s{i}" for i in range(width)]]
    names += [[f"n{layer}x{i}" for i in range(width)] for layer in range(depth)]
    nodes = [
        (name, [before[i], before[(i + 1) % width]])
        for before, layer in zip(names, names[1:])
        for i, name in enumerate(layer)
    ]
    return Graph(names[0], nodes, names[-1])


def path(graph, name):
    return f"in/{name}.txt" if name in graph.sources else f"out/{name}.txt"


def shell(graph, name, inputs):
    first, *second = [path(graph, one) for one in inputs]
    tail = f"head -c 1 {second[0]}" if second else "printf x"
    return f"{{ cat {first}; {tail}; }} > {path(graph, name)}"


def clue(graph, home):
    stages = {
        name: {"load": {"path": f"in/{name}.txt", "format": "text"}} for name in graph.sources
    }
    for name, inputs in graph.nodes:
        stage = {"from": inputs[0], "set": {"text": "text ~ 'x'"}}
        if inputs[1:]:
            stage = {
                "from": inputs[0],
                "with": {"other": inputs[1]},
                "set": {"text": "text ~ other[0].text[0]"},
            }
        stages[name] = stage
    _clue_file(home, stages, graph)


def clue_exec(graph, home):
    """The same with a program for each stage; for nodes of one input."""
    stages = {
        name: {"load": {"path": f"in/{name}.txt", "format": "text"}} for name in graph.sources
    }
    for name, inputs in graph.nodes:
        stages[name] = {"from": inputs[0], "exec": {"command": ["sed", 's/"}$/x"}/']}}
    _clue_file(home, stages, graph)


def _clue_file(home, stages, graph):
    outputs = {f"{name}.txt": {"from": name, "format": "text"} for name in graph.ends}
    # A line for each stage, as people write it; each value in the part of YAML that is JSON.
    lines = ["clue: 1", "name: dag"]
    for part, entries in (("stages", stages), ("outputs", outputs)):
        lines.append(f"{part}:")
        lines += [f"  {name}: {json.dumps(value)}" for name, value in entries.items()]
    Path(home, "dag.yaml").write_text("\n".join(lines) + "\n")


def ninja(graph, home):
    lines = ["rule sh", "  command = $cmd"]
    for name, inputs in graph.nodes:
        needs = " ".join(path(graph, one) for one in inputs)
        lines += [f"build {path(graph, name)}: sh {needs}", f"  cmd = {shell(graph, name, inputs)}"]
    Path(home, "build.ninja").write_text("\n".join(lines) + "\n")


def snakemake(graph, home):
    ends = [path(graph, name) for name in graph.ends]
    lines = ["rule all:", f"    input: {json.dumps(ends)}"]
    for name, inputs in graph.nodes:
        needs = json.dumps([path(graph, one) for one in inputs])
        # Braces stand for wildcards there.
        command = shell(graph, name, inputs).replace("{", "{{").replace("}", "}}")
        lines += [
            f"rule {name}:",
            f"    input: {needs}",
            f'    output: "{path(graph, name)}"',
            f"    shell: {json.dumps(command)}",
        ]
    Path(home, "Snakefile").write_text("\n".join(lines) + "\n")


def dvc(graph, home):
    lines = ["stages:"]
    for name, inputs in graph.nodes:
        lines += [
            f"  {name}:",
            f"    cmd: {json.dumps(shell(graph, name, inputs))}",
            f"    deps: {json.dumps([path(graph, one) for one in inputs])}",
            f"    outs: {json.dumps([path(graph, name)])}",
        ]
    Path(home, "dvc.yaml").write_text("\n".join(lines) + "\n")


def redun(graph, home):
    """The graph as data, for `peers/redun_flow.py`."""
    data = {
        "sources": {name: path(graph, name) for name in graph.sources},
        "nodes": [[name, inputs, path(graph, name)] for name, inputs in graph.nodes],
        "ends": graph.ends,
    }
    Path(home, "graph.json").write_text(json.dumps(data))
