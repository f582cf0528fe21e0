"""From a spec to an image and an argv; pure. What needs a runtime runs in the runner image of its type."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mystic_agent.contract.errors import Invalid

from mystic_collector.servers.spec import ServerSpec

RUNNER_IMAGES: Mapping[str, str] = MappingProxyType(
    {
        "npx": "node:24-slim",
        "uv": "ghcr.io/astral-sh/uv:python3.13-bookworm-slim",
        "python": "python:3.13-slim",
    }
)
"""What a server runs in when its spec names no image, until a setting says otherwise."""

SCRATCH = "/tmp"  # noqa: S108 - a memory file system of the server's own
"""The one place a server may write to."""

TEMPORARY: Mapping[str, str] = MappingProxyType(
    {
        "HOME": SCRATCH,
        "NPM_CONFIG_CACHE": f"{SCRATCH}/npm",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "UV_CACHE_DIR": f"{SCRATCH}/uv",
        "UV_TOOL_DIR": f"{SCRATCH}/uv-tools",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
)
"""Variables of every server: the root file system is read-only, so what the runtimes cache goes to the scratch."""

# Installs into the scratch unless the image has the module, then becomes it. pip writes to stderr: stdout is protocol.
_PYTHON = """\
import importlib.util, runpy, subprocess, sys
package, module, *rest = sys.argv[1:]
if importlib.util.find_spec(module.partition(".")[0]) is None:
    where = "/tmp/packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--target", where, "--", package]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    sys.path.insert(0, where)
sys.argv = [module, *rest]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def image_of(spec: ServerSpec, runners: Mapping[str, str] = RUNNER_IMAGES) -> str:
    """Return the image to run a server in; with a tag, ``latest`` when none is given.

    Raises:
        Invalid: when neither spec nor runners name one, as for Archon, which has no published image.
    """
    name = spec.image or runners.get(spec.server_type, "")
    if not name:
        raise Invalid("image", "", f"name it, or set {spec.server_type}=… in MYSTIC_SERVERS_IMAGES")
    tagged = "@" in name or ":" in name.rsplit("/", 1)[-1]
    return name if tagged else f"{name}:latest"


def argv_of(spec: ServerSpec) -> tuple[str, ...]:
    """Return what to run, program first; empty for the image's own command.

    For images with an entry point of their own: the program replaces it when ``command`` is given, and ``args``
    alone go to it (see :func:`replaces_entry_point`).
    """
    named = spec.command[0] if spec.command else ""
    chosen: tuple[str, ...]
    match spec.server_type:
        case "npx":
            chosen = (f"--package={spec.package}", "--", named) if named else ("--", spec.package)
            return ("npx", "--yes", *chosen, *spec.args)
        case "uv":
            chosen = ("--from", spec.package, named) if named else (spec.package,)
            return ("uvx", "--quiet", *chosen, *spec.args)
        case "python":
            return ("python", "-c", _PYTHON, spec.package, named or _module_of(spec.package), *spec.args)
        case _:
            return (*spec.command, *spec.args)


def replaces_entry_point(spec: ServerSpec) -> bool:
    """True when the argv begins with a program, false when it is arguments to the image's own."""
    return bool(spec.command) or spec.server_type in ("npx", "uv", "python")


def _module_of(package: str) -> str:
    """Return the module that a package of PyPI most likely is: ``mcp-server-time[x]==1`` → ``mcp_server_time``."""
    end = next((index for index, char in enumerate(package) if char in "[=<>~@"), len(package))
    return package[:end].replace("-", "_").replace(".", "_")
