"""The smallest MCP server there is, so that what is measured is the way to it: ``python mcp_server.py stdio|http``."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "2025-06-18"
PORT = 8000


def answer(line):
    """Return the reply to a message, or None for a notification."""
    message = json.loads(line)
    if "id" not in message:
        return None
    result = {}
    if message["method"] == "initialize":
        server = {"name": "smallest", "version": "1"}
        result = {"protocolVersion": VERSION, "capabilities": {"tools": {}}, "serverInfo": server}
    elif message["method"] == "tools/call":
        result = {"content": [{"type": "text", "text": "hello"}]}
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = answer(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(202 if body is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def do_GET(self):
        self.send_error(405)

    do_DELETE = do_GET

    def log_message(self, *_):
        pass


if sys.argv[1] == "http":
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
for line in sys.stdin.buffer:
    if reply := answer(line):
        sys.stdout.buffer.write(reply + b"\n")
        sys.stdout.buffer.flush()
