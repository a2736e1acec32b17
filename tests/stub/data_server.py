#!/usr/bin/env python3
"""A server of files that misbehaves on demand (stdlib only).

    data_server.py --dir FOLDER [--port 0] [--user ada --password s3cr3t-word]

The first line of stdout is the port. Files of FOLDER are served with ETag, Last-Modified and
ranges; those under /private/ to the user with the password, by basic authentication (401 without,
and 403 to the user `eve`, with the same password). What a query says goes wrong:

  ?cut=N        the connection ends after N bytes of the body; ?cut=N,M: after N and M by turns
  ?stall=N      nothing comes after N bytes
  ?status=S     that status; with ?wait=W and `Retry-After: W`
  ?ranges=no    ranges are not served; ?ranges=wrong: from another byte than asked
  ?tags=no      no ETag and no Last-Modified; ?tags=weak: a weak ETag only
  ?length=no    no Content-Length: the end of the connection is the end of the file
  ?type=T       that Content-Type
  ?goto=P/X     a redirect to /X at port P of this computer; ?goto=ADDRESS: there;
                ?goto=CIRCLE: here
  ?times=K      all this for the first K requests of the path only

GET /log gives the requests so far as a list of {path, auth, range, if_range, agent, encoding};
`auth` is the header itself.
"""
import argparse
import base64
import hashlib
import json
import os
import sys
import threading
import time
from collections import Counter
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options = None
    lock, log, seen = threading.Lock(), [], Counter()

    def log_message(self, *_):
        pass

    def do_GET(self):
        try:
            self.serve()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def serve(self):
        url = urlsplit(self.path)
        if url.path == "/log":
            with self.lock:
                return self.send(200, json.dumps(self.log).encode())
        of = {k: v[0] for k, v in parse_qs(url.query).items()}
        head = self.headers.get
        with self.lock:
            self.seen[self.path] += 1
            times = self.seen[self.path]
            self.log.append({"path": url.path, "auth": head("Authorization"), "range": head("Range"),
                             "if_range": head("If-Range"), "agent": head("User-Agent"),
                             "encoding": head("Accept-Encoding")})
        if "times" in of and times > int(of["times"]):
            of = {}
        cuts = of.get("cut", "").split(",")
        if cuts != [""]:
            of["cut"] = cuts[(times - 1) % len(cuts)]
        if "goto" in of:
            to = of["goto"]
            to = self.path if to == "CIRCLE" else to if ":" in to else "http://127.0.0.1:%s" % to
            return self.send(302, b"", [("Location", to)])
        if url.path.startswith("/private/") and not self.allowed():
            return
        if "status" in of:
            wait = [("Retry-After", of["wait"])] if "wait" in of else []
            return self.send(int(of["status"]), b"as you wish", wait)
        path = os.path.join(self.options.dir, unquote(url.path).lstrip("/"))
        if not os.path.isfile(path):
            return self.send(404, b"no such file")
        self.file(path, of)

    def allowed(self):
        def basic(user):
            pair = "%s:%s" % (user, self.options.password)
            return "Basic " + base64.b64encode(pair.encode()).decode()
        given = self.headers.get("Authorization")
        if given == basic(self.options.user):
            return True
        if given == basic("eve"):
            self.send(403, b"no agreement signed")
        else:
            self.send(401, b"who are you?", [("WWW-Authenticate", 'Basic realm="data"')])
        return False

    def file(self, path, of):
        with open(path, "rb") as f:
            data = f.read()
        tag = '"%s"' % hashlib.sha256(data).hexdigest()[:16]
        date = formatdate(os.path.getmtime(path), usegmt=True)
        heads = [("Content-Type", of.get("type", "application/octet-stream"))]
        if of.get("tags") == "weak":
            heads.append(("ETag", "W/" + tag))
        elif of.get("tags") != "no":
            heads += [("ETag", tag), ("Last-Modified", date)]
        status, start = 200, 0
        asked = self.headers.get("Range")
        same = self.headers.get("If-Range")
        if asked and of.get("ranges") != "no" and (same is None or same in (tag, date)):
            start = int(asked[len("bytes="):].split("-")[0])
            if start >= len(data):
                return self.send(416, b"", [("Content-Range", "bytes */%d" % len(data))])
            status = 206
            told = start + 1 if of.get("ranges") == "wrong" else start
            heads.append(("Content-Range", "bytes %d-%d/%d" % (told, len(data) - 1, len(data))))
        self.send(status, data[start:], heads, of)

    def send(self, status, body, heads=(), of={}):
        self.send_response(status)
        for name, value in heads:
            self.send_header(name, value)
        if of.get("length") == "no":
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end = int(of.get("cut", of.get("stall", len(body))))
        self.wfile.write(body[:end])
        self.wfile.flush()
        if "stall" in of:
            time.sleep(600)
        if end < len(body):
            self.close_connection = True


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--port", type=int, default=0)
    ap.add_argument("--dir", required=True)
    ap.add_argument("--user", default="ada")
    ap.add_argument("--password", default="s3cr3t-word")
    Handler.options = ap.parse_args()
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", Handler.options.port), Handler)
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
