"""Run by ``site`` when this folder is on PYTHONPATH: the user's own ``sitecustomize`` first, then the agent.

Law: valid and harmless on Python 3.6 and newer, whatever the application runs its tools with; nothing is
imported that ``site`` has not imported already until the agent is wanted. Every other file of this folder
is named ``mystic_…``, because the folder is on the application's path and must not shadow its modules.
"""

import os
import sys


def _without(folder: str) -> "list[tuple[int, str]]":
    """Take ``folder`` off ``sys.path`` and return what was taken, with its positions."""
    taken = [(i, entry) for i, entry in enumerate(sys.path) if os.path.realpath(entry) == folder]
    for _, entry in taken:
        sys.path.remove(entry)
    return taken


def _chain(folder: str) -> None:
    """Import the ``sitecustomize`` that Python would have found without us, as Python would have done.

    It sees a ``sys.path`` without our folder, takes our place in ``sys.modules``, and what it raises
    (also that there is none) reaches ``site``, which treats it as it would have without us.
    """
    taken = _without(folder)
    sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    finally:
        # Put back: programs that hand their sys.path to children as PYTHONPATH must hand us on as well.
        for position, entry in taken:
            sys.path.insert(position, entry)


def _activate(folder: str) -> None:
    if os.environ.get("MYSTIC_ENABLED", "").strip().lower() in ("0", "false", "no", "off"):
        return
    parent = os.path.dirname(folder)
    sys.path.append(parent)  # at the end, and only while this one package is looked up
    try:
        import mystic_bootstrap
    except Exception as error:  # noqa: BLE001 - a damaged copy of ours must not cost the application its start
        if sys.stderr is not None:
            sys.stderr.write(f"mystic: {folder!r} is damaged ({error!r}), copy it again\n")
        return
    finally:
        del sys.path[-1]
    mystic_bootstrap.activate("PYTHONPATH")


_FOLDER = os.path.dirname(os.path.realpath(__file__))
try:
    _chain(_FOLDER)
except Exception:
    _activate(_FOLDER)
    raise
_activate(_FOLDER)
