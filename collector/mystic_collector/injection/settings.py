"""Settings of the injector: environment over default, read once, refused when wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mystic_agent.contract.errors import Invalid

from mystic_collector.injection.pod import Collector
from mystic_collector.version import VERSION

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class InjectorSettings:
    """What the injector was told.

    Attributes:
        host, port: address to bind, TLS.
        name: of the MutatingWebhookConfiguration that calls it, and of the Service in front of it.
        namespace: it runs in.
        collector: what pods are told.
    """

    host: str
    port: int
    name: str
    namespace: str
    collector: Collector

    @property
    def dns_names(self) -> list[str]:
        """The names by which the API server may call the Service."""
        return [f"{self.name}.{self.namespace}.svc", f"{self.name}.{self.namespace}.svc.cluster.local"]


def load(environ: Mapping[str, str] | None = None) -> InjectorSettings:
    """Read the environment; an empty value means unset.

    Raises:
        Invalid: naming the variable, its value and the remedy.
    """
    env = {name: value.strip() for name, value in (os.environ if environ is None else environ).items() if value.strip()}
    namespace = _name(env, "KUBERNETES_NAMESPACE", _own_namespace())
    collector = Collector(
        host=env.get("MYSTIC_INJECT_HOST", f"mystic.{namespace}.svc"),
        port=_port(env, "MYSTIC_INJECT_PORT", 8899),
        agent_image=env.get("MYSTIC_AGENT_IMAGE", f"gnosis-mystic-agent:{VERSION}"),
        pull_policy=_one_of(env, "MYSTIC_AGENT_PULL_POLICY", ("", "Always", "IfNotPresent", "Never")),
        version=VERSION,
    )
    return InjectorSettings(
        host=env.get("MYSTIC_INJECTOR_HOST", "127.0.0.1"),
        port=_port(env, "MYSTIC_INJECTOR_PORT", 8443),
        name=_name(env, "MYSTIC_INJECTOR_NAME", "mystic-injector"),
        namespace=namespace,
        collector=collector,
    )


def _own_namespace() -> str:
    try:
        return NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return "mystic"


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if text.isascii() and text.isdigit() and 0 <= int(text) <= 65535:
        return int(text)
    raise Invalid(name, text, "give a whole number from 0 to 65535")


def _name(env: Mapping[str, str], name: str, default: str) -> str:
    text = env.get(name, default)
    if _NAME.fullmatch(text):
        return text
    raise Invalid(name, text, "use lower-case letters, digits, - and .")


def _one_of(env: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    text = env.get(name, "")
    if text in allowed:
        return text
    raise Invalid(name, text, f"give one of {', '.join(filter(None, allowed))}")
