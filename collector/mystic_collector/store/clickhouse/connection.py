"""Statements to the engine over HTTP, and its failures in our words. The only module that knows the client library."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from mystic_collector.engine import Engine
from mystic_collector.store.clickhouse.schema import SCHEMA, TABLES, VERSION, Table
from mystic_collector.store.protocol import StoreError

try:
    import clickhouse_connect
    from clickhouse_connect.datatypes.registry import get_from_name
    from clickhouse_connect.driver import Client
    from clickhouse_connect.driver.exceptions import ClickHouseError, StreamCompleteException
    from clickhouse_connect.driver.insert import InsertContext
    from clickhouse_connect.driver.transform import NativeTransform
    from urllib3.exceptions import HTTPError
except ImportError as error:
    raise StoreError("MYSTIC_STORE needs a library: pip install 'gnosis-mystic[clickhouse]'") from error

logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # what it logs, with tracebacks, it raises too

_COMPRESSION = "lz4"
_FAILURES = (ClickHouseError, StreamCompleteException, HTTPError, OSError, ValueError, LookupError)
"""What comes of an engine that fails, and of an answer that is cut off or is not one of an engine at all."""

_PASSING = {3, 23, 159, 164, 194, 198, 202, 203, 209, 210, 236, 241, 242, 243, 252, 253, 279, 319, 425, 473, 516, 999}
"""What the engine says when the same may work later: too much to do, no room, read-only, restarting, a new password.

By the list of error codes in ClickHouse's source, src/Common/ErrorCodes.cpp."""


class Block(NamedTuple):
    """Rows for one table, encoded: what cannot be encoded was refused before anything is sent.

    Attributes:
        token: of one insert; the engine takes it once. Empty where rows that come twice are one row anyway.
    """

    table: Table
    body: bytes
    token: str


class Connection:
    """One engine; usable by any thread at the same time.

    Args:
        connect_timeout, timeout: seconds.

    Raises:
        StoreError: when it cannot be reached, refuses us, or its tables were made by a newer collector.
    """

    def __init__(self, engine: Engine, connect_timeout: int = 5, timeout: int = 30) -> None:
        self._engine = engine
        try:
            self._client: Client = clickhouse_connect.get_client(
                interface="https" if engine.secure else "http",
                host=engine.host,
                port=engine.port,
                username=engine.user,
                password=engine.password,
                ca_cert=engine.ca_file or None,
                connect_timeout=connect_timeout,
                send_receive_timeout=timeout,
                autogenerate_session_id=False,  # statements of one session wait for each other, and are refused
                client_name="gnosis-mystic",
                show_clickhouse_errors="scrub",
            )
            self._prepare()
        except _FAILURES as error:
            remedy = "check MYSTIC_STORE, the password, and that the server runs"
            raise StoreError(f"the store {str(engine)!r} cannot be used: {_bounded(error)}; {remedy}") from error

    def _prepare(self) -> None:
        name = self._engine.database
        exists = "select count() from system.databases where name = {name:String}"
        if not self._client.query(exists, {"name": name}).result_rows[0][0]:
            self._client.command("create database if not exists {name:Identifier}", {"name": name})
        self._client.database = name
        for table in TABLES:
            self._client.command(table.statement)
        [[found]] = self._client.query("select max(version) from mystic_schema").result_rows
        if found > VERSION:
            message = f"its schema has version {found}, this collector knows {VERSION}; use a newer collector"
            raise StoreError(f"the store {str(self._engine)!r} cannot be used: {message}")
        if found < VERSION:
            self.send(encoded(SCHEMA, [(VERSION,)]))

    def rows(self, sql: str, raw: Sequence[str] = (), **values: Any) -> list[tuple[Any, ...]]:
        """Return what a query finds.

        Args:
            raw: columns that are bytes.
            values: its parameters.
        """
        try:
            formats: dict[str, str | dict[str, str]] = dict.fromkeys(raw, "bytes")
            return [tuple(row) for row in self._client.query(sql, values, column_formats=formats).result_rows]
        except _FAILURES as error:
            raise self._failed("read", error) from error

    def command(self, sql: str, **values: Any) -> None:
        """Do a statement that returns nothing."""
        try:
            self._client.command(sql, values)
        except _FAILURES as error:
            raise self._failed("written", error) from error

    def send(self, block: Block) -> None:
        """Insert a block. Sent twice, it counts once."""
        # Gathered by the engine for a while, they would be answered later and their tokens not be looked at.
        settings: dict[str, Any] = {"async_insert": 0}
        if block.token:
            settings["insert_deduplication_token"] = block.token
        try:
            # The statement is in the body; the client's own signature asks for a table's name all the same.
            self._client.raw_insert("", insert_block=block.body, settings=settings, compression=_COMPRESSION)
        except _FAILURES as error:
            raise self._failed("written", error) from error

    def close(self) -> None:
        """Close what is open to the engine."""
        self._client.close()

    def _failed(self, what: str, error: Exception) -> StoreError:
        code = getattr(error, "code", None)
        passing = code is None or code in _PASSING  # without a code it was not the engine that answered
        message = f"{str(self._engine)!r} could not be {what}: {_bounded(error)}; check that the server runs"
        return StoreError(message, passing=passing)


def encoded(table: Table, rows: Sequence[Sequence[Any]], token: str = "") -> Block:
    """Return ``rows``, in the order of the table's columns, as a block.

    Raises:
        StoreError: when a value does not fit its column.
    """
    try:
        return Block(table, _encode(table, rows), token)
    except (ClickHouseError, ValueError, TypeError, OverflowError) as error:
        raise StoreError(f"rows for {table.name!r} could not be written: {_bounded(error)}; report this") from error


def _encode(table: Table, rows: Sequence[Sequence[Any]]) -> bytes:
    """Return the whole insert: the library puts the statement before the blocks."""
    types = [get_from_name(kind.partition(" codec")[0]) for kind in table.columns.values()]
    context = InsertContext(table.name, list(table.columns), types, rows, compression=_COMPRESSION)
    body = b"".join(NativeTransform().build_insert(context))
    if context.insert_exception:  # the library keeps it to itself, and sends what makes the insert fail
        raise context.insert_exception
    return body


def _bounded(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]}…"
