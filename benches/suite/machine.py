"""The machine and the program that a suite ran on."""

import datetime
import os
import platform
import subprocess
from pathlib import Path


def about(bench):
    return {
        "day": datetime.date.today().isoformat(),
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": bench.cores,
        "memory_gib": round(int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2**20, 1),
        "system": f"{platform.system()} {os.uname().release.split('-')[0]}",
        "python": platform.python_version(),
        "clue": _said([str(bench.clue), "--version"]).removeprefix("clue "),
        "commit": _said(["git", "-C", str(bench.root), "rev-parse", "--short", "HEAD"]),
        "load": round(os.getloadavg()[0], 2),
        "quick": bench.quick,
    }


def _field(path, name):
    lines = Path(path).read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(name))


def _said(words):
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()
