"""The ``mystic`` program: its commands, their output and their exit codes."""
