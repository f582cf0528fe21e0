"""Pulling an image: what the engine tells about its layers, as one figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from docker import DockerClient

from mystic_collector.servers.docker.engine import Engine, explained
from mystic_collector.servers.errors import EngineUnavailable, Rejected, ServersError

Told = Callable[[float], bool]
"""Gets 0 to 1; answers False when nobody wants the image any longer."""


class Layers:
    """How far the layers of one image are."""

    def __init__(self) -> None:
        self._sizes: dict[str, tuple[float, float]] = {}

    def take(self, event: Mapping[str, Any]) -> float:
        """Take one event and return the share that is here, 0 to 1.

        Raises:
            ServersError: when it says that the pull has failed.
        """
        if error := event.get("error"):
            raise refused(str(error))
        layer, status, detail = str(event.get("id", "")), event.get("status"), event.get("progressDetail") or {}
        if status == "Pulling fs layer" or status == "Waiting":
            self._sizes.setdefault(layer, (0.0, 0.0))
        elif status == "Downloading" and detail.get("total"):
            self._sizes[layer] = (float(detail.get("current", 0)), float(detail["total"]))
        elif status in ("Download complete", "Pull complete", "Already exists"):
            size = self._sizes.get(layer, (0.0, 0.0))[1] or 1.0
            self._sizes[layer] = (size, size)
        return self.share

    @property
    def share(self) -> float:
        """0 to 1; a layer of unknown size counts like the average of the others."""
        known = [total for _, total in self._sizes.values() if total]
        if not known:
            return 0.0
        guess = sum(known) / len(known)
        whole = sum(total or guess for _, total in self._sizes.values())
        return min(1.0, sum(here for here, _ in self._sizes.values()) / whole)


def refused(text: str) -> ServersError:
    """Return why an image did not come, in plain language."""
    lowered, text = text.lower(), " ".join(text.split())[:300]
    if "unauthorized" in lowered or "authentication required" in lowered or "denied" in lowered:
        return Rejected(f"the image is not there, or not for everybody: {text}", "check its name, or log the engine in")
    if "not found" in lowered or "manifest unknown" in lowered or "does not exist" in lowered:
        return Rejected(f"there is no such image: {text}", "check name and tag, or build it in this engine")
    if "toomanyrequests" in lowered:
        return Rejected(f"the registry wants fewer requests: {text}", "wait, or log the engine in")
    if "no space left" in lowered:
        return Rejected(f"the engine has no room for the image: {text}", "remove images that nobody uses")
    remedy = "check the engine's network, or bring the image into it by hand"
    return EngineUnavailable(f"the registry cannot be reached: {text}", remedy)


def pull(engine: Engine, image: str, told: Told) -> None:
    """Bring an image into the engine; blocks.

    Raises:
        ServersError: with the cause, when it does not come.
    """

    def question(client: DockerClient) -> None:
        layers = Layers()
        for event in client.api.pull(image, stream=True, decode=True):
            if not told(layers.take(event)):
                return

    try:
        engine.now(question)
    except Rejected as error:
        raise (error if error.__cause__ is None else refused(explained(error.__cause__))) from error
