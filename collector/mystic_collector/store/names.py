"""Numbers for names that repeat: processes, functions, decisions. Used by the writing thread alone."""

from __future__ import annotations

import sqlite3

from mystic_collector.store.records import OVERFLOW, Resource

MOST_LABELS = 5_000
_MOST_REMEMBERED = 50_000


class Names:
    """Numbers of names, remembered in memory and kept in the database.

    Args:
        connection: the writing connection; a transaction is open whenever a method is called.
        most_functions: distinct function names; beyond it every new name gets the number of ``OVERFLOW``.
    """

    def __init__(self, connection: sqlite3.Connection, most_functions: int) -> None:
        self._connection = connection
        self._most_functions = most_functions
        self.forget()

    def forget(self) -> None:
        """Read again from the database; needed after a rollback."""
        self._instances: dict[tuple[str, str], tuple[int, bool]] = {}
        self._functions: dict[str, int] = dict(self._connection.execute("select name, id from functions"))
        self._span_names: dict[str, int] = dict(self._connection.execute("select name, id from span_names"))
        rows = self._connection.execute("select strategy, decision, reason, id from labels")
        self._labels: dict[tuple[str, str, str], int] = {(a, b, c): number for a, b, c, number in rows}

    def instance(self, resource: Resource, now: int) -> tuple[int, bool]:
        """Return (number, whether its figures were folded away) of a process, seen at ``now`` (Unix seconds)."""
        key = (resource.service, resource.instance)
        known = self._instances.get(key)
        if known is None:
            sql = "select id, folded from instances where service = ? and instance = ?"
            row = self._connection.execute(sql, key).fetchone()
            if row is None:
                sql = (
                    "insert into instances(service, instance, stage, attributes, first_seen, last_seen)"
                    " values(?, ?, ?, ?, ?, ?) returning id, 0"
                )
                row = self._connection.execute(sql, (*key, resource.stage, resource.attributes, now, now)).fetchone()
            known = (row[0], bool(row[1]))
            if len(self._instances) >= _MOST_REMEMBERED:
                self._instances.clear()
            self._instances[key] = known
        return known

    def function(self, name: str) -> int:
        """Return the number of a function, or of ``OVERFLOW`` when there are too many."""
        number = self._functions.get(name)
        if number is None:
            if len(self._functions) >= self._most_functions and name != OVERFLOW:
                return self.function(OVERFLOW)
            sql = "insert into functions(name) values(?) returning id"
            [number] = self._connection.execute(sql, (name,)).fetchone()
            self._functions[name] = number
        return number

    def span_name(self, name: str) -> int:
        """Return the number of a span's name, or of ``OVERFLOW`` when there are too many."""
        number = self._span_names.get(name)
        if number is None:
            if len(self._span_names) >= self._most_functions and name != OVERFLOW:
                return self.span_name(OVERFLOW)
            sql = "insert into span_names(name) values(?) returning id"
            [number] = self._connection.execute(sql, (name,)).fetchone()
            self._span_names[name] = number
        return number

    def label(self, strategy: str, decision: str, reason: str) -> int:
        """Return the number of a decision; with too many distinct ones the reason, then all, become ``OVERFLOW``."""
        key = (strategy, decision, reason)
        number = self._labels.get(key)
        if number is None:
            if len(self._labels) >= MOST_LABELS and key != (OVERFLOW, OVERFLOW, OVERFLOW):
                return self.label(OVERFLOW, OVERFLOW, OVERFLOW)
            sql = "insert into labels(strategy, decision, reason) values(?, ?, ?) returning id"
            [number] = self._connection.execute(sql, key).fetchone()
            self._labels[key] = number
        return number
