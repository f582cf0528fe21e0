"""One process that answers requests with what one of its functions gives."""

from __future__ import annotations

import urllib.parse
from typing import Any

from lab import BIN, BOOTSTRAP, Lab, free_port, request, running, until

SERVER = """
import http.server, importlib, json, sys, urllib.parse

module, _, name = sys.argv[1].partition(":")
function = getattr(importlib.import_module(module), name)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        given = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        try:
            answer = {"returned": function(**given)} if given else {}
        except Exception as error:
            answer = {"raised": type(error).__name__, "text": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


class Service:
    """One process that answers with what a function gives."""

    def __init__(self, lab: Lab, function: str, **env: str) -> None:
        self.port = free_port()
        (lab.folder / "server.py").write_text(SERVER)
        env = lab.environment(**{"PYTHONPATH": str(BOOTSTRAP), **env})
        command = (BIN / "python", "server.py", function, self.port)
        lab.stack.enter_context(running(*command, log=lab.log, cwd=lab.folder, env=env))
        until(lambda: lab.answers(self.port, "/"), "the service")

    def call(self, **arguments: str) -> Any:
        return request(self.port, "GET", "/?" + urllib.parse.urlencode(arguments))[1]
