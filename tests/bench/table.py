"""Figures as a table: aligned text for a terminal, Markdown for a page."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figure import Figure, number

HEADS = ("", "figure", "compared", "target", "")
Row = tuple[str, str, str, str, str]


def row(figure: Figure) -> Row:
    """Return the cells of one figure."""
    compared = "" if figure.compared is None else f"{number(figure.compared)} {figure.compared_unit}"
    variant = f"{figure.variant} ({figure.note})" if figure.note else figure.variant
    target = "" if figure.target is None else str(figure.target)
    return variant, f"{number(figure.value)} {figure.unit}", compared, target, figure.verdict


def sections(figures: Sequence[Figure]) -> dict[str, list[Row]]:
    """Return the rows by section, in the order they were measured."""
    found: dict[str, list[Row]] = {}
    for figure in figures:
        found.setdefault(figure.section, []).append(row(figure))
    return found


def text(figures: Sequence[Figure]) -> str:
    """Return the table for a terminal."""
    grouped = sections(figures)
    rows = [one for listed in grouped.values() for one in listed]
    widths = [max([len(one[i]) for one in rows] + [len(HEADS[i])]) for i in range(len(HEADS))]
    lines = []
    for title, listed in grouped.items():
        lines += ["", title]
        for cells in listed:
            shown = [cells[0].ljust(widths[0])] + [cells[i].rjust(widths[i]) for i in (1, 2, 3)] + [cells[4]]
            lines.append(("  " + "  ".join(shown)).rstrip())
    return "\n".join(lines[1:])


def markdown(figures: Sequence[Figure]) -> str:
    """Return the table for a page: one for each section."""
    lines: list[str] = []
    for title, listed in sections(figures).items():
        lines += [f"### {title}", "", "| Variant | Figure | Compared | Target | |", "|---|--:|--:|--:|---|"]
        lines += ["| " + " | ".join(cells).rstrip() + " |" for cells in listed]
        lines.append("")
    return "\n".join(lines)
