"""What a program costs: wall time, CPU time and the most memory it held."""

import os
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

LAUNCH = os.path.join(os.path.dirname(__file__), "launch.py")


class Failed(Exception):
    """A program that was measured did not end well."""


@dataclass
class Cost:
    """Seconds, seconds, bytes. CPU and memory are those of the program and of what it waited for;
    memory is that of the largest single process."""

    wall: float
    cpu: float
    rss: int
    runs: int = 1
    # Calls that it made of a server.
    made: int = 0

    def json(self):
        return asdict(self)


def once(words, cwd, env=None, stdout=None):
    """Runs a program to its end. What it prints goes to a log in `cwd`, its standard output to
    `stdout` instead if that is given."""
    log = os.path.join(cwd, "last.log")
    for path in filter(None, (log, stdout)):
        open(path, "w").close()
    words = [str(word) for word in words]
    said = subprocess.run(
        [sys.executable, "-S", "-E", LAUNCH, str(stdout or log), log, *words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    code, wall, cpu, rss = said.stdout.split()
    if code != "0":
        with open(log, errors="replace") as file:
            tail = file.read()[-2000:]
        raise Failed(f"{' '.join(words)[:300]}: exit code {code}\n{tail}")
    return Cost(float(wall), float(cpu), int(rss))


def median(run, prepare=None, most=5, budget=8.0):
    """The medians of several runs: `most` of them, fewer of what takes longer than `budget`
    seconds together. `prepare` is called before each, outside of the measure."""
    costs = []
    while len(costs) < most and (not costs or sum(cost.wall for cost in costs) < budget):
        if prepare:
            prepare()
        costs.append(run())
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        round(statistics.median(cost.rss for cost in costs)),
        len(costs),
        costs[-1].made,
    )


class Server:
    """A program that prints the port it listens on, and is ended with the block."""

    def __init__(self, words):
        self.words = [str(word) for word in words]

    def __enter__(self):
        self.child = subprocess.Popen(self.words, stdout=subprocess.PIPE, text=True)
        self.port = int(self.child.stdout.readline())
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()
