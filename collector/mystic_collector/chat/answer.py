"""What a tool answers: text for a model, typed content for a program, pictures for a person."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from mcp_types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import BaseModel, Field

from mystic_collector.chat.bounds import CUT, bounded, size
from mystic_collector.chat.captured import NOTE, clean, plain

MOST_CHARACTERS = 20_000
"""Of one answer's text, and again of its typed content."""


class Answer(BaseModel):
    """What every tool answers besides its own."""

    note: str = Field(default=NOTE, description="where the text in this answer comes from")


class Paged(Answer):
    """An answer that may be continued."""

    total: int = Field(default=0, description="rows there are in all")
    cursor: str | None = Field(default=None, description="give it to the same tool for the next page; null at the end")


def answer(text: str | Iterable[str], content: BaseModel, pictures: Sequence[bytes] = ()) -> CallToolResult:
    """Return a tool's result.

    Args:
        text: what a model reads, or its lines.
        content: what a program reads; must be of the type the tool declares.
        pictures: PNG images.
    """
    whole = plain(text if isinstance(text, str) else "\n".join(text))
    if isinstance(content, Answer):
        whole = f"{whole}\n\n({content.note})"
    if len(whole) > MOST_CHARACTERS:
        whole = whole[: MOST_CHARACTERS - 40] + "\n… cut here; ask for less at a time"
    typed = content.model_dump(mode="json")
    if size(typed) > MOST_CHARACTERS:
        typed = bounded({**typed, "note": f"{typed.get('note', '')} {CUT}".strip()}, MOST_CHARACTERS)
    blocks: list[ContentBlock] = [TextContent(type="text", text=whole)]
    blocks += [
        ImageContent(type="image", data=base64.b64encode(one).decode(), mime_type="image/png") for one in pictures
    ]
    return CallToolResult(content=blocks, structured_content=clean(typed))
