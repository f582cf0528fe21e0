"""Which functions a hijack means: ``module:qualname`` with globs."""

from __future__ import annotations

import re
from functools import lru_cache

from mystic_agent.contract.errors import Invalid
from mystic_agent.contract.named import NamedTuple
from mystic_agent.contract.pattern import pattern

_MODULE = pattern(r"[\w*?\[\]!-]+(\.[\w*?\[\]!-]+)*")
_QUALNAME = pattern(r"[\w*?\[\]!<>-]+(\.[\w*?\[\]!<>-]+)*")
_REMEDY = "write it as 'package.module:qualname', globs allowed, e.g. 'app.ocr:OCRService.process_*'"
LONGEST = 512


class Target(NamedTuple):
    """A pattern over functions.

    ``*`` crosses dots in both halves, as people expect of ``app.*:*``; matching is case-sensitive. A bare ``*`` as the
    module means every module of the project, not of its libraries.
    """

    module: str
    qualname: str

    def __str__(self) -> str:
        return f"{self.module}:{self.qualname}"

    @property
    def exact(self) -> bool:
        """True when the pattern holds no glob, so that it names at most one function."""
        return not set("*?[") & set(str(self))

    def wants_module(self, module: str) -> bool:
        """True when some function of ``module`` could match."""
        return _pattern(self.module)(module) is not None

    def matches(self, module: str, qualname: str) -> bool:
        """True when the function ``module:qualname`` is meant."""
        return self.wants_module(module) and _pattern(self.qualname)(qualname) is not None


def parse_target(text: object, field: str = "target") -> Target:
    """Read ``module:qualname``.

    A text without a colon is accepted as a dotted path whose last part is the function
    (``app.ocr.process`` means ``app.ocr:process``); the collector resolves bare names and dotted
    paths into classes against the functions it knows before it comes to this.

    Raises:
        Invalid: when the text is not such a pattern.
    """
    if not isinstance(text, str) or not text or len(text) > LONGEST:
        raise Invalid(field, text, _REMEDY)
    module, colon, qualname = text.partition(":")
    if not colon:
        module, _, qualname = text.rpartition(".")
    if not _MODULE.fullmatch(module) or not _QUALNAME.fullmatch(qualname):
        raise Invalid(field, text, _REMEDY)
    if "[" in text:
        try:
            _pattern(module), _pattern(qualname)
        except re.error as error:  # what cannot be matched must not be kept: every look at it would fail
            raise Invalid(field, text, f"put what stands in brackets right ({error.msg}), such as [a-z]") from None
    return Target(module, qualname)


@lru_cache(maxsize=4096)
def _pattern(glob: str):  # type: ignore[no-untyped-def]
    return re.compile(_translate(glob)).fullmatch


def _translate(glob: str) -> str:
    """Turn a glob into a regular expression; ``fnmatch`` is not used because it costs an import of ``os.path`` work.

    What lies between two stars is taken where it first occurs, and never tried elsewhere: with a choice left to the
    regular expression, six stars over a long name hold the interpreter up for a minute.
    """
    first, *parts = [_fixed(part) for part in glob.split("*")] if "*" in glob else [_fixed(glob)]
    if not parts:
        return first
    return "".join((first, *(f"(?>.*?{part})" for part in parts[:-1] if part), ".*", parts[-1]))


def _fixed(glob: str) -> str:
    """Translate a piece without stars."""
    out: list[str] = []
    i = 0
    while i < len(glob):
        char = glob[i]
        i += 1
        if char == "?":
            out.append(".")
        elif char == "[" and (end := glob.find("]", i + (2 if glob[i : i + 1] == "!" else 1))) > 0:
            out.append(_one_of(glob[i:end]))
            i = end + 1
        else:
            out.append(re.escape(char))
    return "".join(out)


def _one_of(inside: str) -> str:
    """Translate what stands in brackets; only a dash between two characters has a meaning of its own."""
    sign, left = ("^", inside[1:]) if inside[0] == "!" else ("", inside)
    out: list[str] = []
    while left:
        if len(left) > 2 and left[1] == "-":
            out.append(f"{re.escape(left[0])}-{re.escape(left[2])}")
            left = left[3:]
        else:
            out.append(re.escape(left[0]))
            left = left[1:]
    return f"[{sign}{''.join(out)}]"
