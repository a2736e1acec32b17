#!/usr/bin/env python3
"""Serve one GGUF model on 127.0.0.1 over llama.cpp's OpenAI-compatible HTTP server.

    serve.py --model-file gemma.gguf --port 8080

One slot: requests queue, and at temperature 0 an answer does not depend on what else
is in flight. Runs until SIGTERM or SIGINT; with --with-parent also until the process
that started it is gone, so that a killed run leaves no server behind.
"""
import argparse
import os
import signal
import sys
import time


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model-file", required=True)
    ap.add_argument("--port", type=int, required=True)
    ap.add_argument("--name", default="gemma-3-270m", help="the model id that the server reports")
    ap.add_argument("--context", type=int, default=8192, help="tokens of prompt and answer together")
    # One core stays free: threads that wait for a busy core slow the model down many times.
    ap.add_argument("--threads", type=int, default=max(1, min(8, (os.cpu_count() or 2) - 1)))
    ap.add_argument("--with-parent", action="store_true")
    args = ap.parse_args()
    parent = os.getppid()
    if not os.path.isfile(args.model_file):
        print("error: no model file at `%s`" % args.model_file, file=sys.stderr)
        return 2

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = args.model_file
    params.model_alias = {args.name}
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    params.n_ctx = args.context
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: os._exit(0))
    print("serving %s on http://127.0.0.1:%d" % (args.name, args.port), flush=True)
    while server and (not args.with_parent or os.getppid() == parent):
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
