"""`calls`: prompts to a model server that answers at once, or after 20 ms; again with every answer
in the cache; and again after one document changed."""

import json
import shutil
import urllib.request

from .measure import Server, median, once
from .peers import Missing

WIDTH = 256

CLUE = """\
clue: 1
name: calls
params: {url: ""}
models:
  mock: {url: "{{ params.url }}", id: mock, concurrency: %d}
stages:
  documents:
    load: {path: documents.jsonl, key: id}
  answers:
    from: documents
    generate: {model: mock, prompt: ask.j2}
outputs:
  answers.jsonl: {from: answers, fields: [id, answer]}
""" % WIDTH

LM_EVAL = """\
task: ask
dataset_path: json
dataset_kwargs: {data_files: {test: documents.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{prompt}}"
doc_to_target: ""
generation_kwargs: {max_gen_toks: 64, until: []}
metric_list: [{metric: bypass}]
"""


class Tool:
    """A client: its words for an address; how to see that it has all answers; what to delete so
    that it remembers nothing; whether it keeps answers at all."""

    def __init__(self, name, words, env=None, keeps=(), proof=None):
        self.name, self.words, self.env = name, words, env or (lambda url: {})
        self.keeps, self.proof = keeps, proof


def tools(bench):
    calls = lambda home: sum(1 for _ in open(home / "documents.jsonl"))
    found = [
        Tool(
            "clue",
            lambda url, home: [
                bench.clue, "run", "calls.yaml", "-q", "--yes", "--store", "store",
                "--out", "out", "-p", f"url={url}",
            ],
            keeps=["store", "out"],
            proof=lambda home: sum(1 for _ in open(home / "out/answers.jsonl")),
        ),
        Tool(
            "bare loop in Rust",
            lambda url, home: [bench.limits, "ask", url, calls(home), WIDTH],
        ),
    ]
    makers = [
        lambda: Tool(
            "asyncio script (aiohttp)",
            lambda url, home, python=bench.peers.bin("aiohttp"): [
                python, bench.here / "peers/ask_asyncio.py", url, WIDTH,
            ],
        ),
        lambda: Tool(
            "Inspect AI",
            lambda url, home, inspect=bench.peers.bin("inspect", "inspect"): [
                inspect, "eval", "inspect_task.py", "--model", "openai-api/mock/mock",
                "--max-connections", WIDTH, "--max-samples", WIDTH, "--display", "none",
                "--log-dir", "logs",
            ],
            env=lambda url: {
                "MOCK_API_KEY": "none", "MOCK_BASE_URL": url, "INSPECT_CACHE_DIR": "kept",
            },
            keeps=["kept", "logs"],
        ),
        lambda: Tool(
            "lm-evaluation-harness",
            lambda url, home, lm_eval=bench.peers.bin("lm-eval", "lm_eval"): [
                lm_eval, "--model", "local-chat-completions", "--model_args",
                f"model=mock,base_url={url}/chat/completions,num_concurrent={WIDTH},"
                "tokenized_requests=False",
                "--tasks", "ask", "--include_path", ".", "--apply_chat_template",
                "--use_cache", "kept/answers", "--output_path", "logs", "--log_samples",
            ],
            env=lambda url: {
                "HF_HUB_OFFLINE": "1", "HF_HOME": "hub", "OPENAI_API_KEY": "none",
            },
            keeps=["kept", "logs"],
        ),
    ]
    missing = {}
    for make, name in zip(makers, ("asyncio script", "Inspect AI", "lm-evaluation-harness")):
        try:
            found.append(make())
        except Missing as why:
            missing[name] = str(why)
    return found, missing


def run(bench):
    calls = 200 if bench.quick else 2000
    found, missing = tools(bench)
    rows = []

    def row(tool, what, latency, count, cost):
        made, wanted = cost.made, {"first": count, "again": 0, "one changed": 1}[what]
        if made != wanted:
            bench.say(f"{tool.name} made {made} calls where {wanted} were wanted")
        rows.append({
            "tool": tool.name, "what": what, "latency": latency, "calls": count,
            **cost.json(),
        })

    for latency in (0, 20):
        with Server([bench.limits, "mock", latency]) as server:
            url = f"http://127.0.0.1:{server.port}/v1"
            for tool in found:
                bench.say(f"calls: {calls} at {latency} ms: {tool.name}")
                home = folder(bench, calls)
                row(tool, "first", latency, calls, first(tool, url, home))
                if latency or not tool.keeps:
                    continue
                row(tool, "again", latency, calls, median(lambda: ask(tool, url, home)))
                edits = iter(range(100))
                edit = lambda: documents(home, calls, edited=next(edits))
                changed = median(lambda: ask(tool, url, home), prepare=edit)
                row(tool, "one changed", latency, calls, changed)
            if not latency:
                for tool in found[:2]:
                    bench.say(f"calls: {10 * calls} at {latency} ms: {tool.name}")
                    home = folder(bench, 10 * calls)
                    row(tool, "first", latency, 10 * calls, first(tool, url, home))
                    if tool.keeps:
                        again = median(lambda: ask(tool, url, home))
                        row(tool, "again", latency, 10 * calls, again)
    return {"rows": rows, "missing": missing, "width": WIDTH}


def first(tool, url, home):
    def forget():
        for kept in tool.keeps:
            shutil.rmtree(home / kept, ignore_errors=True)

    return median(lambda: ask(tool, url, home), prepare=forget)


def answered(url):
    """How many calls the server has answered."""
    with urllib.request.urlopen(url) as reply:
        return int(reply.read())


def ask(tool, url, home):
    before = answered(url)
    cost = once(tool.words(url, home), home, tool.env(url))
    cost.made = answered(url) - before
    if tool.proof:
        asked = sum(1 for _ in open(home / "documents.jsonl"))
        assert tool.proof(home) == asked, f"{tool.name} answered {tool.proof(home)} of {asked}"
    return cost


def folder(bench, calls):
    """A new folder with what each tool needs."""
    home = bench.work / "calls"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    documents(home, calls)
    (home / "calls.yaml").write_text(CLUE)
    (home / "ask.j2").write_text("{% user %}{{ prompt }}{% enduser %}\n")
    (home / "ask.yaml").write_text(LM_EVAL)
    shutil.copy(bench.here / "peers/inspect_task.py", home)
    return home


def documents(home, calls, edited=None):
    with open(home / "documents.jsonl", "w") as file:
        for at in range(calls):
            where = f"the clinic, visit {edited}" if edited is not None and not at else "the hospital"
            prompt = f"What happened to patient {at} in {where}?"
            file.write(json.dumps({"id": f"d{at}", "prompt": prompt}) + "\n")
