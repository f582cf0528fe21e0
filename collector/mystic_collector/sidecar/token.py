"""The token that the two containers share."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from mystic_agent.contract.errors import Invalid


def provided(path: Path) -> str:
    """Return the token in a file, which is made when it is not there: on a volume that both containers see.

    Raises:
        Invalid: when the file can be neither read nor made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(made, path)  # whole or not at all, and never over one that is there
        except FileExistsError:
            pass
        finally:
            made.unlink()
    except OSError as error:
        if not path.exists():
            raise Invalid("MCP_SIDECAR_TOKEN_FILE", str(path), f"name a file that can be made ({error})") from error
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("MCP_SIDECAR_TOKEN_FILE", str(path), f"name a readable text file ({error})") from error
    if not token or not token.isprintable():
        raise Invalid("MCP_SIDECAR_TOKEN_FILE", str(path), "the file is empty: remove it, and it is made anew")
    return token
