"""``python -m mystic_agent.cli``: the program without its installed script."""

import sys

from mystic_agent.cli.program import main

sys.exit(main())
