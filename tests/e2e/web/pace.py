"""How fast the page is at its size: ``python -m tests.e2e.web.pace [times]``.

Prints, for each thing a person does, the milliseconds from the input until what was asked for is painted (the middle
and the longest of ``times``), and what the page's own thread worked for it. Nothing asserts these figures.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page

from tests.e2e.web.browser import Window, chromium
from tests.e2e.web.crowd import FUNCTIONS, SPANS, TRACES, crowd, name

_MEASURE = """([act, done]) => new Promise((resolve, reject) => {
  const began = performance.now(), reached = new Function("return " + done);
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => resolve(performance.now() - began);
  const look = () => {
    if (reached()) port2.postMessage(0); // comes after this frame's painting, which follows
    else if (performance.now() - began > 20000) reject(new Error("never: " + done));
    else requestAnimationFrame(look);
  };
  new Function(act)();
  requestAnimationFrame(look);
})"""
"""Does something in the page and waits until it is done and painted; the page's policy does not bind the driver."""

_FIRST_PAINT = 'performance.getEntriesByName("first-contentful-paint")[0].startTime'


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a person does.

    Attributes:
        what: in words.
        act: JavaScript that does it.
        done: JavaScript that is true when it shows.
    """

    what: str
    act: str
    done: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How long one thing took, in milliseconds each time: until it was painted, and of work on the page's thread."""

    what: str
    walls: list[float]
    tasks: list[float]

    def line(self) -> str:
        """Return a line of the table."""
        walls = f"{statistics.median(self.walls):8.0f} {max(self.walls):8.0f}"
        return f"{self.what:48}{walls} {statistics.median(self.tasks):8.0f}"


def _go(place: str, done: str, what: str) -> Step:
    return Step(what, f'location.hash = "#/{place}"', done)


def _written(label: str, text: str, event: str, done: str, what: str) -> Step:
    find = f'[...document.querySelectorAll("label")].find((one) => one.textContent === "{label}").control'
    return Step(what, f'const node = {find}; node.value = "{text}"; node.dispatchEvent(new Event("{event}"))', done)


_FIRST = 'document.querySelector("tbody tr:not([aria-hidden]) td")?.textContent'
_SHOWN = (
    'document.querySelector("#main[aria-busy=false]")'
    ' && document.getElementById("main").dataset.shown === location.hash'
)
_COUNT = 'document.querySelector(".count")?.textContent'
_TRACES = 'document.querySelectorAll("table[aria-label=Traces] tbody tr").length'
_HEAD = '[...document.querySelectorAll("th button")].find((one) => one.textContent === "{}").click()'

STEPS = (
    _go("functions", 'document.querySelectorAll("tbody tr").length > 20', "open the functions"),
    Step("all of them", "", f'{_COUNT} === "{FUNCTIONS:,} of {FUNCTIONS:,}"'),
    Step("sort them by calls", _HEAD.format("Calls"), f'{_FIRST} === "{name(FUNCTIONS - 1)}"'),
    Step("sort them by name", _HEAD.format("Function"), f'{_FIRST} === "{name(0)}"'),
    Step(
        "go to the last",
        'const grid = document.querySelector(".grid"); grid.focus();'
        'grid.dispatchEvent(new KeyboardEvent("keydown", { key: "End", bubbles: true }))',
        f'document.querySelector("tr[data-at=\\"{FUNCTIONS - 1}\\"] a") === document.activeElement',
    ),
    Step(
        "scroll to the middle",
        'document.querySelector(".grid").scrollTop = 75000',
        'document.querySelector("tr[data-at=\\"2505\\"]")',
    ),
    _written("Name", "function_12", "input", f'{_COUNT} === "100 of {FUNCTIONS:,}"', "write a part of a name"),
    _written("Name", "", "input", f'{_COUNT} === "{FUNCTIONS:,} of {FUNCTIONS:,}"', "take it out again"),
    _go(
        f"functions/{name(7)}",
        f'document.querySelector("h1").textContent === "{name(7)}"'
        ' && document.querySelector(".figure dd").textContent !== "–"',
        "open a function",
    ),
    Step("its callers and all else", "", _SHOWN),
    _go("traces", f"{_TRACES} === 50", "open the traces"),
    Step("their flame graph", "", f'{_SHOWN} && document.querySelector(".flame .box")'),
    _written(
        "Function",
        name(7),
        "change",
        f'location.hash.includes("0007") && {_TRACES} === 50 && !document.querySelector(".gridbox[aria-busy]")',
        "search traces of a function",
    ),
    Step("their flame graph again", "", 'document.querySelector(".flame .box")?.title.includes("0007")'),
    _written("Longer than, seconds", "1", "change", f"{_TRACES} === 0", "search longer ones"),
    _written("Longer than, seconds", "", "change", f"{_TRACES} === 50", "take that out again"),
    Step(
        "open a trace",
        'document.querySelector("table[aria-label=Traces] tbody a").click()',
        f'{_SHOWN} && document.querySelector("tr[data-at=\\"10\\"]")',
    ),
    Step(
        "look at a call",
        'document.querySelector("tr[data-at=\\"10\\"] button").click()',
        'document.querySelector("dl.facts")',
    ),
    _go("hijacks", f"{_SHOWN} && document.querySelector('[aria-label=\"Audit log\"]')", "open the hijacks"),
    Step(
        "open a form",
        '[...document.querySelectorAll("button")].find((one) => one.textContent === "New hijack").click()',
        'document.querySelector("dialog[open] .stack select")',
    ),
    Step(
        "put another strategy into it",
        '[...document.querySelectorAll("button")].find((one) => one.textContent === "Add a strategy").click()',
        'document.querySelectorAll("dialog[open] .stack > li").length === 2',
    ),
    Step("close it", 'document.querySelector("dialog").close()', '!document.querySelector("dialog")'),
    _go(
        "", "document.querySelectorAll(\"table[aria-label='Slowest functions'] tbody tr\").length", "open the overview"
    ),
)


def _task_ms(session: CDPSession) -> float:
    found = session.send("Performance.getMetrics")["metrics"]
    return 1000 * float(next(one["value"] for one in found if one["name"] == "TaskDuration"))


def _round(page: Page, session: CDPSession) -> dict[str, tuple[float, float]]:
    found = {}
    for step in STEPS:
        before = _task_ms(session)
        found[step.what] = (float(page.evaluate(_MEASURE, [step.act, step.done])), _task_ms(session) - before)
    return found


def paces(browser: Browser, url: str, times: int) -> list[Pace]:
    """Go through all steps ``times``, each time in a window that has nothing in its cache."""
    walls: dict[str, list[float]] = {}
    tasks: dict[str, list[float]] = {}
    for _ in range(times):
        window = Window(browser, url, bypass_csp=True)
        page = window.open()
        session = window.context.new_cdp_session(page)
        session.send("Performance.enable")
        told = {"first paint": (float(page.evaluate(_FIRST_PAINT)), _task_ms(session)), **_round(page, session)}
        for what, (wall, task) in told.items():
            walls.setdefault(what, []).append(wall)
            tasks.setdefault(what, []).append(task)
        window.close()
    return [Pace(what, walls[what], tasks[what]) for what in walls]


def main(times: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser, crowd(Path(folder)) as found:
        print(f"{FUNCTIONS:,} functions, {TRACES * SPANS:,} spans; milliseconds, {times} times")
        print(f"{'':48}{'middle':>8} {'longest':>8} {'work':>8}")
        for pace in paces(browser, found.url + "/", times):
            print(pace.line())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
