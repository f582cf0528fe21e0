"""Switches the agent on at the start of a process, once, whichever way it was asked for.

Law: valid on Python 3.6 and newer; never raises; prints at most one line on stderr, and only when the
agent was asked for and cannot work. ``state`` keeps what happened, for ``mystic doctor``.
"""

import os
import sys

OFF = "switched off by MYSTIC_ENABLED"
OWN = "this is a program of Mystic itself"
DECLINED = "the agent declined to start"
_QUIET = (OFF, OWN, DECLINED)  # wanted, or already said by the agent

FOLDER = os.path.dirname(os.path.realpath(__file__))


class State:
    """What became of the agent in this process.

    Attributes:
        way: ``PYTHONPATH`` or ``environment``; empty while nobody has asked.
        active: True when the agent runs.
        reason: why it does not; empty when it does.
    """

    def __init__(self) -> None:
        self.way = ""
        self.active = False
        self.reason = ""


state = State()


def activate(way: str) -> bool:
    """Start the agent unless this process has already tried to.

    Args:
        way: ``PYTHONPATH`` (on unless MYSTIC_ENABLED says no) or ``environment`` (on when it says yes).

    Returns:
        True when the agent runs.
    """
    if state.way:
        return state.active
    if way == "environment" and _left_to_pythonpath():
        return False
    state.way = way
    try:
        state.reason = _unsupported() or _start(way)
        state.active = not state.reason
    except Exception as error:  # noqa: BLE001 - whatever is wrong with us, the application starts
        state.reason = f"the agent could not start ({type(error).__name__}: {error})"
    if state.reason and state.reason not in _QUIET:
        _say(f"mystic: {state.reason}; the application runs without it")
    return state.active


def _left_to_pythonpath() -> bool:
    """True when MYSTIC_ENABLED is no clear yes, and our folder on the path will start the agent all the same."""
    said_yes = os.environ.get("MYSTIC_ENABLED", "").strip().lower() in ("1", "true", "yes", "on")
    return not said_yes and any(os.path.realpath(entry) == FOLDER for entry in sys.path)


def _unsupported() -> str:
    if sys.version_info < (3, 11):  # noqa: UP036 - older Pythons of the application run this file too
        return f"Python {sys.version_info[0]}.{sys.version_info[1]} is not supported, the agent needs 3.11 or newer"
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} is not supported, the agent needs CPython"
    if "free-threading" in sys.version:
        return "free-threaded builds of Python are not supported, the agent needs one with the GIL"
    return ""


def _start(way: str) -> str:
    """Return why the agent did not start; empty when it did."""
    if _own_program(sys.orig_argv):
        return OWN
    if way == "PYTHONPATH":  # the other way is reached from site-packages, where the agent and wrapt are installed
        from mystic_bootstrap import mystic_finder

        missing = mystic_finder.install(FOLDER)
        if missing:
            return missing
    from mystic_agent import lifecycle
    from mystic_agent.settings import load

    settings = load()
    if settings.enabled is False:
        return OFF
    if settings.enabled is None and way == "environment":
        return f"MYSTIC_ENABLED is {os.environ.get('MYSTIC_ENABLED', '')[:40]!r}, give true or false"
    return "" if lifecycle.start(settings, way) else DECLINED


def _own_program(argv: "list[str]") -> bool:
    """True for ``mystic …`` and ``python -m mystic_… …``; ``sys.argv`` is not there yet this early."""
    i = 1
    while i < len(argv) and argv[i].startswith("-") and argv[i] not in ("-c", "-m", "-"):
        i += 2 if argv[i] in ("-W", "-X") else 1
    words = argv[i : i + 2]
    if words[:1] == ["-m"]:
        return words[-1].split(".")[0] in ("mystic_agent", "mystic_collector")
    return bool(words) and os.path.basename(words[0]) == "mystic"


def _say(line: str) -> None:
    try:
        # One write, so that lines of several processes do not mix; a closed stderr is not our affair.
        sys.stderr.write(" ".join(line.split())[:500] + "\n")
    except Exception:  # noqa: BLE001, S110 - stderr may be closed, replaced or full
        pass
