"""What a chat client starts of the bundle: ``mystic mcp``, with what a person has filled in."""

import os
import sys

from mystic_agent.cli import main

# What was left empty may come as the placeholder it stands for in the manifest.
for name, value in tuple(os.environ.items()):
    if name.startswith("MYSTIC_") and value.startswith("${user_config."):
        del os.environ[name]

sys.exit(main(["mcp"]))
