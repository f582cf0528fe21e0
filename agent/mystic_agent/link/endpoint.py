"""Where telemetry goes and hijacks come from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mystic_agent.contract import wire
from mystic_agent.contract.named import NamedTuple
from mystic_agent.outbox import LOGS, METRICS, SPANS

# Named tuples rather than dataclasses, which would cost a process 2 ms at its start.

Headers = tuple[tuple[str, str], ...]
_NO_PATHS: Mapping[str, str] = MappingProxyType({})
_OWN_PATHS: Mapping[str, str] = MappingProxyType(
    {SPANS: wire.TRACES_PATH, METRICS: wire.METRICS_PATH, LOGS: wire.LOGS_PATH}
)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 — what a server binds, seen by a client


class Destination(NamedTuple):
    """One HTTP server that takes OTLP.

    Attributes:
        host, port, https: where it listens.
        paths: per kind of payload (SPANS, METRICS, LOGS) the path it is posted to; kinds that are absent are not sent.
        headers: sent with every request, to this server only; never in ``repr``.
        timeout: seconds one request may take in all.
        certificate: file of the authority to trust; empty for the system's.
        gzip: whether requests are sent compressed; a server that cannot read that is then sent the plain form.
    """

    host: str
    port: int
    https: bool = False
    paths: Mapping[str, str] = _NO_PATHS
    headers: Headers = ()
    timeout: float = 10.0
    certificate: str = ""
    gzip: bool = True

    def __repr__(self) -> str:
        """Show where, and no header, since one may be a secret."""
        return f"Destination({'https' if self.https else 'http'}://{self.authority}, {dict(self.paths)})"

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.https else 80) else f"{host}:{self.port}"

    @property
    def server(self) -> tuple[str, int, bool]:
        """What two destinations share when they are the same server."""
        return (self.host.lower(), self.port, self.https)


class Endpoint(NamedTuple):
    """The collector, who this process is to it, and further receivers of its telemetry.

    Attributes:
        host, port, https: where the collector listens; an address that means "every interface" means loopback here.
        api_key: sent to the collector and to nobody else; never in ``repr``.
        service, instance, stage: which hijacks to ask for.
        receivers: OTLP servers beside the collector, from :func:`mystic_agent.link.otlp_urls`.
        telemetry: whether the collector gets metrics, spans and logs; hijacks come from it in any case.
    """

    host: str
    port: int
    https: bool = False
    api_key: str = ""
    service: str = "unknown_service"
    instance: str = ""
    stage: str = "development"
    receivers: tuple[Destination, ...] = ()
    telemetry: bool = True

    def __repr__(self) -> str:
        """Show where and who, without the key."""
        return f"Endpoint({self.collector()!r}, service={self.service!r}, instance={self.instance!r})"

    def collector(self) -> Destination:
        """Return the collector as a destination, with the key among its headers."""
        return Destination(
            host=_EVERYWHERE.get(self.host, self.host),
            port=self.port,
            https=self.https,
            paths=_OWN_PATHS if self.telemetry else _NO_PATHS,
            headers=((wire.API_KEY_HEADER, self.api_key),) if self.api_key else (),
        )

    def others(self) -> tuple[Destination, ...]:
        """Return the receivers that are not the collector itself, which would otherwise count everything twice."""
        own = self.collector()
        return tuple(one for one in self.receivers if not (self.telemetry and one.server == own.server))

    def stream_target(self) -> str:
        """Return path and query of the stream of hijacks."""
        asked = (("service", self.service), ("instance", self.instance), ("stage", self.stage))
        return wire.STREAM_PATH + "?" + "&".join(f"{name}={_quoted(value)}" for name, value in asked)


def _quoted(text: str) -> str:
    """Percent-encode ``text`` for a query, without the import of ``urllib``."""
    raw = text.encode("utf-8", "replace")
    return "".join(chr(b) if (chr(b).isalnum() and b < 128) or b in b"-._~" else f"%{b:02X}" for b in raw)
