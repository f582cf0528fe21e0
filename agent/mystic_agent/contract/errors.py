"""The one error of the contract: it names the field, gives the value and says what to do."""

from __future__ import annotations

from collections.abc import Mapping


class Invalid(ValueError):
    """A value that the contract refuses.

    Args:
        field: path of the offending field, e.g. ``stages.production[0].cache.ttl``.
        value: what was given; only its bounded ``repr`` is kept.
        remedy: what the sender should do, as a full clause.
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.field = field
        self.shown = _shorten(value)
        self.remedy = remedy
        super().__init__(f"{field} is {self.shown}: {remedy}")

    def to_json(self) -> dict[str, str]:
        """Return ``{"field", "value", "remedy"}`` as sent in a 422 reply."""
        return {"field": self.field, "value": self.shown, "remedy": self.remedy}

    @classmethod
    def from_json(cls, fields: Mapping[str, object]) -> Invalid:
        """Return the refusal that :meth:`to_json` described, bounded."""
        field, shown, remedy = (str(fields.get(name, ""))[:500] for name in ("field", "value", "remedy"))
        found = cls(field, None, remedy)
        found.shown, found.args = shown, (f"{field} is {shown}: {remedy}",)
        return found


def _shorten(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
