"""What the columns and indexes of the tables are made of, the same on both databases.

Times are BIGINT microseconds since 1970 in UTC, through one type that refuses naive datetimes.
JSON is text written with ASCII escapes, so that NUL and lone surrogates from a sender survive on PostgreSQL too.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, Text, TypeDecorator, text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Utc(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as integer microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime reached the database: {value!r}")
        return (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


_AS_TEXT = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode  # one, since each costs more than its work


class Json(TypeDecorator[Any]):
    """Any JSON value, kept as compact ASCII text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else _AS_TEXT(value)

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        return None if value is None else json.loads(value)


# SQLite only numbers rows by itself for INTEGER, PostgreSQL wants BIGINT.
Id = BigInteger().with_variant(Integer, "sqlite")


def index_of_some(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the few rows for which the condition holds.

    A statement that wants it spells the condition just so: of a bound value SQLite learns too late that it is the same.
    """
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
