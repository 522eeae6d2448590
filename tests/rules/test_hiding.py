"""What the policy page hides: whatever proves something and is written in clear, in whatever way YAML lets one."""

from __future__ import annotations

import pytest

from console.hiding import HIDDEN, without_secrets

SECRET = "hunter2-Zq81"


@pytest.mark.parametrize(
    "text",
    [
        f"secret: {SECRET}",
        f'secret: "{SECRET}"',
        f"  token: '{SECRET}'  # ours",
        f"channels: {{phone: {{kind: webhook, secret: {SECRET}}}}}",
        f"channels: {{phone: {{secret: {SECRET}, kind: webhook}}, other: {{token: {SECRET}}}}}",
        f"token: |\n  {SECRET}\n  {SECRET}\nroom: x",
        f"token: >-\n  {SECRET}\n\n  {SECRET}",
        f"url: smtp://firedoor:{SECRET}@mail.example.com:587",
        f"about: see https://me:{SECRET}@example.com/x",
        f"address: https://hooks.example.com/services/T0/B0/{SECRET}",
        f"address: pover://{SECRET}@{SECRET}",
        f"- {{channel: pushover, address: {SECRET}}}",
        f"password : {SECRET}",
        f'"secret": "{SECRET}"',
        f"SECRET: {SECRET}",
    ],
)
def test_a_secret_in_clear_is_hidden(text: str) -> None:
    shown = "\n".join(without_secrets(text))

    assert SECRET not in shown
    assert HIDDEN in shown
    assert len(shown.splitlines()) == len(text.splitlines()), "each fault still stands at its line"


@pytest.mark.parametrize(
    "text",
    [
        "secret: env:FIREDOOR_PHONE_SECRET",
        "token: file:/run/secrets/slack",
        "address: ada@example.com",
        "url: https://ntfy.example.com/",
        "  P0: {label: production down}",
        "# secret: how to write one",
        "- {after: 5m, page: tech_lead}",
    ],
)
def test_what_proves_nothing_is_shown(text: str) -> None:
    assert without_secrets(text) == [text]
