"""Puts the JSON-LD context of RO-Crate 1.2 into the cache of rocrate-validator, so that it needs no
network: keep_context.py CONTEXT.json CACHE (the context as the npm package ro-crate 3.7.2 carries it
in lib/context.json). Run it with the Python that roc-validator is installed for."""

import io
import sys

import requests_cache
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

context, cache = sys.argv[1:]


class Given(HTTPAdapter):
    """Answers everything with the file."""

    def send(self, request, **_):
        body = open(context, "rb").read()
        headers = {"Content-Type": "application/ld+json", "Content-Length": str(len(body))}
        raw = HTTPResponse(io.BytesIO(body), headers, 200, preload_content=False, request_url=request.url)
        return self.build_response(request, raw)


session = requests_cache.CachedSession(cache, backend="sqlite", expire_after=-1)
session.mount("https://", Given())
for headers in [{"Accept": "application/ld+json, application/json, */*;q=0.1"}, {}]:
    session.get("https://w3id.org/ro/crate/1.2/context", headers=headers)
