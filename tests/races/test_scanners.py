"""T28: mail scanners, link previews and crawlers open the acknowledging link, and nobody has acknowledged."""

from __future__ import annotations

import os
from typing import Any

import pytest
from sqlalchemy import select

from incidents import tables
from tests.fixtures.desk import Desk, add_token

SCANNERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0) SafeLinks",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "Mozilla/5.0 (compatible; Google-Safety)",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack-ImgProxy (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "TelegramBot (like TwitterBot)",
    "WhatsApp/2.24.11.78 A",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
    "Mozilla/5.0 (compatible; ProofpointURLDefense)",
    "Mozilla/5.0 (compatible; Mimecast)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "curl/8.5.0",
    "python-requests/2.32.3",
)
METHODS = ("GET", "HEAD", "OPTIONS")
ROUNDS = int(os.environ.get("SCANNER_ROUNDS", "5"))  # 125 are the 10,000 looks of T28
KEPT = (tables.incident, tables.hearing, tables.promise, tables.timeline, tables.person_token)


def record(desk: Desk) -> dict[str, list[Any]]:
    """Every row that a press would change or add."""
    with desk.house.database.read() as work:
        return {
            table.name: [tuple(row) for row in work.session.execute(select(table).order_by(table.c.id))]
            for table in KEPT
        }


@pytest.mark.parametrize("cookies", [False, True], ids=["bare", "with cookies"])
def test_no_scanner_acknowledges_whatever_it_asks_with(desk: Desk, *, cookies: bool) -> None:
    assert len(set(SCANNERS)) == 20
    desk.alertmanager_says("firing")
    assert desk.heard() == [("page", "ada"), ("page", "cy"), ("tell", "ben")]
    link, before = desk.links["ada"], record(desk)
    if cookies:
        sign_in(desk)

    for _ in range(ROUNDS):
        for agent in SCANNERS:
            for method in METHODS:
                path = f"{link}?verb=acknowledge" if method == "GET" else link
                answer = desk.client.open(path, method=method, headers={"User-Agent": agent, "Purpose": "prefetch"})
                assert answer.status_code in (200, 204, 405), (method, agent, answer.status_code)

    assert record(desk) == before
    assert "acknowledged" not in desk.kinds()
    desk.press("ada", "acknowledge")
    assert record(desk) != before, "the same link acts when a person presses"
    desk.news()


def sign_in(desk: Desk) -> None:
    """The preview of a person's own browser carries that person's session."""
    token = add_token(desk.house, "ada", "signin")
    desk.client.post("/signin", data={"token": token})
    assert desk.client.get("/").status_code == 200, "the session is begun"
