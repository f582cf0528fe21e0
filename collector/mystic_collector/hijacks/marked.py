"""What a report says of where figures are divided goes to the store, the rest to the fleet. Law: pure."""

from __future__ import annotations

from mystic_agent.contract.report import Report

from mystic_collector.store.life_records import MarkRow
from mystic_collector.store.records import Incoming, Resource


def divided(report: Report) -> tuple[Report, list[Incoming]]:
    """Return the report without its marks, and the marks as a batch for the store; empty when there are none."""
    rows = [MarkRow(one.function, mark) for one in report.functions for mark in one.marks]
    if not rows:
        return report, []
    resource = Resource(report.service, report.instance, report.stage, "{}")
    functions = tuple(one._replace(marks=()) if one.marks else one for one in report.functions)
    return report._replace(functions=functions), [Incoming(resource, marks=rows)]
