"""The tables of the SQLite store.

Names that repeat are kept once (instances, functions, labels) and referred to by number. Spans have one index
besides their order of arrival, because every further index costs each span.
"""

from __future__ import annotations

import sqlite3

VERSION = 1

TABLES = """
create table if not exists instances(
  id integer primary key, service text not null, instance text not null, stage text not null,
  attributes text not null, first_seen integer not null, last_seen integer not null, folded integer not null default 0,
  unique(service, instance));
create table if not exists functions(id integer primary key, name text not null unique);
create table if not exists labels(
  id integer primary key, strategy text not null, decision text not null, reason text not null,
  unique(strategy, decision, reason));
create table if not exists durations(
  instance integer not null, function integer not null, start integer not null, time integer not null,
  calls integer not null, total integer not null, low integer not null, high integer not null, zero integer not null,
  buckets text not null, primary key(function, instance, start)) without rowid;
create table if not exists counts(
  instance integer not null, function integer not null, start integer not null, label integer not null,
  time integer not null, value integer not null, primary key(function, instance, start, label)) without rowid;
create table if not exists history(
  function integer not null, service text not null, width integer not null, at integer not null,
  calls integer not null, errors integer not null, hits integer not null, total integer not null,
  zero integer not null, buckets text not null, primary key(function, service, width, at)) without rowid;
create table if not exists facts(
  instance integer not null, metric text not null, kind text not null, time integer not null, value real not null,
  primary key(instance, metric, kind)) without rowid;
create table if not exists points(
  id integer primary key, received integer not null, instance integer not null, time integer not null,
  metric text not null, shape text not null, unit text not null, attributes text not null, value real, detail text);
create table if not exists spans(
  id integer primary key, received integer not null, instance integer not null, trace_id blob not null,
  span_id blob not null, parent_id blob not null, function text not null, name text not null, kind integer not null,
  start integer not null, finish integer not null, status integer not null, error text not null,
  attributes text not null, events text not null);
create index if not exists spans_by_trace on spans(trace_id);
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Create what is missing.

    Raises:
        ValueError: when the file was written by a newer version.
    """
    [found] = connection.execute("pragma user_version").fetchone()
    if found > VERSION:
        raise ValueError(f"its schema has version {found}, this collector knows {VERSION}; use a newer collector")
    connection.executescript(TABLES)
    connection.execute(f"pragma user_version = {VERSION}")
