"""ClickHouse's own engine (the package chdb) behind as much of its HTTP interface as a client library needs.

Run by an interpreter that has chdb and lz4: ``python clickhouse_front.py FOLDER [PORT [CERTIFICATE]]``. Prints its
port. Ends when its standard input does.
"""

from __future__ import annotations

import gzip
import json
import re
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import lz4.frame
from chdb import session

ENGINE = session.Session(sys.argv[1])
TURN = threading.Lock()
INSERT = re.compile(rb"\s*INSERT INTO (.+?) FORMAT Native\s", re.IGNORECASE | re.DOTALL)
FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
FAILURE = re.compile(r"Code: (\d+)")


def insert(statement: str, body: bytes, token: str) -> None:
    settings = f" SETTINGS insert_deduplication_token = '{token}'" if token.isalnum() else ""
    inserter = ENGINE._conn.send_insert(f"INSERT INTO {statement}{settings}", "Native")
    inserter.append(body)
    inserter.finish()


def answer(given: dict[str, str], body: bytes) -> bytes:
    """Do one statement, given in the address or in the body."""
    with TURN:
        if given.get("database"):
            ENGINE.query(f"USE `{given['database']}`")
        if found := INSERT.match(body):
            insert(found[1].decode(), body[found.end() :], given.get("insert_deduplication_token", ""))
            return b""
        statement = given.get("query", "") + body.decode()
        wanted = FORMAT.search(statement)
        values = {name[6:]: value for name, value in given.items() if name.startswith("param_")}
        return bytes(ENGINE.query(statement, wanted[1] if wanted else "TabSeparated", params=values or None).bytes())


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.reply(200, b"Ok.\n") if urlsplit(self.path).path == "/ping" else self.do_POST()

    def do_POST(self) -> None:
        body = self.body()
        if "lz4" in self.headers.get("content-encoding", ""):
            body = lz4.frame.decompress(body)
        elif "gzip" in self.headers.get("content-encoding", ""):
            body = gzip.decompress(body)
        given = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query, True).items()}
        try:
            self.reply(200, answer(given, body))
        except Exception as error:
            code = FAILURE.search(str(error))
            self.reply(500, str(error).encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "1"})

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            **(headers or {}),
            "X-ClickHouse-Summary": json.dumps({}),
            "Content-Length": len(body),
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Front)
server.daemon_threads = True
if len(sys.argv) > 3:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[3])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
server.shutdown()
ENGINE.close()
