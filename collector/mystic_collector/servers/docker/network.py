"""The network of our servers: out of it, and between nobody; a second one where this process is a container, too."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound

from mystic_collector.servers.docker.container import OWNER

_MTU = "com.docker.network.driver.mtu"
_BETWEEN = "com.docker.network.bridge.enable_icc"
_OWN = re.compile(r"/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) ")


def name_of(owner: str, near: bool = False) -> str:
    """Return a network's name; ``near`` is the one that a collector in a container shares with servers that listen."""
    return f"mystic-servers-{owner[:8]}{'-near' if near else ''}"


def provide(client: DockerClient, owner: str, listens: bool) -> str:
    """Make the network for a server unless it is there, and return its name; blocks.

    Containers in it reach what is outside and not one another. Where this process is a container of the same engine it
    could not reach them either, so those that listen get a second network, in which everybody reaches everybody.
    """
    own = own_container(client) if listens else None
    name = name_of(owner, near=own is not None)
    if name not in _ours(client, owner):
        options = {_BETWEEN: "true" if own else "false"}
        # Where the way out takes smaller packets than a bridge, the default bridge has been told; ours must be, too.
        with contextlib.suppress(APIError):
            told: Any = client.networks.get("bridge").attrs.get("Options") or {}
            options |= {_MTU: told[_MTU]} if told.get(_MTU) else {}
        client.networks.create(name, driver="bridge", options=options, labels={OWNER: owner})
    join(client, owner)
    return name


def join(client: DockerClient, owner: str) -> None:
    """Let this process reach the servers that listen, where it is a container itself: also one made anew; blocks."""
    network = _ours(client, owner).get(name_of(owner, near=True))
    if network is not None and (own := own_container(client)):
        with contextlib.suppress(APIError):  # it has joined already
            network.connect(own)


def remove(client: DockerClient, owner: str) -> None:
    """Remove the networks when nobody is in them; blocks."""
    for network in _ours(client, owner).values():
        with contextlib.suppress(APIError):  # somebody is in it
            if own := own_container(client):
                with contextlib.suppress(APIError):
                    network.disconnect(own)
            network.remove()


def _ours(client: DockerClient, owner: str) -> dict[str, Any]:
    return {str(one.name): one for one in client.networks.list(filters={"label": f"{OWNER}={owner}"})}


def own_container(client: DockerClient) -> str | None:
    """Return the container of this engine that this process runs in, or None."""
    if not Path("/.dockerenv").exists():
        return None
    # The files that an engine mounts into its containers lie in a folder named by the id; a host's name may be chosen.
    found = _OWN.search(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"))
    try:
        return str(client.containers.get(found[1] if found else socket.gethostname()).id)
    except (NotFound, APIError):
        return None


def address(attributes: dict[str, Any], owner: str) -> str:
    """Return a container's address in a network of ours, as inspected; empty for none."""
    networks = (attributes.get("NetworkSettings") or {}).get("Networks") or {}
    found = networks.get(name_of(owner, near=True)) or networks.get(name_of(owner)) or {}
    return str(found.get("IPAddress") or "")
