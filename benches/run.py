#!/usr/bin/env python3
"""Measures `clue` against what people use instead, and against what the machine can do at all.

    python3 benches/run.py [calls] [dag] [metrics] [data] [scale] [--quick] [--keep] [--clue PATH]

Without names all suites run. Prints a table for each, and writes benches/RESULTS.md from the last
results of every suite. Peers are installed with pip under target/bench; what can't be had is
left out with the reason.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from suite import calls, dag, data, machine, metrics, report, scale  # noqa: E402
from suite.peers import Peers  # noqa: E402

SUITES = {"calls": calls, "dag": dag, "metrics": metrics, "data": data, "scale": scale}


class Bench:
    """What every suite is given."""

    def __init__(self, options):
        self.here = HERE
        self.root = HERE.parent
        self.target = Path(os.environ.get("CARGO_TARGET_DIR", self.root / "target")).resolve()
        self.home = self.target / "bench"
        self.work = self.home / "work"
        self.quick, self.keep = options.quick, options.keep
        self.peers = Peers(self.home / "peers")
        self.clue = (options.clue or self._built("clue")).resolve()
        self.limits = (options.limits or self._built("limits")).resolve()
        self.cores = len(os.sched_getaffinity(0))

    def say(self, text):
        print(f"  {text}", file=sys.stderr, flush=True)

    def _built(self, name):
        """The program from a release build, which is made if need be."""
        what = ["build", "--release"] if name == "clue" else ["bench", "--bench", name, "--no-run"]
        built = subprocess.run(
            ["cargo", *what, "--message-format=json"],
            cwd=self.root, check=True, stdout=subprocess.PIPE, text=True,
        )
        made = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
        paths = [
            one["executable"]
            for one in made
            if one.get("executable") and one["target"]["name"] == name
        ]
        return Path(paths[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--quick", action="store_true", help="a tenth of the work; no RESULTS.md")
    parser.add_argument("--keep", action="store_true", help="keep the data sets that were made")
    parser.add_argument("--clue", type=Path, help="this program, not one built here")
    parser.add_argument("--limits", type=Path, help="this build of benches/limits")
    options = parser.parse_args()
    for name in options.suites:
        if name not in SUITES:
            parser.error(f"no suite `{name}`: there are {', '.join(SUITES)}")
    bench = Bench(options)
    results_file = bench.home / ("quick.json" if options.quick else "results.json")
    results = json.loads(results_file.read_text()) if results_file.exists() else {}
    for name in options.suites or SUITES:
        bench.say(name)
        shutil.rmtree(bench.work, ignore_errors=True)
        bench.work.mkdir(parents=True)
        results[name] = {"machine": machine.about(bench), **SUITES[name].run(bench)}
        results_file.write_text(json.dumps(results, indent=1))
        print(report.suite(name, results[name]))
    shutil.rmtree(bench.work, ignore_errors=True)
    if not options.keep:
        shutil.rmtree(bench.home / "data", ignore_errors=True)
    text = report.whole(results)
    place = bench.home / "QUICK.md" if options.quick else HERE / "RESULTS.md"
    place.write_text(text)
    print(f"written: {place}")


if __name__ == "__main__":
    main()
