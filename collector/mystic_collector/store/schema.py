"""The tables of the SQLite store.

Names that repeat are kept once (instances, functions, labels) and referred to by number. Spans are
kept in segments, as they came: a row and an index entry for every span would cost ten times as much.
"""

from __future__ import annotations

import sqlite3

from mystic_collector.store import externals, lives, logs

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
create table if not exists intervals(
  function integer not null, service text not null, width integer not null, at integer not null,
  calls integer not null, untimed integer not null, errors integer not null, hits integer not null,
  total integer not null, zero integer not null, buckets text not null,
  primary key(function, service, width, at)) without rowid;
create table if not exists facts(
  instance integer not null, metric text not null, kind text not null, time integer not null, value real not null,
  primary key(instance, metric, kind)) without rowid;
create table if not exists points(
  id integer primary key, received integer not null, instance integer not null, time integer not null,
  metric text not null, shape text not null, unit text not null, attributes text not null, value real, detail text);
create table if not exists segments(
  id integer primary key, received integer not null, instance integer not null, count integer not null,
  errors integer not null, longest integer not null, body blob not null);
create table if not exists segment_traces(
  trace_id blob not null, segment integer not null, primary key(trace_id, segment)) without rowid;
create table if not exists span_names(id integer primary key, name text not null unique);
create table if not exists segment_names(
  name integer not null, segment integer not null, primary key(name, segment)) without rowid;
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
    for tables in (logs.TABLES, lives.TABLES, externals.TABLES):
        connection.executescript(tables)
    connection.execute(f"pragma user_version = {VERSION}")
