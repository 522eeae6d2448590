"""What a command finds around it: the settings of this process, quiet logs, and the exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firedoor.settings import Settings

REFUSED, UNREACHABLE = 1, 3


def settings() -> Settings:
    from firedoor.settings import Settings

    return Settings.from_env()


def quiet_logs() -> None:
    """What the log says about faults, these commands print themselves."""
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
