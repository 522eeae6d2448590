"""What strangers write is only ever text: fifty payloads on every page that shows what came from outside (S9)."""

from __future__ import annotations

import json

from playwright.sync_api import Browser, Page

from incidents import accounts, apitokens
from incidents.press import Actor
from ports.tokens import hash_token
from tests.browser.conftest import CHECKOUT, QUEUE, Site

ADA = Actor("ada", "Ada", "console", "admin", login="ada")
NOT_SHOWN = ["/inbox", "/shadow", "/runbooks"]  # in our own words alone

OWN = "document.title='owned'"
PAYLOADS = (
    f"<script>{OWN}</script>", f"</script><script>{OWN}</script>", f"</title><script>{OWN}</script>",
    f"</textarea><script>{OWN}</script>", f"</style><script>{OWN}</script>", f"<ScRiPt>{OWN}</sCrIpT>",
    f"<img src=x onerror=\"{OWN}\">", f"\"><img src=x onerror=\"{OWN}\">", f"'><img src=x onerror='{OWN}'>",
    f"<svg onload=\"{OWN}\">", f"'><svg/onload={OWN}>", f"<svg><script>{OWN}</script></svg>",
    f"<body onload=\"{OWN}\">", f"<iframe srcdoc=\"<script>parent.{OWN}</script>\">",
    f"<iframe src=\"javascript:parent.{OWN}\">", f"<a href=\"javascript:{OWN}\">press</a>", f"javascript:{OWN}",
    f"JaVaScRiPt:{OWN}", f"java\tscript:{OWN}", f"&#106;avascript:{OWN}", f"data:text/html,<script>{OWN}</script>",
    f"vbscript:{OWN}", f"<details open ontoggle=\"{OWN}\">x</details>", f"<input autofocus onfocus=\"{OWN}\">",
    f"<video><source onerror=\"{OWN}\"></video>", f"<audio src onloadstart=\"{OWN}\">",
    f"<marquee onstart=\"{OWN}\">x</marquee>", f"<object data=\"javascript:{OWN}\">",
    f"<embed src=\"javascript:{OWN}\">",
    f"<form action=\"javascript:{OWN}\"><button>x</button></form>",
    f"<button formaction=\"javascript:{OWN}\">x</button>",
    f"<math><mtext></p><img src=x onerror=\"{OWN}\"></mtext></math>",
    "<link rel=stylesheet href='//evil.example/x.css'>",
    "<meta http-equiv=refresh content=\"0;url=//evil.example\">", "<base href=\"//evil.example/\">",
    "<style>*{display:none}</style>", f"\" autofocus onfocus=\"{OWN}\" x=\"", f"' onmouseover='{OWN}' x='",
    f"` onmouseover={OWN} x=`", "{{ 7 * 7 }}", "{% raw %}{{ 7*7 }}", "${7*7}", "#{7*7}", "<%= 7*7 %>",
    "{{ config }}{{ self.__class__ }}", f"--><script>{OWN}</script><!--", f"]]><script>{OWN}</script>",
    f"\u202e<script>{OWN}</script>", f"<noscript><p title=\"</noscript><img src=x onerror={OWN}>\">",
    f"<template><script>{OWN}</script></template>", f"[press](javascript:{OWN})", f"%3Cscript%3E{OWN}%3C/script%3E",
    f"https://x.example/\" onmouseover=\"{OWN}", f"https://x.example/'><script>{OWN}</script>",
    f"INC-001\"><img src=x onerror=\"{OWN}\">", f"`https://x.example/` autofocus onfocus={OWN}",
)  # fmt: skip
FOREIGN = (
    "img:not([src^='/i/INC-001/timeline.svg?']), iframe, object, embed, base, main style, main script, main link, "
    "meta[http-equiv=refresh], [onerror], [onload], [onfocus], [onmouseover], [ontoggle], "
    "a[href^='javascript' i], a[href^='data' i], form[action^='javascript' i]"
)


def test_fifty_payloads_are_inert_on_every_page_that_shows_what_came_from_outside(site: Site, browser: Browser) -> None:
    assert len(PAYLOADS) >= 50
    site.desk.deploys("checkout", PAYLOADS[0], by=PAYLOADS[6])
    for n, payload in enumerate(PAYLOADS):
        shown = {"note": payload, "queue": payload, "instance": f"host-{n}"}
        site.fires({**(CHECKOUT if n % 2 else QUEUE), **shown}, summary=payload, impact=payload, runbook_url=payload)
    site.desk.news()
    link = site.desk.links["ada"]
    site.desk.post(("<script>" + OWN + "</script>" + " ".join(PAYLOADS)).encode())
    site.desk.forward(minutes=1)
    _storm(site)
    _own_names(site)
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.text} {message.location['url']}"))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    site.sign_in(page)
    csrf = page.locator("input[name=csrf]").first.get_attribute("value") or ""
    page.request.post(f"{site.url}/i/INC-001/note", form={"csrf": csrf, "text": "\n".join(PAYLOADS)})
    pasted = json.dumps({"alerts": [{"status": "firing", "labels": {"alertname": one}} for one in PAYLOADS[:20]]})
    paths = [
        "/",
        "/search",
        "/search?q=" + PAYLOADS[0],
        "/alerts",
        "/alerts?q=" + PAYLOADS[7],
        "/alerts/1",
        "/alerts/2",
    ]
    unread = site.desk.api("GET", "/inbox")["items"][0]["id"]
    paths += [f"/inbox/{unread}"]

    of_one = ["/i/INC-001?all", "/i/INC-001/picture", "/i/INC-001/timeline.svg", link, site.desk.links["ada"]]
    of_us = ["/audit", "/audit?actor=" + PAYLOADS[7], "/tokens", "/accounts"]
    newest = max(one["id"] for one in site.desk.alerts())  # of the storm: the form offers the name, a payload
    silent: list[str] = []
    for path in [*paths, *of_one, *of_us, "/inbox", f"/silences?alert={newest}", "/shadow", "/wall", "/runbooks"]:
        page.goto(f"{site.url}{path}")
        _is_inert(page, path)
        silent += [] if "owned" in page.content() else [path]
    assert silent == NOT_SHOWN, "a page that shows no payload proves nothing"
    page.locator("textarea[name=payload]").fill(pasted)
    page.get_by_role("button", name="Try it").click()
    _is_inert(page, "the tester")

    context.close()
    of_a_drawing = "/favicon.ico"  # by itself it can't name an icon, and the browser asks for this one
    assert [one for one in complaints if not one.endswith(of_a_drawing)] == []


def _storm(site: Site) -> None:
    """A page to Ada that lists several incidents, each named by a payload."""
    named = [{"alertname": one, "service": one, "severity": "critical"} for one in PAYLOADS[::4]]
    site.desk.alertmanager_says(alerts=[("firing", labels) for labels in named])
    site.desk.forward(seconds=75)
    site.desk.news()


def _own_names(site: Site) -> None:
    """Accounts and tokens are named by people, and the audit repeats both."""
    with site.desk.house.database.work() as work:
        for n, payload in enumerate(PAYLOADS):
            login = accounts.add(
                work.session, f"guest-{n}", role="viewer", person=None, name=payload, by=ADA,
                book=site.desk.house.book(), now=work.now,
            ).login  # fmt: skip
            apitokens.make(
                work.session, login, hash_token(login), name=payload, scopes=["read"], days=None, by=ADA, now=work.now
            )


def _is_inert(page: Page, path: str) -> None:
    assert page.title() != "owned", path
    assert "49" not in page.title(), path
    found = page.locator(FOREIGN).evaluate_all("all => all.map(one => one.outerHTML)")
    assert found == [], f"{path}: {found}"
