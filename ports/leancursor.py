"""A psycopg cursor that describes its columns only to whoever reads them.

SQLAlchemy knows the columns of its own statements and asks only whether there are any; psycopg makes an object for
each column each time it is asked. Of a statement with forty columns that was a fifth of the processor time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from psycopg import Column, Cursor


class Columns(Sequence[Column]):
    """The columns of a result, made when they are first read. As true as it is long, as a list of them would be."""

    def __init__(self, cursor: Cursor[Any], count: int) -> None:
        self._cursor = cursor
        self._count = count
        self._made: list[Column] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Column: ...
    @overload
    def __getitem__(self, index: slice) -> list[Column]: ...
    def __getitem__(self, index: int | slice) -> Column | list[Column]:
        return self._all()[index]

    def __iter__(self) -> Iterator[Column]:
        return iter(self._all())

    def _all(self) -> list[Column]:
        if self._made is None:
            self._made = [Column(self._cursor, n) for n in range(self._count)]
        return self._made


class LeanCursor(Cursor[Any]):
    """As psycopg's own, but for what its description costs."""

    @property
    def description(self) -> Any:
        result = self.pgresult
        if result is not None and result.nfields:
            return Columns(self, result.nfields)
        return super().description  # nothing, or the empty list of a SELECT without columns
