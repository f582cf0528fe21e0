"""OTEL_EXPORTER_OTLP_* as the OpenTelemetry specification defines them for OTLP over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from mystic_agent.contract.named import NamedTuple
from mystic_agent.link.endpoint import Destination, Headers
from mystic_agent.outbox import LOGS, METRICS, SPANS

_SIGNALS = (("TRACES", SPANS, "v1/traces"), ("METRICS", METRICS, "v1/metrics"), ("LOGS", LOGS, "v1/logs"))
_LONGEST_SECONDS = 60.0


class OtlpUrls(NamedTuple):
    """The receivers that the environment names.

    Attributes:
        traces, metrics, logs: the full URL of each; empty when there is none.
        receivers: the same, ready for :class:`~mystic_agent.link.endpoint.Endpoint`.
        warnings: each variable that could not be used, with the remedy; never a header's value.
    """

    traces: str = ""
    metrics: str = ""
    logs: str = ""
    receivers: tuple[Destination, ...] = ()
    warnings: tuple[str, ...] = ()


def otlp_urls(environ: Mapping[str, str]) -> OtlpUrls:
    """Read OTEL_EXPORTER_OTLP_[TRACES_|METRICS_|LOGS_]ENDPOINT and its _HEADERS, _TIMEOUT, _PROTOCOL and so on.

    The variable of a signal goes before the general one, whose endpoint is a base to which ``v1/traces``,
    ``v1/metrics`` or ``v1/logs`` is added. OTEL_SDK_DISABLED=true and OTEL_{TRACES,METRICS,LOGS}_EXPORTER=none switch
    it off.
    """
    if not any(name.startswith("OTEL_EXPORTER_OTLP_") for name in environ):
        return OtlpUrls()
    warnings: list[str] = []
    urls: dict[str, str] = {}
    receivers: list[Destination] = []
    for signal, kind, path in _SIGNALS:
        url = _url(environ, signal, path, warnings)
        receiver = url and _receiver(environ, signal, kind, url, warnings)
        if receiver:
            urls[kind] = url
            receivers.append(receiver)
    traces, metrics, logs = (urls.get(kind, "") for kind in (SPANS, METRICS, LOGS))
    return OtlpUrls(traces, metrics, logs, _joined(receivers), tuple(dict.fromkeys(warnings)))


def _joined(receivers: list[Destination]) -> tuple[Destination, ...]:
    """Make one destination of those that differ in nothing but the path, so that they share thread and connection."""
    joined: list[Destination] = []
    for one in receivers:
        for index, known in enumerate(joined):
            both = known._replace(paths={**known.paths, **one.paths})
            if both == one._replace(paths=both.paths):
                joined[index] = both
                break
        else:
            joined.append(one)
    return tuple(joined)


def _setting(environ: Mapping[str, str], signal: str, what: str) -> tuple[str, str]:
    """Return (variable, value) of the more specific variable that is set; an empty one is unset."""
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_{what}", f"OTEL_EXPORTER_OTLP_{what}"):
        value = environ.get(name, "").strip()
        if value:
            return name, value
    return "", ""


def _url(environ: Mapping[str, str], signal: str, path: str, warnings: list[str]) -> str:
    """Return the URL of ``signal``, or an empty text when it is not to be sent."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    if environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() == "none":
        return ""
    name, url = _setting(environ, signal, "ENDPOINT")
    if not url:
        return ""
    protocol_name, protocol = _setting(environ, signal, "PROTOCOL")
    if protocol and protocol != "http/protobuf":
        warnings.append(
            f"{protocol_name} is {protocol!r}, and this agent speaks http/protobuf: "
            f"name an HTTP receiver (usually port 4318) and http/protobuf, or set MYSTIC_EXPORTER=otel"
        )
        return ""
    if name == "OTEL_EXPORTER_OTLP_ENDPOINT":
        url = url.rstrip("/") + "/" + path
    return url


def _receiver(environ: Mapping[str, str], signal: str, kind: str, url: str, warnings: list[str]) -> Destination | None:
    from urllib.parse import urlsplit  # only those who set these variables pay for it

    name, _ = _setting(environ, signal, "ENDPOINT")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        warnings.append(f"{name} is not a URL of an OTLP receiver: write it as http://host:4318")
        return None
    https = parts.scheme == "https"
    return Destination(
        host=parts.hostname,
        port=port or (443 if https else 80),
        https=https,
        paths={kind: (parts.path or "/") + (f"?{parts.query}" if parts.query else "")},
        headers=_headers(*_setting(environ, signal, "HEADERS"), warnings),
        timeout=_timeout(*_setting(environ, signal, "TIMEOUT"), warnings),
        certificate=_setting(environ, signal, "CERTIFICATE")[1],
        gzip=_setting(environ, signal, "COMPRESSION")[1].lower() != "none",
    )


def _headers(name: str, text: str, warnings: list[str]) -> Headers:
    """Read ``key=value,key=value`` with percent-encoded values."""
    from urllib.parse import unquote

    headers: list[tuple[str, str]] = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = pair.partition("=")
        key, value = unquote(key.strip()), unquote(value.strip())
        sound = equals and key and (key + value).isascii() and (key + value).isprintable() and " " not in key + ":"
        if sound and ":" not in key:
            headers.append((key, value))
        else:
            warnings.append(f"{name} holds a header that cannot be sent: write it as key=value,key2=value2")
    return tuple(headers)


def _timeout(name: str, text: str, warnings: list[str]) -> float:
    """Read milliseconds; return seconds."""
    if not text:
        return 10.0
    if text.isascii() and text.isdigit() and int(text[:12]) > 0:
        return min(int(text[:12]) / 1000, _LONGEST_SECONDS)
    warnings.append(f"{name} is {text[:40]!r}: give milliseconds as a whole number above 0")
    return 10.0
