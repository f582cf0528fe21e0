"""The ``mystic`` program: its commands, their output and their exit codes.

Law: results go to stdout, everything else to stderr; every failure names what, and a remedy.

Exit codes: 0 done, 1 failed, 2 bad usage or a bad value, 130 interrupted; ``mystic run`` becomes the
command it was given, whose own code is then what the shell sees (127 when there is no such command).
"""

from mystic_agent.cli.program import main

__all__ = ["main"]
