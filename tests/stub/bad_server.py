#!/usr/bin/env python3
"""A model server that misbehaves on demand (stdlib only).

    bad_server.py [--port 0] [--fault NAME] [--times N] [--after S] [--to URL]

The first line of stdout is the port. The fault of a request is the first marker
`[[NAME]]` or `[[NAME:N]]` in its body, else --fault. With N (or --times) only the
first N requests of that very body are spoilt, and the next ones are answered well;
without, all are. A good answer is `answer-` and eight hex digits of the body's SHA-256.
It speaks OpenAI's chat and text completions, TGI's /generate and Anthropic's /v1/messages; the
last wants the header `anthropic-version`. For steady faults at a rate, latency and limits, see stub_llm.py.

Faults
  429, 500, 503    that status; 429 and 503 with `Retry-After: S` (--after, default 1)
  401, 404, 400    that status: a bad key, an unknown model, a request that is wrong
  overflow         a prompt that is too long, in the words of the API
  prefill          an answer's beginning that the model cannot go on from, likewise
  424, 529         that status: what TGI and Anthropic say when they break or are overloaded
  hang             accepts the request and never answers
  slow             the first byte comes after S seconds, then a good answer
  cut              the connection ends in the middle of the body
  drop             the connection ends before any byte
  json             status 200, a body that is not JSON
  empty            status 200, an empty text
  choices          status 200, an answer without any choice
  redirect         status 307, to the same path at --to
  think            a good answer, after thinking aloud in the way of the API

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
    "400": "the request is wrong",
    "401": "invalid key",
    "404": "the model does not exist",
    "424": "request failed during generation",
    "429": "too many requests",
    "500": "internal error",
    "503": "unavailable",
    "529": "overloaded",
}
FAULTS = sorted(STATUS) + ["choices", "cut", "drop", "empty", "hang", "json", "overflow", "prefill", "redirect", "slow", "think"]
OVERFLOW = {
    "openai": (400, "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."),
    "tgi": (422, "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000"),
    "anthropic": (400, "prompt is too long: 5000 tokens > 4096 maximum"),
}
PREFILL = {
    "openai": (400, "Assistant response prefill is not supported."),
    "anthropic": (400, "This model does not support assistant message prefill."),
}
TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error",
         529: "overloaded_error"}
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
        self.api = {"/generate": "tgi", "/v1/messages": "anthropic"}.get(self.path, "openai")
        if self.api == "anthropic" and not self.headers.get("anthropic-version"):
            return self.complain(400, "anthropic-version: header is required")
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
            self.complain(int(fault), STATUS[fault], wait)
        elif fault == "overflow":
            self.complain(*OVERFLOW[self.api])
        elif fault == "prefill":
            self.complain(*PREFILL[self.api])
        elif fault == "hang":
            threading.Event().wait()
        elif fault == "redirect":
            self.reply(307, {}, [("Location", self.options.to + self.path)])
        elif fault == "drop":
            self.close_connection = True
        elif fault == "json":
            self.send(200, b'{"choices": [{"text": "half')
        elif fault == "choices":
            self.reply(200, {} if self.api == "tgi" else {"type": "message"} if self.api == "anthropic" else {"choices": []})
        else:
            if fault == "slow":
                time.sleep(after)
            good = json.dumps(self.good("" if fault == "empty" else text, fault == "think")).encode()
            self.send(200, good, cut=fault == "cut")

    def complain(self, status, message, headers=()):
        kind = TYPES.get(status, "api_error")
        self.reply(status, {
            "openai": {"error": {"message": message}},
            "tgi": {"error": message, "error_type": "validation" if status == 422 else "overloaded"},
            "anthropic": {"type": "error", "error": {"type": kind, "message": message}},
        }[self.api], headers)

    def good(self, text, think):
        if self.api == "tgi":
            details = {"finish_reason": "eos_token", "generated_tokens": 1, "prefill": [{"id": 1}]}
            return {"generated_text": text, "details": details}
        if self.api == "anthropic":
            content = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}] if think else []
            return {"type": "message", "model": "bad-server", "content": content + [{"type": "text", "text": text}],
                    "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}
        choice = {"index": 0, "finish_reason": "stop"}
        if "chat" in self.path:
            text = "<think>\nHm.\n</think>\n\n" + text if think else text
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
    ap.add_argument("--to", default="", help="where `redirect` leads")
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
