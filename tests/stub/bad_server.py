#!/usr/bin/env python3
"""An OpenAI-style server that misbehaves on demand (stdlib only).

    bad_server.py [--port 0] [--fault NAME] [--times N] [--after S]

The first line of stdout is the port. The fault of a request is the first marker
`[[NAME]]` or `[[NAME:N]]` in its body, else --fault. With N (or --times) only the
first N requests of that very body are spoilt, and the next ones are answered well;
without, all are. A good answer is `answer-` and eight hex digits of the body's SHA-256.
For steady faults at a rate, latency and limits, see stub_llm.py.

Faults
  429, 500, 503    that status; 429 and 503 with `Retry-After: S` (--after, default 1)
  401, 404, 400    that status: a bad key, an unknown model, a prompt that is too long
  hang             accepts the request and never answers
  slow             the first byte comes after S seconds, then a good answer
  cut              the connection ends in the middle of the body
  drop             the connection ends before any byte
  json             status 200, a body that is not JSON
  empty            status 200, an empty text
  choices          status 200, an empty list of choices

GET /stats gives the counts: requests, by_fault, in_flight, peak, distinct; /health and
/v1/models answer well.
"""
import argparse
import hashlib
import json
import re
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUS = {
    "400": "the prompt has more tokens than the context",
    "401": "invalid key",
    "404": "the model does not exist",
    "429": "too many requests",
    "500": "internal error",
    "503": "loading model",
}
FAULTS = sorted(STATUS) + ["choices", "cut", "drop", "empty", "hang", "json", "slow"]
MARKER = re.compile(r"\[\[(%s)(?::(\d+))?\]\]" % "|".join(FAULTS))


class Counts:
    """What the server has seen."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = self.in_flight = self.peak = 0
        self.by_fault, self.seen = Counter(), Counter()

    def enter(self, digest):
        with self.lock:
            self.requests += 1
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            self.seen[digest] += 1
            return self.seen[digest]

    def leave(self):
        with self.lock:
            self.in_flight -= 1

    def as_json(self):
        with self.lock:
            return {"requests": self.requests, "in_flight": self.in_flight, "peak": self.peak,
                    "distinct": len(self.seen), "by_fault": dict(self.by_fault)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options = counts = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/stats":
            self.reply(200, self.counts.as_json())
        elif self.path == "/health":
            self.reply(200, {"status": "ok"})
        elif self.path == "/v1/models":
            self.reply(200, {"object": "list", "data": [{"id": "bad-server", "object": "model"}]})
        else:
            self.reply(404, {"error": {"message": "no such path"}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        digest = hashlib.sha256(body).hexdigest()
        attempt = self.counts.enter(digest)
        try:
            marker = MARKER.search(body.decode("utf-8", "replace"))
            fault, times = (marker[1], int(marker[2] or 0)) if marker else (self.options.fault, self.options.times)
            if times and attempt > times:
                fault = None
            with self.counts.lock:
                self.counts.by_fault[fault or "none"] += 1
            self.answer(fault, "answer-" + digest[:8])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.counts.leave()

    def answer(self, fault, text):
        after = self.options.after
        if fault in STATUS:
            wait = [("Retry-After", "%g" % after)] if fault in ("429", "503") else []
            self.reply(int(fault), {"error": {"message": STATUS[fault]}}, wait)
        elif fault == "hang":
            threading.Event().wait()
        elif fault == "drop":
            self.close_connection = True
        elif fault == "json":
            self.send(200, b'{"choices": [{"text": "half')
        elif fault == "choices":
            self.reply(200, {"choices": []})
        else:
            if fault == "slow":
                time.sleep(after)
            good = json.dumps(self.good("" if fault == "empty" else text)).encode()
            self.send(200, good, cut=fault == "cut")

    def good(self, text):
        choice = {"index": 0, "finish_reason": "stop"}
        if "chat" in self.path:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        return {"model": "bad-server", "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}

    def reply(self, status, value, headers=()):
        self.send(status, json.dumps(value).encode(), headers)

    def send(self, status, body, headers=(), cut=False):
        self.send_response(status)
        for name, value in [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:len(body) // 2] if cut else body)
        self.wfile.flush()
        if cut:
            self.close_connection = True


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--port", type=int, default=0)
    ap.add_argument("--fault", choices=FAULTS)
    ap.add_argument("--times", type=int, default=0, help="spoil only the first N requests of a body (0: all)")
    ap.add_argument("--after", type=float, default=1.0, help="seconds of Retry-After and of `slow`")
    Handler.options = ap.parse_args()
    Handler.counts = Counts()
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer.request_queue_size = 256
    server = ThreadingHTTPServer(("127.0.0.1", Handler.options.port), Handler)
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
