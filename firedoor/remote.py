"""Asks the running Firedoor: every command on an incident goes through its JSON API, by a token."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import click
import requests
from urllib3.exceptions import NewConnectionError

from firedoor import __version__
from firedoor.addresses import LOOPBACK
from firedoor.settings import Settings
from incidents.errors import FiredoorError

TIMEOUT = (3.05, 30)  # seconds: to connect, to answer


def _warn_of_plain_http(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        click.echo(f"{url} is not https: whoever is on the way can read the token.", err=True)


class Unreachable(FiredoorError):
    """Firedoor can't be reached. Nothing was done."""

    code = "unreachable"


class RefusedByServer(FiredoorError):
    """Firedoor refused it."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or "Firedoor refused it, and did not say why."))
        self.code = str(problem.get("code", "refused"))
        self.problem = dict(problem)


class Bearer(requests.auth.AuthBase):
    """Given as `auth`, or a .netrc entry for the host would replace the token."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["Authorization"] = f"Bearer {self.token}"
        return prepared


class Lost(requests.RequestException):
    """What was asked for may have been done: it was sent, and then nobody answered."""


def _never_connected(error: requests.RequestException) -> bool:
    """Whether nothing can have arrived: no connection was made at all."""
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(cause, NewConnectionError)


class Remote:
    """One Firedoor at an address."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.url
        if not settings.token:
            raise Unreachable(
                f"There is no API token, so {self.url} was not asked and nothing was done. "
                "Set FIREDOOR_TOKEN, or FIREDOOR_HOME to the folder of the Firedoor that runs here; "
                "`firedoor tokens new PERSON` makes a token."
            )
        self.token = settings.token
        _warn_of_plain_http(self.url)

    def get(self, *path: object, **query: object) -> Any:
        return self._ask("GET", path, params={name: value for name, value in query.items() if value not in (None, "")})

    def post(self, *path: object, **fields: object) -> Any:
        """Once, however often it is sent: the key lets a repeat after a lost answer get the first answer."""
        body = {name: value for name, value in fields.items() if value not in (None, "")}
        return self._ask("POST", path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())})

    def _ask(self, method: str, path: tuple[object, ...], **request: Any) -> Any:
        address = "/".join([f"{self.url}/api/v1", *(quote(str(part), safe="") for part in path)])
        with requests.Session() as session:
            session.trust_env = urlsplit(self.url).hostname not in LOOPBACK  # a proxy is never the way to ourselves
            session.headers["User-Agent"] = f"firedoor-cli/{__version__}"
            try:
                answer = self._send(session, method, address, request)
            except requests.RequestException as error:
                raise Unreachable(self._no_answer(error)) from error
        return self._read(answer)

    def _send(self, session: requests.Session, method: str, address: str, request: dict[str, Any]) -> requests.Response:
        """A lost answer is asked for once more. No redirect is followed: it could carry the token elsewhere.

        Raises Lost where the first try may have arrived and the second got no answer either.
        """
        told = {"timeout": TIMEOUT, "allow_redirects": False, "auth": Bearer(self.token), **request}
        try:
            return session.request(method, address, **told)
        except (requests.ConnectTimeout, requests.exceptions.SSLError, requests.exceptions.ProxyError):
            raise
        except (requests.ConnectionError, requests.ReadTimeout) as first:
            try:
                return session.request(method, address, **told)
            except requests.RequestException as second:
                if method == "GET" or _never_connected(first):
                    raise
                raise Lost from second

    def _no_answer(self, error: requests.RequestException) -> str:
        if isinstance(error, requests.exceptions.SSLError):
            return (
                f"{self.url} does not speak https, or shows a certificate that this machine does not trust. Nothing "
                "was sent, the token neither. Is FIREDOOR_URL right? For a CA of your own, set REQUESTS_CA_BUNDLE."
            )
        if isinstance(error, requests.exceptions.ProxyError):
            return f"The proxy on the way to {self.url} does not let us through. Nothing was done. See HTTPS_PROXY."
        if isinstance(error, (Lost, requests.ReadTimeout)):
            return f"{self.url} gave no answer. Whether it was done is not known: look before you repeat it."
        return (
            f"{self.url} can't be reached. Nothing was done. Is Firedoor running there (`firedoor up`), "
            "and is FIREDOOR_URL its address?"
        )

    def _read(self, answer: requests.Response) -> Any:
        if answer.is_redirect:
            raise Unreachable(
                f"{self.url} sends us on to {answer.headers.get('Location', 'nowhere')[:200]}. Nothing was done, and "
                "the token was not shown there. Set FIREDOOR_URL to the address that answers itself."
            )
        try:
            content = answer.json()
        except ValueError as error:
            raise Unreachable(
                f"{self.url} answered with status {answer.status_code} and without JSON: that is not Firedoor's API. "
                "Nothing was done, as far as can be known. Is FIREDOOR_URL right?"
            ) from error
        if answer.ok:
            return content
        content = content if isinstance(content, dict) else {}
        if answer.status_code in (502, 503, 504):
            unknown = f"{self.url} can't answer now. Whether it was done is not known: look before you repeat it."
            raise Unreachable(str(content.get("detail", unknown)))
        raise RefusedByServer(content)
