"""A distributed engine that several collectors share: where it is, and as whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mystic_agent.contract.errors import Invalid

EXAMPLE = "clickhouse://mystic@clickhouse:8123/mystic"
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_PORTS = {"clickhouse": 8123, "clickhouses": 8443}


@dataclass(frozen=True, slots=True)
class Engine:
    """A ClickHouse server by its HTTP interface.

    Attributes:
        password: never in a repr, an error or a log.
        secure: over TLS.
        ca_file: certificates that are trusted then; empty for the system's.
    """

    host: str
    port: int
    database: str
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    ca_file: str = ""

    def __str__(self) -> str:
        """Return the address as it was given; there is no password in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"clickhouse{'s' * self.secure}://{self.user}@{host}:{self.port}/{self.database}"


def read_engine(env: Mapping[str, str]) -> Engine | None:
    """Return the engine that ``MYSTIC_STORE`` names, or None for the embedded file.

    Raises:
        Invalid: when it is no such address, has a password in it, or the password's file cannot be read.
    """
    given = env.get("MYSTIC_STORE", "").strip()
    if not given:
        return None
    remedy = f"give an address such as {EXAMPLE}, or leave it out"
    try:
        parts = urlsplit(given)
        host, port, hidden = parts.hostname, parts.port, parts.password is not None
    except ValueError:
        raise Invalid("MYSTIC_STORE", "(hidden)", remedy) from None  # what is wrong may be in a password
    if hidden:
        raise Invalid(
            "MYSTIC_STORE", "(hidden)", "put the password into a file and name it in MYSTIC_STORE_PASSWORD_FILE"
        )
    database = parts.path.strip("/") or "mystic"
    if parts.scheme not in _PORTS or not host or not _DATABASE.fullmatch(database) or parts.query or parts.fragment:
        raise Invalid("MYSTIC_STORE", given, remedy)
    return Engine(
        host=host,
        port=port or _PORTS[parts.scheme],
        database=database,
        user=unquote(parts.username or "default"),
        password=_password(env.get("MYSTIC_STORE_PASSWORD_FILE", "").strip()),
        secure=parts.scheme == "clickhouses",
        ca_file=_certificates(env.get("MYSTIC_STORE_CA_FILE", "").strip()),
    )


def _certificates(path: str) -> str:
    if path and not Path(path).is_file():
        raise Invalid("MYSTIC_STORE_CA_FILE", path, "name a file of certificates")
    return path


def _password(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("MYSTIC_STORE_PASSWORD_FILE", path, f"name a readable text file ({error})") from error
