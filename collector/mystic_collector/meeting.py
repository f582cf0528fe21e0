"""Where several collectors meet: read from the environment, frozen, refused when wrong."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mystic_agent.contract.errors import Invalid

PREFIX = "mystic"
_ADDRESS = re.compile(
    r"(?P<scheme>rediss?)://(?:(?P<user>[^:@/\s]+)@)?(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>\d{1,5}))?(?:/(?P<db>\d{1,4})?)?"
)
_FORM = "give redis://[USER@]HOST[:PORT][/NUMBER], or rediss:// for TLS; MYSTIC_FLEET_PASSWORD_FILE names the password"
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_NAME_FORM = "give 1 to 100 letters, digits, '-', '_', '.' or ':'"


@dataclass(frozen=True, slots=True)
class Meeting:
    """One Redis or Valkey server, and what is ours in it.

    Attributes:
        secure: by TLS, with the server's certificate verified.
        user: of the server's access control; empty for its default user.
        password: never in a repr.
        ca_file: certificates that are trusted for TLS; None for the system's.
        prefix: what the names of all our keys begin with.
        name: of this collector, for people.
    """

    host: str
    port: int = 6379
    db: int = 0
    secure: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    prefix: str = PREFIX
    name: str = field(default_factory=lambda: socket.gethostname()[:100])

    @property
    def shown(self) -> str:
        """The address as people may see it: without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.secure else 'redis'}://{host}:{self.port}/{self.db}"


def read_meeting(env: Mapping[str, str]) -> Meeting | None:
    """Return what ``MYSTIC_FLEET`` and its companions name; None when it is not set.

    Raises:
        Invalid: naming the variable; an address with a password in it is not shown.
    """
    text = env.get("MYSTIC_FLEET", "").strip()
    if not text:
        return None
    found = _ADDRESS.fullmatch(text)
    port = int(found["port"] or 6379) if found else 0
    if found is None or not 0 < port < 65536:
        raise Invalid("MYSTIC_FLEET", "(hidden)" if "@" in text else text, _FORM)
    names = {"prefix": env.get("MYSTIC_FLEET_PREFIX", PREFIX).strip()}
    if "MYSTIC_FLEET_NAME" in env:
        names["name"] = env["MYSTIC_FLEET_NAME"].strip()
    for field_name, value in names.items():
        if not _NAME.fullmatch(value):
            raise Invalid(f"MYSTIC_FLEET_{field_name.upper()}", value, _NAME_FORM)
    authority = env.get("MYSTIC_FLEET_CA_FILE", "").strip()
    if authority and not Path(authority).is_file():
        raise Invalid("MYSTIC_FLEET_CA_FILE", authority, "name a readable file of certificates in PEM form")
    return Meeting(
        host=found["host"].strip("[]"),
        port=port,
        db=int(found["db"] or 0),
        secure=found["scheme"] == "rediss",
        user=found["user"] or "",
        password=_password(env.get("MYSTIC_FLEET_PASSWORD_FILE", "").strip()),
        ca_file=Path(authority).absolute() if authority else None,
        **names,
    )


def _password(path: str) -> str:
    if not path:
        return ""
    try:
        password = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = type(error).__name__
        raise Invalid("MYSTIC_FLEET_PASSWORD_FILE", path, f"name a readable text file ({why})") from None
    if not password:
        raise Invalid("MYSTIC_FLEET_PASSWORD_FILE", path, "put the password on the first line; the file is empty")
    return password
