"""What an alert rule says beside its title, and its `runbook_url`: on the page, on the incident, in the API."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from incidents.alerts import runbook_url, web_link
from templates.render import message
from tests.fixtures.desk import Desk
from tests.stories.test_hot_reload import signed_in

URL = "https://runbooks.example.com/database/down?team=shop#first"


@pytest.mark.parametrize(
    ("text", "link"),
    [
        (URL, URL),
        ("  http://wiki/x ", "http://wiki/x"),
        ("HTTPS://Wiki.example/a", "HTTPS://Wiki.example/a"),
        ("http://[::1]/", ""),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//wiki/x", ""),
        ("https://", ""),
        ("https:///x", ""),
        ("https://wiki/a b", ""),
        ('https://wiki/"onclick=', ""),
        ("https://wiki/\x1b[31m", ""),
        ("https://wiki/\u202ecod", ""),
        ("https://wiki/" + "x" * 600, ""),
        ("see https://wiki/x", ""),
        ("", ""),
    ],
)
def test_only_the_address_of_a_page_becomes_a_link(text: str, link: str) -> None:
    assert web_link(text) == link


def test_the_annotation_comes_before_the_label() -> None:
    def alert(annotations: dict[str, str], labels: dict[str, str]) -> Any:
        return SimpleNamespace(annotations=annotations, labels=labels)

    assert runbook_url(alert({"runbook_url": "https://a/"}, {"runbook_url": "https://b/"})) == "https://a/"
    assert runbook_url(alert({"runbook_url": "none"}, {"runbook_url": "https://b/"})) == "https://b/"
    assert runbook_url(alert({}, {})) == ""


def test_a_page_and_an_incident_show_what_the_rule_says(desk: Desk) -> None:
    said = {"description": "12 of 40 connections refused", "runbook_url": URL, "dashboard": "javascript:alert(1)"}

    desk.alertmanager_says(annotations=said)

    page = next(one for one in desk.news() if one.purpose == "page")
    assert "Details:  12 of 40 connections refused\n" in page.text
    assert f"The alert rule's runbook: {URL}\n" in page.text
    [alert] = desk.incident()["alerts"]
    assert alert["runbook_url"] == URL
    assert alert["annotations"]["description"] == "12 of 40 connections refused"
    assert desk.alerts()[0]["runbook_url"] == URL
    browser = signed_in(desk)
    for place in ("/i/INC-001", "/alerts/1"):
        shown = browser.get(place).get_data(as_text=True)
        assert f'<a href="{URL}" rel="noreferrer noopener">The alert rule&#39;s runbook</a>' in shown or (
            f'<a href="{URL}" rel="noreferrer noopener">The alert rule\'s runbook</a>' in shown
        ), place
        assert "12 of 40 connections refused" in shown, place
        assert 'href="javascript' not in shown, place


def test_an_email_says_them_and_stays_text() -> None:
    facts = {"purpose": "page", "about": "<b>12</b> of 40", "sender_runbook": URL, "what": "x", "link": "https://f/"}

    html = message(facts, "email")["html"]

    assert "&lt;b&gt;12&lt;/b&gt; of 40" in html
    assert URL in html
