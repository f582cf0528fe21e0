"""Secrets by reference: where the collector itself reads them, and how they are kept out of what servers write."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mystic_collector.servers.errors import Rejected
from mystic_collector.servers.spec import Secret

Read = Callable[[Secret], str]
_MOST_BYTES = 64 * 1024
_SHORTEST = 6
"""Characters from which a value is looked for in foreign text; a shorter one says too little to be a secret."""


def from_folder(folder: Path | None) -> Read:
    """Return a reader of secrets that are files, as Docker and Kubernetes mount them.

    Args:
        folder: ``secret`` is a file in it, or a folder in it with the file ``key``; None when there is none.
    """

    def read(one: Secret) -> str:
        if folder is None:
            raise Rejected(
                f"the secret for {one.env} cannot be read: there is no folder of secrets",
                "set MYSTIC_SERVERS_SECRETS to a folder that holds them as files",
            )
        path = folder / one.secret / one.key if one.key else folder / one.secret
        try:
            # A link may lead elsewhere in the folder, as Kubernetes mounts do, and not out of it.
            if not path.resolve().is_relative_to(folder.resolve()) or path.stat().st_size > _MOST_BYTES:
                raise OSError("it lies outside of the folder, or is too large")
            return path.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise Rejected(
                f"the secret {one.secret!r} for {one.env} cannot be read ({reason})",
                f"put it as a file below {str(folder)!r}",
            ) from error

    return read


def hidden(text: str, values: Iterable[str]) -> str:
    """Return ``text`` with every value in it replaced."""
    for value in values:
        if len(value) >= _SHORTEST and value in text:
            text = text.replace(value, "***")
    return text
