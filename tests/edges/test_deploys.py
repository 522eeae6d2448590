"""Deploys as GitHub, GitLab and Argo CD tell them: every capture through the real door, and what comes of it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from sqlalchemy import Row, select

from incidents import tables
from incidents.changes import Deploy, why_not
from incidents.errors import MalformedPayload
from incidents.policy import load_policy
from incidents.policykeys import PIPELINES
from tests.edges.test_spool import store_down
from tests.fixtures.anything import VALUE, tried
from tests.fixtures.desk import TOKEN, Desk, OpenDesk
from webhooks.deploys import DEPLOYS, READERS, read
from webhooks.sources import NotCounted

PAYLOADS = Path(__file__).parent.parent / "payloads"
SECRETS = {
    "github": "github-webhook-secret",
    "gitlab": "plain-shared-token",
    "argocd": "intake-token",
}
SIGNING_TOKEN = "whsec_Z2l0bGFiLXNpZ25pbmctdG9rZW4tMzItYnl0ZXMtb2s="
COMMIT = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"
SHIPPED = {
    "github": ("deployment_status_success", "2026-11-21T03:58:00+00:00", "ada"),
    "gitlab": ("deployment_success", "2026-11-21T03:58:00+00:00", "Ada Example"),
    "argocd": ("on_deployed", "2026-11-21T03:57:40+00:00", ""),
}
NO_DEPLOY = {
    "github": {
        "ping": "The event ping is no deployment status",
        "deployment_created": "The event deployment is no deployment status",
        "deployment_status_in_progress": "The state is in_progress",
        "deployment_status_failure": "The state is failure",
    },
    "gitlab": {
        "deployment_running": "The status is running",
        "deployment_failed": "The status is failed",
        "deployment_canceled": "The status is canceled",
    },
    "argocd": {"on_sync_failed": "The phase is Failed", "on_health_degraded": "The health is Degraded"},
}

Connected = Callable[..., Desk]


@pytest.fixture
def connected(open_desk: OpenDesk, tmp_path: Path) -> Connected:
    """A desk whose deploys prove themselves by this secret."""

    def connect(secret: str, more: str = "", **source: Any) -> Desk:
        (tmp_path / "secret").write_text(secret)
        settings = {"kind": "deploys", "secret": {"file": str(tmp_path / "secret")}, **source}
        return open_desk(more=f"sources: {{deploys: {json.dumps(settings)}}}\n{more}")

    return connect


def captured(pipeline: str, name: str) -> tuple[bytes, dict[str, str]]:
    """The body byte for byte, and the headers that it came with."""
    path = PAYLOADS / pipeline / name
    lines = path.with_suffix(".headers").read_text().partition("\n\n")[0].splitlines()[1:]
    headers = dict(line.split(": ", 1) for line in lines)
    return path.with_suffix(".json").read_bytes(), {
        name: value for name, value in headers.items() if name not in ("Host", "Content-Length")
    }


def send(desk: Desk, pipeline: str, body: bytes, headers: dict[str, str]) -> Any:
    answer = desk.client.post(f"/hooks/deploys/{pipeline}", data=body, headers=headers)
    desk.settle()
    return answer


def signed(body: bytes, secret: str = SECRETS["github"], **headers: str) -> dict[str, str]:
    """As GitHub signs it."""
    made = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    told = {"Content-Type": "application/json", "X-GitHub-Event": "deployment_status", "X-Hub-Signature-256": made}
    return {**told, **{name.replace("_", "-"): value for name, value in headers.items()}}


def status(**changes: Any) -> bytes:
    """GitHub's success with parts of it otherwise."""
    said = json.loads(captured("github", "deployment_status_success")[0])
    for place, value in changes.items():
        *way, last = place.split("__")
        part = said
        for name in way:
            part = part[name]
        part[last] = value
    return json.dumps(said).encode()


def changes(desk: Desk) -> list[Row[Any]]:
    with desk.house.database.read() as work:
        return list(work.session.execute(select(tables.change).order_by(tables.change.c.id)))


def test_every_pipeline_of_the_design_has_an_address() -> None:
    assert set(PIPELINES) == set(READERS)
    assert set(DEPLOYS) == {f"deploys/{pipeline}" for pipeline in PIPELINES}


@pytest.mark.parametrize("pipeline", SHIPPED)
def test_a_deploy_that_succeeded_is_kept_once_with_who_what_and_when(connected: Connected, pipeline: str) -> None:
    name, at, by = SHIPPED[pipeline]
    desk = connected(SECRETS[pipeline])

    for _ in range(2):
        assert send(desk, pipeline, *captured(pipeline, name)).status_code == 202

    (change,) = changes(desk)
    assert (change.source, change.service, change.kind) == (f"deploys/{pipeline}", "checkout", "deploy")
    assert (change.at, change.by, change.commit) == (datetime.fromisoformat(at), by, COMMIT)
    assert change.version == ("4.7.1" if pipeline == "argocd" else "c0ffee00")
    assert pipeline == "argocd" or change.link.startswith("https://git")


@pytest.mark.parametrize("pipeline", NO_DEPLOY)
def test_what_is_no_deploy_is_answered_with_the_reason(connected: Connected, pipeline: str) -> None:
    desk = connected(SECRETS[pipeline])

    for name, why in NO_DEPLOY[pipeline].items():
        answer = send(desk, pipeline, *captured(pipeline, name))
        assert (answer.status_code, answer.get_json()["accepted"]) == (202, None)
        assert why in answer.get_json()["ignored"]
    assert changes(desk) == []


@pytest.mark.parametrize("pipeline", SHIPPED)
def test_nobody_else_can_say_what_was_deployed(connected: Connected, pipeline: str) -> None:
    desk = connected("another-secret-than-theirs")
    body, headers = captured(pipeline, SHIPPED[pipeline][0])
    bare = {"Content-Type": "application/json", "Authorization": "Bearer guessed"}

    assert [send(desk, pipeline, body, one).status_code for one in (headers, bare)] == [401, 401]
    assert changes(desk) == []


def test_github_signs_the_very_bytes_of_either_content_type(connected: Connected) -> None:
    desk = connected(SECRETS["github"])
    form = urlencode({"payload": status().decode()}).encode()

    answer = send(desk, "github", form, signed(form, Content_Type="application/x-www-form-urlencoded"))
    forged = send(desk, "github", status(deployment__sha="0" * 40), signed(status()))

    assert (answer.status_code, forged.status_code) == (202, 401)
    assert [change.commit for change in changes(desk)] == [COMMIT]


@pytest.mark.parametrize("header", ["", "sha256=", "v1,"])
def test_a_signature_without_a_signature_is_none(connected: Connected, header: str) -> None:
    desk = connected(SECRETS["github"])

    assert send(desk, "github", status(), {"X-Hub-Signature-256": header}).status_code == 401


def test_gitlab_is_known_by_its_signing_token_and_then_by_nothing_weaker(connected: Connected) -> None:
    desk = connected(SIGNING_TOKEN)
    body, headers = captured("gitlab", "deployment_success")
    unsigned = {name: value for name, value in headers.items() if name != "webhook-signature"}
    both = f"v1,{base64.b64encode(b'x' * 32).decode()} {headers['webhook-signature']}"

    assert send(desk, "gitlab", body, unsigned).status_code == 401
    assert send(desk, "gitlab", body.replace(b"success", b"succes5"), headers).status_code == 401
    assert send(desk, "gitlab", body, {**headers, "webhook-id": "another"}).status_code == 401
    assert send(desk, "gitlab", body, {**headers, "webhook-signature": both}).status_code == 202
    assert len(changes(desk)) == 1


def test_each_pipeline_may_have_a_secret_of_its_own(desk: Desk) -> None:
    own = "only-githubs-own-secret-of-32-characters"
    desk.house.settings.environ["FIREDOOR_DEPLOYS_GITHUB_SECRET"] = own  # type: ignore[index]

    assert send(desk, "github", status(), signed(status(), TOKEN)).status_code == 401
    assert send(desk, "github", status(), signed(status(), own)).status_code == 202
    desk.deploys("mail", "v1")
    assert [change.service for change in changes(desk)] == ["checkout", "mail"]


MONOREPO = """
services:
  till: {repository: "https://github.com/Acme/Checkout.git"}
  cart: {deployed_as: [acme/checkout]}
  mail: {repository: "https://github.com/acme/checkout-mail"}
"""


def test_a_repository_stands_for_every_service_that_names_it(connected: Connected) -> None:
    desk = connected(SECRETS["github"], MONOREPO)

    send(desk, "github", status(), signed(status()))
    send(desk, "github", status(), signed(status()))

    assert [change.service for change in changes(desk)] == ["till", "cart"]


@pytest.mark.parametrize(
    ("name", "services"),
    [
        ("acme/checkout", ["till", "cart"]),
        ("acme/checkout-mail", ["mail"]),
        ("other/checkout", ["checkout"]),
        ("cart-prod", ["cart-prod"]),
        ("group/sub/stock", ["stock"]),
    ],
)
def test_a_name_that_no_service_has_is_a_service_by_its_last_part(name: str, services: list[str]) -> None:
    policy = load_policy(MONOREPO, "p.yaml", lookup=lambda _: "")

    assert policy.services_deployed_as(name) == services


@pytest.mark.parametrize(
    ("environment", "flag", "own", "counts"),
    [
        ("production", True, [], True),
        ("prod-eu", False, [], True),
        ("Production / shop", None, [], True),
        ("staging", False, [], False),
        ("preprod", None, [], False),
        ("productive-test", None, [], False),
        ("eu-1", True, [], True),
        ("eu-1", False, ["eu-1", "eu-2"], True),
        ("production", True, ["eu-1"], False),
    ],
)
def test_only_production_counts(environment: str, flag: bool | None, own: list[str], counts: bool) -> None:
    body = status(deployment_status__environment=environment, deployment__production_environment=flag)

    why = why_not(READERS["github"](body, {}), own)

    assert counts is not bool(why)
    assert counts or why.startswith(f"The environment is {environment}: ")


def test_the_policy_says_which_environments_count_and_the_answer_says_so(connected: Connected) -> None:
    desk = connected(SECRETS["github"], environments=["eu-1"])
    ours = status(deployment_status__environment="eu-1", deployment__production_environment=False)

    told = [send(desk, "github", body, signed(body)).get_json() for body in (ours, status())]

    assert told[1]["ignored"] == "The environment is production: the policy counts eu-1."
    assert [change.service for change in changes(desk)] == ["checkout"]


def test_gitlabs_tier_says_what_is_production() -> None:
    body = json.loads(captured("gitlab", "deployment_success")[0])
    tiers = {"production": True, "staging": False, "": None}

    said = {tier: read("deploys/gitlab", json.dumps({**body, "environment_tier": tier}).encode(), {}) for tier in tiers}

    assert {tier: deploy and deploy.is_production for tier, deploy in said.items()} == tiers


@pytest.mark.parametrize(
    ("ref", "version"),
    [("v4.7.1", "v4.7.1"), ("refs/tags/2026.11.21", "2026.11.21"), ("main", "c0ffee00"), (COMMIT, "c0ffee00")],
)
def test_the_version_is_what_people_call_it(ref: str, version: str) -> None:
    deploy = read("deploys/github", status(deployment__ref=ref), {})

    assert deploy is not None
    assert deploy.version == version


@pytest.mark.parametrize(
    ("images", "version"),
    [
        (["r.example.com:5000/checkout:4.7.1"], "4.7.1"),
        (["r.example.com/proxy:1", "r.example.com/checkout:4.7.2"], "4.7.2"),
        (["r.example.com/proxy:1", "r.example.com/other:2"], "c0ffee00"),
        (["r.example.com/checkout@sha256:abc"], "c0ffee00"),
        (None, "c0ffee00"),
    ],
)
def test_argo_cds_version_is_the_tag_of_its_own_image(images: Any, version: str) -> None:
    body = {**json.loads(captured("argocd", "on_deployed")[0]), "images": images}
    deploy = read("deploys/argocd", json.dumps(body).encode(), {})

    assert deploy is not None
    assert deploy.version == version


@pytest.mark.parametrize("pipeline", ["github", "gitlab"])
def test_what_is_never_sent_again_waits_in_the_spool_while_the_store_is_down(
    connected: Connected, pipeline: str
) -> None:
    desk = connected(SECRETS[pipeline])

    with store_down(desk):
        answer = desk.client.post(
            f"/hooks/deploys/{pipeline}",
            **dict(zip(("data", "headers"), captured(pipeline, SHIPPED[pipeline][0]), strict=True)),
        )

    assert (answer.status_code, answer.get_json()) == (202, {"accepted": None, "spooled": True})
    assert desk.house.spool.facts()["deliveries"] == 1


def test_argo_cd_sends_again_what_was_not_taken(connected: Connected) -> None:
    desk = connected(SECRETS["argocd"])

    with store_down(desk):
        body, headers = captured("argocd", "on_deployed")
        assert desk.client.post("/hooks/deploys/argocd", data=body, headers=headers).status_code == 503


@tried(60, share=50)
@given(VALUE, VALUE)
def test_any_json_is_a_deploy_or_none_or_is_refused(value: Any, other: Any) -> None:
    bodies = {
        "github": {"deployment_status": {"state": "success", "environment": value, "log_url": other},
                   "deployment": {"sha": value, "ref": other, "id": value, "creator": other},
                   "repository": {"full_name": "a/b"}},
        "gitlab": {"object_kind": "deployment", "status": "success", "project": {"path_with_namespace": "a/b"},
                   "environment": value, "commit_url": other, "user": value, "status_changed_at": other},
        "argocd": {"app": "a", "phase": "Succeeded", "images": value, "revision": other, "finishedAt": value},
    }  # fmt: skip
    for pipeline, body in bodies.items():
        for one in (body, value):
            try:
                deploy = READERS[pipeline](json.dumps(one).encode(), {})
            except (MalformedPayload, NotCounted):
                continue
            assert isinstance(deploy, Deploy)
            assert all(len(text) <= 200 and "\x00" not in text for text in (deploy.version, deploy.by, deploy.commit))
