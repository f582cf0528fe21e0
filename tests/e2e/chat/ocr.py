"""A service that reads text off images, and asks an external dictionary: Pillow, httpx, starlette, uvicorn."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab import BIN, BOOTSTRAP, Lab, running, until

SOURCE = '''
import hashlib, logging, os, time

import httpx
from PIL import Image, ImageDraw
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

logging.basicConfig(level=logging.INFO, filename=os.environ["OCR_LOG"], format="%(message)s")
runs = 0


def load_image(text):
    """Draw an image that holds the text."""
    image = Image.new("L", (200, 40), 255)
    ImageDraw.Draw(image).text((4, 4), text, fill=0)
    return image


def process_ocr(text, language="en"):
    """Read the text off an image; slow."""
    global runs
    runs += 1
    time.sleep(0.05)
    digest = hashlib.sha256(load_image(text).tobytes()).hexdigest()
    return {"text": text, "language": language, "digest": digest, "run": runs}


def check_word(word):
    """Ask the external dictionary whether a word exists."""
    reply = httpx.get(os.environ["DICTIONARY"], params={"word": word}, trust_env=False)
    return reply.json()


def sign_in(user, password, token=""):
    """Let a user in."""
    return len(user) > 2


def of_query(request, *names):
    return [request.query_params.get(name, "") for name in names]


async def ocr(request):
    return JSONResponse(await run_in_threadpool(process_ocr, *of_query(request, "text")))


async def word(request):
    return JSONResponse(await run_in_threadpool(check_word, *of_query(request, "word")))


async def login(request):
    return JSONResponse(sign_in(*of_query(request, "user", "password", "token")))


app = Starlette(routes=[Route("/ocr", ocr), Route("/word", word), Route("/login", login)])
'''


class Dictionary:
    """The external API: a real server that counts who asks it."""

    def __init__(self) -> None:
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                body = json.dumps({"exists": True, "source": "dictionary"}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @contextlib.contextmanager
    def open(self) -> Iterator[Dictionary]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


def serve(lab: Lab, dictionary: Dictionary, stage: str = "development") -> int:
    """Start the service under uvicorn with the agent; return its port once the collector knows its functions."""
    (lab.folder / "ocr_service.py").write_text(SOURCE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = lab.environment(
        PYTHONPATH=str(BOOTSTRAP),
        MYSTIC_ENV=stage,
        DICTIONARY=dictionary.url,
        OCR_LOG=str(log_of(lab, stage)),
    )
    environment["MYSTIC_SERVICE"] = "gnosis-ocr"
    command = (BIN / "python", "-m", "uvicorn", "ocr_service:app", "--port", port, "--log-level", "error")
    lab.stack.enter_context(running(*command, log=lab.log, cwd=lab.folder, env=environment))
    until(lambda: lab.answers(port, "/login?user=ada"), "the service")
    until(lambda: stage in stages_known(lab), "the report of the service")
    return port


def log_of(lab: Lab, stage: str) -> Any:
    return lab.folder / f"application-{stage}.log"


def stages_known(lab: Lab) -> set[str]:
    processes = lab.api("GET", "/api/status")[1]["processes"]
    return {one["stage"] for one in processes if one["functions"].get("attached", 0) > 4}
