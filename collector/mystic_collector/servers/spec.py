"""What a server is to be, as frozen values; the validation beside it makes them from what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ServerType = Literal["archon", "npx", "uv", "python", "docker"]
Transport = Literal["stdio", "http", "sse"]
Network = Literal["outbound", "none"]


@dataclass(frozen=True, slots=True)
class Secret:
    """An environment variable whose value the caller never sees.

    Attributes:
        env: name of the variable inside the server.
        secret: in Kubernetes the Secret's name; on Docker a file or folder of ``MYSTIC_SERVERS_SECRETS``.
        key: in Kubernetes the key in it; on Docker the file in the folder, or empty when ``secret`` is the file.
    """

    env: str
    secret: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server may use at most, and what is kept for it where an engine can promise that.

    Attributes:
        cpu: thousandths of a core, at most.
        memory: bytes, at most; temporary files count.
        cpu_request, memory_request: what the scheduler keeps free for it; Kubernetes only.
        processes: processes and threads, at most.
    """

    cpu: int = 500
    memory: int = 512 * 2**20
    cpu_request: int = 250
    memory_request: int = 256 * 2**20
    processes: int = 256


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a server is to run; Kubernetes only.

    Attributes:
        context: of the kubeconfig, i.e. which cluster; empty for the sidecar's own.
        node_selector: labels a node must have.
        tolerations, affinity: as the Kubernetes API has them.
    """

    context: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server that has passed every rule.

    Attributes:
        package: of npm (npx) or PyPI (uv, python), with a version where one was given; else empty.
        image: what to run it in; empty for the runner image of its type.
        command: argv before ``args``; empty for the image's own. Of a package, the one program in it to run.
        env: plain variables; their values are for the server alone.
        port, path: where it listens, for http and sse; 0 and empty for stdio.
        timeout: seconds from created to ready.
        network: ``none`` for a server that needs no other machine (stdio only).
        idle: seconds without a session after which it is stopped; 0 for never.
    """

    name: str
    server_type: ServerType
    package: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[Secret, ...] = ()
    transport: Transport = "stdio"
    port: int = 0
    path: str = ""
    timeout: float = 120.0
    network: Network = "outbound"
    idle: float = 0.0
    limits: Limits = field(default_factory=Limits)
    placement: Placement = field(default_factory=Placement)

    def to_json(self, values: bool = False) -> dict[str, Any]:
        """Return it as the API has it, which :func:`~mystic_collector.servers.validation.read_spec` reads back.

        Args:
            values: whether the values of ``env`` are part of it: on the way to an engine only. Else ``env`` is the
                list of names.
        """
        return {
            "name": self.name,
            "server_type": self.server_type,
            "package": self.package,
            "image": self.image,
            "command": list(self.command),
            "args": list(self.args),
            "env": dict(self.env) if values else sorted(self.env),
            "secrets": [{"env": one.env, "secret": one.secret, "key": one.key} for one in self.secrets],
            "transport": self.transport,
            "port": self.port,
            "path": self.path,
            "timeout": self.timeout,
            "network": self.network,
            "idle": self.idle,
            "limits": {name: getattr(self.limits, name) for name in Limits.__slots__},
            "placement": {
                "context": self.placement.context,
                "node_selector": dict(self.placement.node_selector),
                "tolerations": [dict(one) for one in self.placement.tolerations],
                "affinity": dict(self.placement.affinity),
            },
        }
