#!/usr/bin/env python3
"""A model server with a limit, for tests of how servers are used (stdlib only).

    busy_server.py [--port 0] [--latency-ms L] [--most N] [--lock FILE] [--log FILE] [--name NAME]

The first line of stdout is the port. POST anything: an answer `answer-` and eight hex digits of the
body's SHA-256, in the shape of chat completions, after L milliseconds. More than N requests at
once get 429. With --lock, it ends at once if another server holds the lock: two that do not fit on one
machine. With --log, it appends `start NAME`, and `prompt NAME FIRST-WORD` for each request.

GET /health  200, or 503 while it is being started
GET /stats   requests, refused, peak, and `mean`: requests open on average, without the first third
GET /die     it ends, as if it had crashed
"""
import argparse
import asyncio
import fcntl
import hashlib
import json
import os
import sys
import time

args = argparse.ArgumentParser()
args.add_argument("--port", type=int, default=0)
args.add_argument("--latency-ms", type=float, default=0)
args.add_argument("--most", type=int, default=1 << 30)
args.add_argument("--lock")
args.add_argument("--log")
args.add_argument("--name", default="server")
args = args.parse_args()

seen = {"requests": 0, "refused": 0, "peak": 0}
open_now = 0
spans = []  # of those that were answered: when they began and ended


def log(line):
    if args.log:
        with open(args.log, "a") as file:
            file.write(line + "\n")


def mean():
    done = sorted(span for span in spans if span[1])
    if len(done) < 3:
        return 0.0
    start, end = done[len(done) // 3][0], done[-1][0]
    held = sum(max(0.0, min(b, end) - max(a, start)) for a, b in done)
    return held / max(end - start, 1e-9)


async def answer(body):
    global open_now
    seen["requests"] += 1
    if open_now >= args.most:
        seen["refused"] += 1
        return 429, {"error": {"message": "too many requests"}}
    open_now += 1
    seen["peak"] = max(seen["peak"], open_now)
    span = [time.monotonic(), None]
    spans.append(span)
    log("prompt %s %s" % (args.name, json.loads(body)["messages"][-1]["content"].split()[0]))
    await asyncio.sleep(args.latency_ms / 1000)
    open_now -= 1
    span[1] = time.monotonic()
    text = "answer-" + hashlib.sha256(body).hexdigest()[:8]
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    return 200, {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path = head.split(" ", 2)[:2]
            length = next((int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
            body = await reader.readexactly(length)
            if path == "/die":
                os._exit(3)
            if method == "POST":
                status, out = await answer(body)
            elif path == "/stats":
                status, out = 200, dict(seen, mean=mean())
            else:
                status, out = 200, {"data": []}
            data = json.dumps(out).encode()
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(data)) + data)
            await writer.drain()
            if head.split(" ", 2)[2].startswith("HTTP/1.0"):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    if args.lock:
        lock = open(args.lock, "a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit("out of memory: another server is on this machine")
    server = await asyncio.start_server(serve, "127.0.0.1", args.port)
    log("start " + args.name)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main())
