"""A service whose calls can be looked at, and changed, on the page."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from lab import Lab, until
from service import Service

HTML = "<img src=x onerror=document.title=1><script>document.title=2</script>"

APPLICATION = '''
"""What is sold."""

def price(item, quantity=1):
    """Say what it costs; slow on purpose."""
    return sum(range(40_000)) * 0 + len(item) * quantity

def label(text):
    """Give markup back."""
    return "<b>" + text + "</b>"

def sell(item, quantity="1"):
    if item == "nothing":
        raise KeyError(item)
    return {"total": price(item, int(quantity)), "label": label(item)}
'''


class Market:
    """A collector, one process of the service, and their traffic."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        (folder / "market.py").write_text(APPLICATION)
        self.lab = Lab(folder, stack)
        self.lab.start_collector(MYSTIC_SERVERS="off", MYSTIC_TRACE_UI="http://traces.example/trace/{trace_id}")
        self.service = Service(self.lab, "market:sell", MYSTIC_SERVICE="market", MYSTIC_TRACES_PER_SECOND="all")
        self.url = f"http://127.0.0.1:{self.lab.port}/"
        self.sell(20)
        self.service.call(item="nothing")
        until(lambda: self.figures("market:sell")["exceptions"] == 1, "the error's arrival")

    def sell(self, times: int, item: str = "tea") -> None:
        """Sell something, and return once it has been counted."""
        before = self.lab.count("market:sell")
        for _ in range(times):
            self.service.call(item=item)
        until(lambda: self.lab.count("market:sell") == before + times, "the calls' arrival")

    def api(self, path: str, body: Any = None, method: str = "") -> Any:
        status, answer = self.lab.api(method or ("GET" if body is None else "POST"), path, body)
        assert status < 300, answer
        return answer

    def figures(self, function: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api(f"/api/metrics/{function}")
        return found

    def hijack(self, strategy: str, options: dict[str, Any], function: str = "market:price") -> str:
        """Hijack a function, and return the id once it is in force."""
        body = {"target": function, "stages": {"*": [{strategy: options}]}, "owner": "ada", "reason": "a test"}
        made: str = self.api("/api/hijacks", body)["id"]
        until(lambda: self.api(f"/api/hijacks/{made}")["progress"]["attached"] == 1, "the hijack")
        return made

    def release_all(self) -> None:
        """Let every test begin with a service that runs as it was written."""
        self.lab.api("POST", "/api/on", {})
        for one in self.api("/api/hijacks")["hijacks"]:
            self.api(f"/api/hijacks/{one['id']}", method="DELETE")
        until(lambda: not any(one["hijacks"] for one in self.api("/api/functions")["functions"]), "the release")
