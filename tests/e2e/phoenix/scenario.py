"""An application, a collector, Arize Phoenix and a browser in a network of their own; what each has seen, as JSON.

Phoenix takes OTLP by gRPC on all addresses of its machine, so it must not share one with others:

    unshare --net sh -c 'ip link set lo up && exec "$@"' sh python scenario.py FOLDER PHOENIX_PYTHON CHROMIUM
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
import lab
from lab import BIN, BOOTSTRAP, clean_environment, free_port, request, running, until
from playwright.sync_api import sync_playwright

lab.PATIENCE = 180.0  # Phoenix takes 20 s to start on an idle machine
APPLICATION = """\
import sys, time

STOCK = {"pen": 3, "ink": 8}

def price(item):
    time.sleep(0.02)
    return STOCK[item]

def order(item, count):
    if count > 9:
        raise ValueError(f"{count} are too many")
    return price(item) * count

def shop():
    for item, count in (("pen", 2), ("ink", 1), ("pen", 12), ("glue", 1)):
        try:
            order(item, count)
        except (ValueError, KeyError):
            continue

shop()
sys.stdin.readline()  # until its caller has seen enough
"""
SPANS = 8
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
CAUSED = ("5a" * 16, "6b" * 8)


def fetched(url: str) -> Any:
    """Return the JSON at an address, or None."""
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=30) as answer:
        return json.loads(answer.read() or b"{}")
    return None


def health(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def traces(port: int) -> list[dict[str, Any]]:
    """Return the spans of all traces that the collector has, its own work too."""
    found = []
    for query in ("", "?service=gnosis-mystic"):
        for one in (fetched(f"http://127.0.0.1:{port}/api/traces{query}") or {"traces": []})["traces"]:
            trace = fetched(f"http://127.0.0.1:{port}/api/traces/{one['trace_id']}")
            found += [{**span, "trace_id": one["trace_id"]} for span in trace["spans"]]
    return found


def looked_at(url: str, trace: str, picture: Path, chromium: str) -> str:
    """Return what Phoenix's page says of a trace, and keep a picture of it."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(lab.PATIENCE * 1000)
        page.goto(f"{url}/redirects/traces/{trace}")
        page.get_by_text("__main__.order").last.click()
        page.get_by_text("KeyError").first.wait_for()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=picture)
        text = page.inner_text("body")
        browser.close()
        return text


def main(folder: Path, phoenix: str, chromium: str) -> dict[str, Any]:
    theirs, ours = free_port(), free_port()
    url = f"http://127.0.0.1:{theirs}"
    project = folder / "project"
    project.mkdir()
    (project / "app.py").write_text(APPLICATION)
    with contextlib.ExitStack() as stack:
        quiet = {"PHOENIX_TELEMETRY_ENABLED": "false", "PHOENIX_WORKING_DIR": str(folder / "phoenix")}
        env = clean_environment(PHOENIX_HOST="127.0.0.1", PHOENIX_PORT=str(theirs), **quiet)
        serve = (phoenix, "-m", "phoenix.server.main", "serve")
        stack.enter_context(running(*serve, log=folder / "phoenix.log", cwd=folder, env=env))
        told = {"PROJECT_ROOT": str(project), "MYSTIC_DATA_DIR": str(folder / "data")}
        env = clean_environment(MYSTIC_FORWARD=f"{url}#traces", **told)
        serve = (str(BIN / "mystic"), "serve", "--port", str(ours))
        stack.enter_context(running(*serve, log=folder / "collector.log", cwd=folder, env=env))
        until(lambda: health(f"http://127.0.0.1:{ours}/health"), "the collector")
        until(lambda: health(f"{url}/healthz"), "Phoenix")

        told = {"MYSTIC_PORT": str(ours), "MYSTIC_SERVICE": "shop", "MYSTIC_TRACES_PER_SECOND": "all"}
        env = clean_environment(PYTHONPATH=str(BOOTSTRAP), PROJECT_ROOT=str(project), **told)
        application = subprocess.Popen([sys.executable, "app.py"], cwd=project, env=env, stdin=subprocess.PIPE)
        try:
            until(lambda: len(traces(ours)) == SPANS, "the application's trace")
        finally:
            application.communicate(b"\n", timeout=lab.PATIENCE)
        caused = urllib.request.Request(f"http://127.0.0.1:{ours}/api/hijacks", data=b'{"target": "app:price"}')
        caused.add_header("traceparent", f"00-{CAUSED[0]}-{CAUSED[1]}-01")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(caused, timeout=30).close()
        until(lambda: len(traces(ours)) == SPANS + 1, "the collector's own")
        kept = traces(ours)

        def arrived() -> list[dict[str, Any]]:
            found = fetched(f"{url}/v1/projects/default/spans?limit=100")
            return found["data"] if found and len(found["data"]) >= len(kept) else []

        read = until(arrived, "all of it in Phoenix")
        root = next(one for one in kept if one["service"] == "shop")
        text = looked_at(url, root["trace_id"], folder / "phoenix.png", chromium)
        status = request(ours, "GET", "/api/status")[1]
    return {"ours": kept, "theirs": read, "page": text, "forward": status["forward"], "caused": CAUSED}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
