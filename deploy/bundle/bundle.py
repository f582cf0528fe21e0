"""Build the .mcpb bundle: one file with which a chat client such as Claude Desktop installs the chat.

    python deploy/bundle/bundle.py [--to dist] [--mcpb 'npx --yes @anthropic-ai/mcpb@2.1.2']

It holds this distribution and names what the chat needs beside it; the client's own uv installs that for the machine it
is on. Validated and packed by the official tool. Format: https://github.com/modelcontextprotocol/mcpb, MANIFEST.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from mystic_collector.chat.collector import Collector
from mystic_collector.chat.server import build_server
from mystic_collector.chat.session import Chat
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("mcp", "httpx", "opentelemetry-", "pyjwt", "pillow", "font-lato", "wrapt")
"""What the chat imports of the distribution's requirements; the rest of them is the collector's."""
SIDE = 512
USER_CONFIG: dict[str, dict[str, Any]] = {
    "host": {
        "type": "string",
        "title": "Host",
        "description": "Where the collector listens",
        "default": "127.0.0.1",
    },
    "port": {
        "type": "number",
        "title": "Port",
        "description": "Its port",
        "default": 8899,
        "min": 1,
        "max": 65535,
    },
    "api_key": {
        "type": "string",
        "title": "API key",
        "description": "Key that the collector asks for, where one is set",
        "sensitive": True,
        "default": "",
    },
    "read_only": {
        "type": "boolean",
        "title": "Read-only",
        "description": "Look, and change nothing",
        "default": False,
    },
}
ENVIRONMENT = {
    "MYSTIC_HOST": "host",
    "MYSTIC_PORT": "port",
    "MYSTIC_API_KEY": "api_key",
    "MYSTIC_CHAT_READ_ONLY": "read_only",
}


def requirements(project: dict[str, Any]) -> list[str]:
    """Return what the chat needs, as the distribution says it."""
    listed = [*project["dependencies"], *project["optional-dependencies"]["collector"]]
    return [one for one in listed if one.startswith(NEEDED)]


def manifest(project: dict[str, Any], version: str) -> dict[str, Any]:
    """Return what the bundle says of itself."""
    tools = asyncio.run(build_server(Chat(Collector("http://127.0.0.1:9"))).list_tools())
    return {
        "manifest_version": "0.4",
        "name": project["name"],
        "display_name": "Gnosis Mystic",
        "version": version,
        "description": project["description"],
        "author": {"name": "The Gnosis Mystic authors"},
        "license": project["license"],
        "keywords": project["keywords"],
        "icon": "icon.png",
        "server": {
            "type": "uv",
            "entry_point": "src/server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--quiet", "--directory", "${__dirname}", "src/server.py"],
                "env": {name: f"${{user_config.{key}}}" for name, key in ENVIRONMENT.items()},
            },
        },
        "user_config": USER_CONFIG,
        "compatibility": {"runtimes": {"python": project["requires-python"]}},
        "tools": [{"name": one.name, "description": (one.description or "").partition("\n")[0]} for one in tools],
        "prompts_generated": True,
    }


def stage(folder: Path) -> str:
    """Put into ``folder`` what goes into the bundle; return its version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wheel = _wheel(folder)
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "src")
    version = wheel.name.split("-")[1]
    wheel.unlink()
    (folder / "src" / "server.py").write_bytes((Path(__file__).parent / "server.py").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest(project, version), indent=2) + "\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text(_own(project, version), encoding="utf-8")
    (folder / "LICENSE").write_bytes((ROOT / "LICENSE").read_bytes())
    _icon().save(folder / "icon.png")
    return version


def _wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True)  # noqa: S603 - no shell
    return next(folder.glob("*.whl"))


def _own(project: dict[str, Any], version: str) -> str:
    """Return the bundle's pyproject.toml: nothing is built, so what is started is what is in ``src``."""
    return "\n".join(
        [
            "[project]",
            f'name = "{project["name"]}-chat"',
            f'version = "{version}"',
            f'requires-python = "{project["requires-python"]}"',
            f"dependencies = {json.dumps(requirements(project))}",
            "",
            "[tool.uv]",
            "package = false",
            "",
        ]
    )


def _icon() -> Image.Image:
    """Return a histogram with one bar in another colour."""
    image = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, SIDE - 1, SIDE - 1), 96, fill="#16202c")
    for index, height in enumerate((96, 224, 336, 176, 80)):
        left = 72 + index * 76
        colour = "#f2a33c" if index == 2 else "#5b8fd6"
        draw.rounded_rectangle((left, 424 - height, left + 60, 424), 14, fill=colour)
    return image


def main() -> int:
    """Build the bundle and print where it is."""
    parser = argparse.ArgumentParser(description="Build the .mcpb bundle.")
    parser.add_argument("--to", default=str(ROOT / "dist"), help="the folder that gets it")
    parser.add_argument("--mcpb", default="npx --yes @anthropic-ai/mcpb@2.1.2", help="the official tool's command")
    args = parser.parse_args()
    tool = shlex.split(args.mcpb)
    to = Path(args.to).resolve()
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        version = stage(Path(made))
        bundle = to / f"gnosis-mystic-{version}.mcpb"
        try:
            subprocess.run([*tool, "validate", f"{made}/manifest.json"], check=True, stdout=sys.stderr)  # noqa: S603
            subprocess.run([*tool, "pack", made, str(bundle)], check=True, stdout=sys.stderr)  # noqa: S603
        except FileNotFoundError:
            sys.stderr.write(f"bundle: there is no {tool[0]!r}; install Node.js, or name the tool with --mcpb\n")
            return 1
        except subprocess.CalledProcessError as error:
            return int(error.returncode)
    sys.stdout.write(f"{bundle}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
