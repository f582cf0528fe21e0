"""The services of a project's own Compose file, each extended as it stands, and the application with the agent in it.

Format: https://docs.docker.com/reference/compose-file/ (``extends``, top-level ``volumes``, ``secrets``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mystic_agent.contract.errors import Invalid

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In the order in which Compose looks for them."""
CARRIED = ("volumes", "networks", "secrets", "configs")
BOOTSTRAP = "/mystic/mystic_bootstrap"


@dataclass(frozen=True, slots=True)
class Original:
    """What a project's own Compose file says.

    Attributes:
        file: its name; empty when there is none.
        services: name to definition.
        carried: top-level volumes, networks, secrets and configs, which an extending file must repeat.
    """

    file: str = ""
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    carried: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read(root: Path) -> Original:
    """Return what the Compose file in ``root`` says.

    Raises:
        Invalid: when there is one and it is not a Compose file.
    """
    found = next((root / name for name in NAMES if (root / name).is_file()), None)
    if found is None:
        return Original()
    try:
        value = yaml.safe_load(found.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(
            found.name, str(found), f"make it readable YAML ({' '.join(str(error).split())[:200]})"
        ) from error
    services = value.get("services") if isinstance(value, dict) else None
    if not isinstance(services, dict) or not all(isinstance(one, dict) for one in services.values()):
        raise Invalid(f"{found.name}: services", type(services).__name__, "give each service as an object")
    carried = {name: value[name] for name in CARRIED if isinstance(value.get(name), dict)}
    return Original(found.name, services, carried)


def application(original: Original, asked: str) -> str:
    """Return the name of the service that gets the agent.

    Args:
        asked: the name somebody gave, or empty: the only service there is, or the only one that is built here.

    Raises:
        Invalid: when it cannot be told, with the names there are.
    """
    names = list(original.services)
    if asked and original.file and asked not in names:
        raise Invalid("--app", asked, f"name a service of {original.file}: {', '.join(names)}")
    if asked or not names:
        return asked or "app"
    built = [name for name, service in original.services.items() if "build" in service]
    for candidates in (names, built):
        if len(candidates) == 1:
            return candidates[0]
    raise Invalid("--app", asked, f"say which service of {original.file} is the application: {', '.join(names)}")


def services(original: Original, app: str, name: str) -> dict[str, Any]:
    """Return the project's services: each extended from its own file, ``app`` with the agent switched on."""
    if not original.file:
        return {app: {"build": ".", **_switched_on({}, name)}}
    extended = {one: {"extends": {"file": original.file, "service": one}} for one in original.services}
    return {**extended, app: {**extended[app], **_switched_on(original.services[app], name)}}


def _switched_on(service: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what the agent needs of the application's container: a variable, a read-only volume, a key by file."""
    own = _environment(service).get("PYTHONPATH")
    return {
        "environment": {
            "PYTHONPATH": f"{BOOTSTRAP}:{own}" if own else BOOTSTRAP,
            "MYSTIC_ENABLED": "${MYSTIC_ENABLED:-true}",
            "MYSTIC_ENV": "${MYSTIC_ENV:-development}",
            "MYSTIC_SERVICE": name,
            "MYSTIC_HOST": "mystic",
            "MYSTIC_PORT": "8899",
            "MYSTIC_API_KEY_FILE": "/run/secrets/mystic_api_key",
        },
        "volumes": ["mystic-agent:/mystic:ro"],
        "secrets": ["mystic_api_key"],
        "networks": [*_networks(service), "mystic"],
        "depends_on": {
            **_dependencies(service),
            "mystic-agent": {"condition": "service_completed_successfully"},
        },
    }


def _environment(service: Mapping[str, Any]) -> dict[str, Any]:
    given = service.get("environment") or {}
    if isinstance(given, list):
        return dict(str(one).partition("=")[::2] for one in given)
    return dict(given)


def _networks(service: Mapping[str, Any]) -> list[str]:
    """Return the networks a service is on; naming one more would otherwise take it off the default one."""
    return list(service.get("networks") or ["default"])


def _dependencies(service: Mapping[str, Any]) -> dict[str, Any]:
    given = service.get("depends_on") or {}
    return {one: {"condition": "service_started"} for one in given} if isinstance(given, list) else dict(given)
