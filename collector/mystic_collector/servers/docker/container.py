"""From a spec to the container that runs it; pure, so that a test can read every right it does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from mystic_agent.contract.errors import Invalid

from mystic_collector.servers.launch import SCRATCH, TEMPORARY, argv_of, replaces_entry_point
from mystic_collector.servers.spec import ServerSpec
from mystic_collector.servers.validation import read_spec

LABEL = "io.gnosis-mystic."
OWNER = f"{LABEL}owner"
NAME = f"{LABEL}server"
ROLE = f"{LABEL}role"
SPEC = f"{LABEL}spec"
RESTARTS = f"{LABEL}restarts"
MAIN, SESSION = "main", "session"
NOBODY = "65534:65534"
_LOGS = {"type": "json-file", "config": {"max-size": "2m", "max-file": "2"}}


def labels(owner: str, spec: ServerSpec, role: str, restarts: int) -> dict[str, str]:
    """Return what says that a container is ours, whose, and how to make it again; no value of ``env`` is in it."""
    return {
        OWNER: owner,
        NAME: spec.name,
        ROLE: role,
        RESTARTS: str(restarts),
        SPEC: orjson.dumps(spec.to_json()).decode(),
    }


def spec_of(attributes: Mapping[str, Any]) -> ServerSpec | None:
    """Return the spec of one of our containers, as inspected; None when somebody has tampered with its labels."""
    config = attributes.get("Config") or {}
    try:
        fields = orjson.loads((config.get("Labels") or {}).get(SPEC, ""))
        values = environment(attributes)
        return read_spec({**fields, "env": {name: values.get(name, "") for name in fields.get("env", [])}})
    except (ValueError, TypeError, AttributeError, Invalid):
        return None


def environment(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a container, as inspected."""
    pairs = (one.partition("=") for one in (attributes.get("Config") or {}).get("Env") or ())
    return {name: value for name, _, value in pairs}


def arguments(
    spec: ServerSpec,
    image: str,
    image_user: str,
    secrets: Mapping[str, str],
    network: str | None,
    init: bool,
) -> dict[str, Any]:
    """Return the arguments of the SDK's ``containers.create``, but for name and labels.

    Args:
        image_user: whom the image wants to be; kept unless that is root.
        secrets: variable → value.
        network: the network to join; None for none.
        init: whether the engine has a small init, which passes signals on and collects orphans.
    """
    argv = list(argv_of(spec))
    limits = spec.limits
    entry = {"entrypoint": argv[:1], "command": argv[1:]} if replaces_entry_point(spec) else {"command": argv or None}
    return {
        "image": image,
        **entry,
        "environment": {**TEMPORARY, **spec.env, **secrets},
        "user": image_user if is_user(image_user) else NOBODY,
        "working_dir": SCRATCH if replaces_entry_point(spec) and not spec.image else None,
        "stdin_open": spec.transport == "stdio",
        "tty": False,
        "init": init or None,
        "read_only": True,
        "tmpfs": {SCRATCH: f"rw,exec,nosuid,nodev,mode=1777,size={limits.memory // 2}"},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "privileged": False,
        "pids_limit": limits.processes,
        "nano_cpus": limits.cpu * 1_000_000,
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,  # the same: no swap beyond it
        "log_config": _LOGS,
        **({"network": network} if network else {"network_mode": "none"}),
    }


def is_user(user: str) -> bool:
    """True when an image names a user that is not root."""
    name = user.partition(":")[0].strip()
    return bool(name) and name != "root" and not (name.isdigit() and int(name) == 0)
