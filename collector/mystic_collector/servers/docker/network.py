"""The one network of our servers: out of it, and between nobody."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound

from mystic_collector.servers.docker.container import OWNER

_MTU = "com.docker.network.driver.mtu"
_BETWEEN = "com.docker.network.bridge.enable_icc"


def name_of(owner: str) -> str:
    """Return the network's name."""
    return f"mystic-servers-{owner[:8]}"


def provide(client: DockerClient, owner: str) -> str:
    """Make the network unless it is there, and return its name; blocks.

    Containers in it reach what is outside and not one another, unless this process is a container of the same engine:
    then it joins them, since it could not reach them otherwise.
    """
    name, own = name_of(owner), own_container(client)
    if not client.networks.list(names=[name], filters={"label": f"{OWNER}={owner}"}):
        options = {_BETWEEN: "true" if own else "false"}
        # Where the way out takes smaller packets than a bridge, the default bridge has been told; ours must be, too.
        with contextlib.suppress(APIError):
            told: Any = client.networks.get("bridge").attrs.get("Options") or {}
            options |= {_MTU: told[_MTU]} if told.get(_MTU) else {}
        client.networks.create(name, driver="bridge", options=options, labels={OWNER: owner}, check_duplicate=True)
    if own:
        with contextlib.suppress(APIError):  # it has joined already
            client.networks.get(name).connect(own)
    return name


def remove(client: DockerClient, owner: str) -> None:
    """Remove the network when nobody is in it; blocks."""
    for network in client.networks.list(filters={"label": f"{OWNER}={owner}"}):
        with contextlib.suppress(APIError):  # somebody is in it
            if own := own_container(client):
                with contextlib.suppress(APIError):
                    network.disconnect(own)
            network.remove()


def own_container(client: DockerClient) -> str | None:
    """Return the container of this engine that this process runs in, or None."""
    if not Path("/.dockerenv").exists():
        return None
    try:
        return str(client.containers.get(socket.gethostname()).id)
    except (NotFound, APIError):
        return None


def address(attributes: dict[str, Any], owner: str) -> str:
    """Return a container's address in the network, as inspected; empty for none."""
    networks = (attributes.get("NetworkSettings") or {}).get("Networks") or {}
    return str((networks.get(name_of(owner)) or {}).get("IPAddress") or "")
