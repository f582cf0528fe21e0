"""Arguments that several tools take, described once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mystic_collector.analysis.hotspots import SORTS

Cursor = Annotated[str, Field(description="from the previous answer, for the next page; empty for the first")]
Service = Annotated[
    str, Field(description='a service by name or part of it, e.g. "OCR" for gnosis-ocr; empty for all services')
]
Sort = Annotated[
    str,
    Field(
        description="avg_time: the slowest first; total_time: the most expensive in all; call_count: the busiest; "
        "exceptions: the most failing",
        json_schema_extra={"enum": list(SORTS)},
    ),
]
FunctionName = Annotated[
    str,
    Field(
        description='"module:qualname", a dotted path, or a bare name such as "process_ocr" when only one is called so'
    ),
]
Reason = Annotated[str, Field(description="why, in a few words; kept in the audit log", max_length=500)]
Confirmation = Annotated[
    str, Field(description="only after a refusal gave one and the user has agreed; empty otherwise", max_length=40)
]
OlderCursor = Annotated[str, Field(description="from the previous answer, for older records; empty for the newest")]
Since = Annotated[str, Field(description='only what happened in the last "10m", "2h", …; empty for all that is kept')]
OfFunction = Annotated[str, Field(description="only of this function, by any of its names; empty for all")]
