"""Our containers of an engine: found by label, made, begun anew, removed."""

from __future__ import annotations

import asyncio
import secrets as randomness
from collections.abc import Iterable, Mapping
from typing import Any

from docker import DockerClient
from docker.errors import ImageNotFound, NotFound

from mystic_collector.servers.docker import network
from mystic_collector.servers.docker.container import MAIN, NAME, OWNER, ROLE, arguments, labels
from mystic_collector.servers.docker.engine import Engine, gone
from mystic_collector.servers.errors import ServersError
from mystic_collector.servers.launch import image_of
from mystic_collector.servers.secrets import Read
from mystic_collector.servers.spec import ServerSpec


class Ours:
    """What carries our label in one engine.

    Args:
        owner: value of the label.
        runners: server type → image.
        read: reads a secret's value.
    """

    def __init__(self, engine: Engine, owner: str, runners: Mapping[str, str], read: Read) -> None:
        self.engine = engine
        self.owner = owner
        self.runners = runners
        self._read = read
        self._network = asyncio.Lock()
        self._init: bool | None = None

    async def containers(self, name: str = "", role: str = "") -> list[dict[str, Any]]:
        """Return our containers as inspected: all, of one server, of one role."""
        wanted = [f"{OWNER}={self.owner}"]
        wanted += [f"{NAME}={name}"] if name else []
        wanted += [f"{ROLE}={role}"] if role else []

        def question(client: DockerClient) -> list[dict[str, Any]]:
            found = []
            for one in client.api.containers(all=True, filters={"label": wanted}):
                try:
                    found.append(client.api.inspect_container(one["Id"]))
                except NotFound:
                    continue  # it went meanwhile
            return found

        return await self.engine.ask(question)

    @staticmethod
    def name_of(attributes: Mapping[str, Any]) -> str:
        """Return the server that a container belongs to."""
        return str(attributes["Config"]["Labels"].get(NAME, ""))

    async def has_image(self, spec: ServerSpec) -> bool:
        """True when the image of a server is in the engine."""

        def question(client: DockerClient) -> bool:
            try:
                client.images.get(image_of(spec, self.runners))
            except ImageNotFound:
                return False
            return True

        return await self.engine.ask(question)

    async def create(self, spec: ServerSpec, role: str, restarts: int) -> str:
        """Make a container, not yet started, and return its id.

        Raises:
            ServersError: when a secret cannot be read, or the engine refuses.
        """
        secrets = {one.env: self._read(one) for one in spec.secrets}
        image = image_of(spec, self.runners)
        joined = None
        if spec.network == "outbound":
            async with self._network:
                listens = spec.transport != "stdio"
                joined = await self.engine.ask(lambda client: network.provide(client, self.owner, listens))
        suffix = "" if role == MAIN else f"-{randomness.token_hex(4)}"

        def question(client: DockerClient) -> str:
            if self._init is None:
                self._init = bool(client.api.info().get("InitBinary"))
            user = (client.images.get(image).attrs.get("Config") or {}).get("User") or ""
            made = client.containers.create(
                name=f"mystic-{self.owner[:8]}-{spec.name}{suffix}",
                labels=labels(self.owner, spec, role, restarts),
                **arguments(spec, image, user, secrets, joined, self._init),
            )
            return str(made.id)

        return await self.engine.ask(question)

    async def inspect(self, identity: str) -> dict[str, Any]:
        """Return one container as the engine has it now."""
        found: dict[str, Any] = await self.engine.ask(lambda client: client.api.inspect_container(identity))
        return found

    async def renew(self, identity: str, patience: int) -> None:
        """Begin a container's process anew."""
        await self.engine.ask(lambda client: client.api.restart(identity, timeout=patience))

    async def remove(self, found: Iterable[Mapping[str, Any]]) -> None:
        """Remove containers, running or not."""
        for one in found:
            await self.remove_by_id(one["Id"])

    async def remove_by_id(self, identity: str) -> None:
        """Remove one container, running or not; one that has gone is fine."""
        try:
            await self.engine.ask(lambda client: client.api.remove_container(identity, v=True, force=True))
        except ServersError as error:
            if not gone(error):
                raise

    async def join(self) -> None:
        """Be where servers that listen are reached."""
        await self.engine.ask(lambda client: network.join(client, self.owner))

    async def tidy(self, needed: bool) -> None:
        """Remove the networks when no server is left."""
        async with self._network:
            if not needed and not await self.containers():
                await self.engine.ask(lambda client: network.remove(client, self.owner))
