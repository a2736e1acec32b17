"""What a program costs: wall time, CPU time and the most memory it held."""

import os
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass


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
    """Runs a program to its end. Its output goes to a log beside `cwd`'s files, or to `stdout`."""
    words = [str(word) for word in words]
    log_path = os.path.join(cwd, "last.log")
    with open(log_path, "wb") as log, open(stdout or os.devnull, "wb") as out:
        start = time.perf_counter()
        child = subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out if stdout else log,
            stderr=log,
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        with open(log_path, "rb") as log:
            tail = log.read()[-2000:].decode(errors="replace")
        raise Failed(f"{' '.join(words)[:300]}: exit code {child.returncode}\n{tail}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


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
