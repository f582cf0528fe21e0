"""``/api/strategies``: what may be done to a function, for whoever offers it in a form."""

from __future__ import annotations

from mystic_agent.contract.strategy import OBSERVING, STRATEGIES
from starlette.requests import Request
from starlette.responses import Response

from mystic_collector.parts import parts_of
from mystic_collector.reply import reply


async def strategies(request: Request) -> Response:
    """Every strategy with its options, their defaults, what they may be and what they mean."""
    allowed = parts_of(request).settings.allowed_strategies
    rows = [
        {
            "strategy": name,
            "observing": name in OBSERVING,
            "allowed": allowed is None or name in allowed,
            "options": [
                {"option": key, "default": one.default, "choices": one.choices, "help": one.help}
                for key, one in options.items()
            ],
        }
        for name, options in STRATEGIES.items()
    ]
    return reply({"strategies": rows, "count": len(rows)})
