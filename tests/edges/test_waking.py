"""Who would sleep through a page: `check` says so and proves each contact; the vCard lets our senders through."""

from __future__ import annotations

import pytest

from tests.edges.test_cli import Shell, shell  # noqa: F401
from tests.fixtures.ntfy import TOKEN, Ntfy

TEAM = "teams: {default: {roles: {oncall: [ada], tech_lead: [ben], product_owner: []}}}\nroles: {leadership: []}\n"


def policy(shell: Shell, ada: str, ben: str = "{channel: push, address: ben}", more: str = "") -> None:  # noqa: F811
    people = f"people:\n  ada: {{contacts: [{ada}]}}\n  ben: {{contacts: [{ben}]}}\n"
    channels = "channels: {push: {kind: ntfy, url: 'http://127.0.0.1:9'}}\n"
    (shell.folder / "firedoor.yaml").write_text(people + TEAM + (more or channels))


@pytest.mark.parametrize(
    "ada",
    [
        "{channel: email, address: a@example.com}",
        "{channel: log}",
        "{channel: push, address: ada, wakes: false}",
        "{channel: push, address: ada, wakes: no}",
        "{channel: push, address: ada, for: [tell]}",
        "",
    ],
)
def test_check_refuses_a_policy_that_lets_somebody_sleep_through_a_p1(shell: Shell, ada: str) -> None:  # noqa: F811
    policy(shell, ada)

    [fault] = shell.json("check", code=1)["faults"]

    assert fault["line"] == 2
    assert fault["what"] == "`ada` is paged at P0 and P1, and no contact of theirs wakes anybody."


def test_a_contact_that_wakes_is_enough_even_where_its_secret_is_not_set_here(shell: Shell) -> None:  # noqa: F811
    policy(shell, "{channel: push, address: env:ADA_TOPIC}, {channel: log}")
    assert shell.json("check")["ok"]

    for word in ("true", "yes"):
        policy(shell, f"{{channel: email, address: a@example.com, wakes: {word}}}")
        assert shell.json("check")["ok"]


def test_the_shipped_policy_is_warned_of_and_stays_usable(shell: Shell) -> None:  # noqa: F811
    checked = shell.json("check")

    assert checked["ok"]
    assert any("wake nobody" in warning for warning in checked["warnings"])


def test_check_send_proves_each_contact(shell: Shell, ntfy: Ntfy) -> None:  # noqa: F811
    channels = f"channels: {{push: {{kind: ntfy, url: '{ntfy.url}', token: {TOKEN}}}}}\n"
    policy(shell, "{channel: push, address: ada}, {channel: log}", more=channels)
    sent = shell.json("check", "--send")["sent"]
    assert [(one["person"], one["channel"], one["arrived"]) for one in sent] == [
        ("ada", "push", True),
        ("ada", "log", True),
        ("ben", "push", True),
    ]
    assert [one["priority"] for one in ntfy.published] == [3, 3]

    ntfy.trouble.code = 500
    assert "ada by push: no (HTTP 500)" in shell("check", "--send", code=1).stdout


def test_an_empty_reference_never_leads_to_the_public_server(shell: Shell) -> None:  # noqa: F811
    policy(shell, "{channel: push, address: ada}", more="channels: {push: {kind: ntfy, url: env:NTFY_URL}}\n")

    assert any("push is not set up (NTFY_URL is empty)" in note for note in shell.json("check")["notes"])


def test_the_vcard_names_the_senders_that_phones_let_through(shell: Shell) -> None:  # noqa: F811
    channels = (
        "channels: {email: {kind: email, url: 'smtp://127.0.0.1', from: 'Pages <pages@example.org>'},"
        " push: {kind: ntfy}}\norganisation: {name: 'Shop; Söhne, and everybody else who has to hear of it at night'}\n"
    )
    policy(shell, "{channel: push, address: ada}", more=channels)

    card = shell.json("contacts.vcf")["vcard"]

    lines = card.split("\r\n")
    assert lines[:2] == ["BEGIN:VCARD", "VERSION:4.0"]
    assert lines[-2:] == ["END:VCARD", ""]
    assert all(len(line.encode()) <= 75 for line in lines)
    whole = card.replace("\r\n ", "")
    assert "ORG:Shop\\; Söhne\\, and everybody" in whole
    assert "EMAIL;TYPE=work:pages@example.org\r\n" in whole
    assert "NOTE:Let through at night: the app ntfy" in whole
