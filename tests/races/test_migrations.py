"""Migrations: up, down and up again leave the same tables, and they are the tables that the code knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine, inspect, text

import migrations
from incidents.tables import metadata


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, poolclass=NullPool)
    yield engine
    engine.dispose()


def dump(engine: Engine) -> dict[str, Any]:
    """Everything that the database says of its tables."""
    found = inspect(engine)
    said = {
        table: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], str(c.get("default"))) for c in found.get_columns(table)
            ],
            "primary key": found.get_pk_constraint(table),
            "foreign keys": sorted(map(str, found.get_foreign_keys(table))),
            "unique": sorted(map(str, found.get_unique_constraints(table))),
            "indexes": sorted(map(_plain, found.get_indexes(table))),
        }
        for table in sorted(found.get_table_names())
    }
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master ORDER BY name"))
            said["sql"] = {row.name: row.sql for row in rows}
    return said


def _plain(index: Any) -> str:
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


def test_up_down_and_up_again_leaves_the_same_tables(database_url: str, engine: Engine) -> None:
    before = dump(engine)
    assert migrations.current(database_url) == migrations.newest()

    migrations.downgrade(database_url)
    assert migrations.current(database_url) is None
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}

    migrations.upgrade(database_url)
    assert dump(engine) == before


def test_migrations_and_code_know_the_same_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_make_what_the_code_would_make(database_url: str, engine: Engine) -> None:
    migrated = dump(engine)
    migrations.downgrade(database_url)
    metadata.create_all(engine)

    made = dump(engine)
    assert _without_version(made) == _without_version(migrated)
    metadata.drop_all(engine)


def _without_version(said: dict[str, Any]) -> dict[str, Any]:
    """The statements themselves are written differently; what they made is compared."""
    return {table: what for table, what in said.items() if table not in ("alembic_version", "sql")}


def test_an_upgrade_of_what_is_newest_changes_nothing(database_url: str, engine: Engine) -> None:
    before = dump(engine)
    migrations.upgrade(database_url)

    assert dump(engine) == before
