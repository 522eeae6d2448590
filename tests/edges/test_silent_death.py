"""Silent death: as soon as one part stands still, the address that somebody else watches is asked no more (T27)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from firedoor.heartbeat import Signs
from incidents import canary, tables
from tests.fixtures.desk import CAST, TOKEN, Desk, OpenDesk
from tests.fixtures.listener import Listener
from tests.fixtures.waiting import eventually, free_port

LOG = CAST.replace("channels: {phone:", "channels: {log: {kind: log}, phone:")


def sing(desk: Desk, to: str = "log") -> None:
    """What the clock does every ten seconds: owe the canary of these five minutes."""
    with desk.house.database.work() as work:
        work.ring(canary.owe(work.session, to, now=work.now))
    desk.settle()


def works(desk: Desk, *names: str) -> None:
    """Parts of ours say that they just worked."""
    with desk.house.database.work() as work:
        for name in names:
            row = {"kind": name.split("-")[0], "started_at": work.now, "worked_at": work.now, "facts": {}}
            work.session.execute(tables.part.delete().where(tables.part.c.name == name))
            work.session.execute(tables.part.insert().values(name=name, **row))


def amiss(desk: Desk, **more: Any) -> list[str]:
    return list(Signs(desk.house.database, **{"lag": lambda: 0.5, **more}).amiss())


def test_all_is_well_while_every_part_works_and_a_canary_left(open_desk: OpenDesk) -> None:
    desk = open_desk(LOG)
    works(desk, "clock-box-1", "worker-page-box-2", "worker-act-box-3")
    sing(desk)

    assert amiss(desk) == []
    assert desk.news() == [], "a canary goes to nobody"
    assert "firedoor_canary_age_seconds 0" in desk.client.get("/metrics").get_data(as_text=True)
    assert 'firedoor_part_age_seconds{part="clock-box-1",kind="clock"} 0' in desk.client.get("/metrics").text


@pytest.mark.parametrize("frozen", ["clock-box-1", "worker-page-box-2", "worker-act-box-3"])
def test_a_part_that_is_frozen_is_noticed_within_sixteen_seconds(open_desk: OpenDesk, frozen: str) -> None:
    desk = open_desk(LOG)
    parts = ("clock-box-1", "worker-page-box-2", "worker-act-box-3")
    works(desk, *parts)
    sing(desk)
    desk.forward(seconds=16)
    works(desk, *(one for one in parts if one != frozen))

    assert amiss(desk) == [f"{frozen[:-6]} has not worked for 16 s"]

    works(desk, f"{frozen[:-1]}9")
    assert amiss(desk) == [], "another process of its kind took its place"


def test_no_canary_within_ten_minutes_is_noticed_though_nothing_else_is_wrong(open_desk: OpenDesk) -> None:
    desk = open_desk(LOG)
    assert amiss(desk) == ["no canary page left lately"]
    sing(desk)
    sing(desk)
    assert amiss(desk) == []

    desk.forward(minutes=11)

    assert amiss(desk) == ["no canary page left lately"]


def test_a_canary_by_a_channel_that_is_not_there_proves_nothing(open_desk: OpenDesk) -> None:
    desk = open_desk(LOG)
    sing(desk, to="carrier pigeon:home")

    assert amiss(desk) == ["no canary page left lately"]


def test_a_canary_goes_the_whole_road_to_its_test_address(open_desk: OpenDesk) -> None:
    desk = open_desk(LOG)
    sing(desk, to=f"phone:{desk.recorder.url}/canary")

    assert [(one.purpose, one.to) for one in desk.news()] == [("canary", "canary")]


def test_a_late_clock_an_overdue_page_and_a_silent_redis_are_noticed(open_desk: OpenDesk) -> None:
    desk = open_desk(LOG)
    sing(desk)
    assert amiss(desk, lag=lambda: 6.0) == ["the clock is 6 s late"]
    assert amiss(desk, redis_ping=lambda: False) == ["Redis does not answer"]

    desk.post(b'{"version": "4", "status": "firing", "alerts": []}')
    with desk.house.database.work() as work:
        canary.owe(work.session, "log", now=work.now + timedelta(minutes=5))
    desk.clock.set(desk.clock.now() + timedelta(minutes=5, seconds=31))
    assert amiss(desk) == ["a page is overdue"]
    desk.settle()


def test_a_web_process_that_was_beside_us_must_go_on_answering(open_desk: OpenDesk, listener: Listener) -> None:
    desk = open_desk(LOG)
    sing(desk)
    signs = Signs(desk.house.database, lambda: 0.5, web=listener.url)
    assert signs.are_good()
    assert listener.heard == ["/healthz"]

    listener.end()

    assert list(signs.amiss()) == ["the web process does not answer"]
    assert amiss(desk, web=listener.url) == [], "one that never was beside us runs on another machine"


# --- a real clock ---

CLOCK = """
import firedoor.heartbeat as heartbeat
heartbeat.beat_outside.__kwdefaults__["every"] = 0.1  # 30 s in earnest
from firedoor.processes import run_clock
from firedoor.settings import Settings
run_clock(Settings.from_env())
"""


def test_a_clock_that_is_frozen_falls_silent_and_speaks_again(tmp_path: Path, listener: Listener) -> None:
    environ = {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        "FIREDOOR_HOME": str(tmp_path / "home"),
        "FIREDOOR_ALERTMANAGER_TOKEN": TOKEN,
        "FIREDOOR_HEARTBEAT_URL": f"{listener.url}/alive",
        "FIREDOOR_PORT": str(free_port()),
    }
    subprocess.run([sys.executable, "-m", "firedoor", "release"], env=environ, cwd=tmp_path, check=True)
    clock = subprocess.Popen([sys.executable, "-c", CLOCK], env=environ, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: len(listener.heard) >= 3, timeout=30)
        clock.send_signal(signal.SIGSTOP)
        eventually(lambda: _is_stopped(clock.pid))
        silent_at = len(listener.heard)
        threading.Event().wait(0.6)
        assert len(listener.heard) <= silent_at + 1, "one may have been on its way"
        clock.send_signal(signal.SIGCONT)
        eventually(lambda: len(listener.heard) >= silent_at + 3)
    finally:
        clock.send_signal(signal.SIGCONT)
        clock.terminate()
        clock.wait(20)


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
