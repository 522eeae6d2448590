"""How the tables came to be: upgrade a database to the newest migration, or take it back to none."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url

HERE = Path(__file__).parent


def upgrade(url: str, revision: str = "head") -> None:
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str = "base") -> None:
    command.downgrade(_config(url), revision)


def current(url: str) -> str | None:
    """The migration that the database stands at, or None when it has no tables of ours."""
    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def newest() -> str | None:
    return ScriptDirectory(str(HERE)).get_current_head()


def knows(revision: str) -> bool:
    return revision in {one.revision for one in ScriptDirectory(str(HERE)).walk_revisions()}


def driver_url(url: str) -> str:
    """The same address with the PostgreSQL driver that we ship."""
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    return address.render_as_string(hide_password=False)


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", driver_url(url).replace("%", "%%"))
    return config
