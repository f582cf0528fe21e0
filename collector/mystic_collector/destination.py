"""Where telemetry is sent on to: read from the environment, frozen, refused when wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from mystic_agent.contract.errors import Invalid

SIGNALS = ("traces", "metrics", "logs")
COMPRESSIONS = ("gzip", "none")
_FORM = "give http(s)://HOST[:PORT][/PATH], and #traces or #traces+logs behind it where it does not take everything"
_SECRETS_ELSEWHERE = "keep secrets out of it: put them into the file that MYSTIC_FORWARD_HEADERS_FILE names"
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*)")
_OURS = frozenset(("content-type", "content-encoding", "content-length", "host", "transfer-encoding", "connection"))


@dataclass(frozen=True, slots=True)
class Destination:
    """One receiver of OTLP over HTTP.

    Attributes:
        url: its base, to which ``/v1/traces`` and the like are added; without secrets.
        signals: those it takes, of :data:`SIGNALS`.
        headers: sent with every request; secret, and never in a repr.
        compression: one of :data:`COMPRESSIONS`.
        timeout: seconds for one request.
    """

    url: str
    signals: frozenset[str] = frozenset(SIGNALS)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    compression: str = "gzip"
    timeout: float = 10.0


def is_near(host: str) -> bool:
    """Return whether a host's name or address is this machine's own, which no other reaches."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_destinations(
    listed: str, headers_file: str = "", compression: str = "gzip", timeout: float = 10.0
) -> tuple[Destination, ...]:
    """Return what ``MYSTIC_FORWARD`` lists, with the headers of ``MYSTIC_FORWARD_HEADERS_FILE``.

    Raises:
        Invalid: naming the variable; no value of a header is part of it.
    """
    compression = compression.strip().lower()
    if compression not in COMPRESSIONS:
        raise Invalid("MYSTIC_FORWARD_COMPRESSION", compression, f"give one of {', '.join(COMPRESSIONS)}")
    named = [one.strip() for one in listed.split(",") if one.strip()]
    parsed = [_parse(one) for one in named]
    urls = [url for url, _ in parsed]
    for url in urls:
        if urls.count(url) > 1:
            raise Invalid("MYSTIC_FORWARD", url, "name it once")
    headers = _headers(headers_file.strip(), urls)
    return tuple(
        Destination(url, signals, {**headers.get("", {}), **headers.get(url, {})}, compression, timeout)
        for url, signals in parsed
    )


def _parse(text: str) -> tuple[str, frozenset[str]]:
    """Return (base URL, signals)."""
    base, mark, wanted = text.partition("#")
    base = base.rstrip("/")
    try:
        parts = urlsplit(base)
        port_is_sound = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        raise Invalid("MYSTIC_FORWARD", base, _FORM) from None
    if parts.username is not None or parts.password is not None or parts.query:
        raise Invalid("MYSTIC_FORWARD", f"{parts.scheme}://…@{parts.hostname}", _SECRETS_ELSEWHERE)
    sound = parts.scheme in ("http", "https") and parts.hostname and port_is_sound and base.isascii()
    if not sound or not base.isprintable() or " " in base:
        raise Invalid("MYSTIC_FORWARD", base, _FORM)
    signals = frozenset(wanted.split("+")) if mark else frozenset(SIGNALS)
    if not signals <= frozenset(SIGNALS):
        raise Invalid("MYSTIC_FORWARD", text, f"behind '#' name some of {', '.join(SIGNALS)}, joined by '+'")
    return base, signals


def _headers(path: str, urls: list[str]) -> dict[str, dict[str, str]]:
    """Return URL → headers; those of all destinations under the empty URL."""
    if not path:
        return {}
    name = "MYSTIC_FORWARD_HEADERS_FILE"
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(name, path, f"name a readable text file ({error})") from error
    found: dict[str, dict[str, str]] = {}
    of = ""
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            of = line[1:-1].partition("#")[0].rstrip("/")
            if of not in urls:
                raise Invalid(name, f"line {number} of {path}", "name in brackets a destination of MYSTIC_FORWARD")
            continue
        match = _HEADER.fullmatch(line)
        if match is None or match[1].lower() in _OURS:
            remedy = "write 'Name: value', one a line, in printable ASCII; what describes the body is not to be set"
            raise Invalid(name, f"line {number} of {path}", remedy)
        found.setdefault(of, {})[match[1]] = match[2].strip()
    return found
