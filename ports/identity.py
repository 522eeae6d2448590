"""The identity provider: OpenID Connect by discovery, with PKCE, a nonce, and an ID token that is checked here.

Authlib and what it brings are an extra: imported when a provider is set up, and refused with a sentence without it.
"""

from __future__ import annotations

import importlib
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests

INSTALL = "pip install 'firedoor[oidc]'"
# Never `none`, and none that a secret of ours would verify.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
SCOPES = ("openid", "email", "profile", "groups")
TIMEOUT = 5.0
LEEWAY = 60  # seconds that two clocks may differ
KNOWN_FOR = timedelta(hours=1)
SILENT_FOR = timedelta(seconds=10)
A_MOMENT = 0.2  # seconds for another thread's question: its asker is not ours, and a thread is
SILENT = "The identity provider does not answer. Sign in by a one-time link."


class NotSignedIn(Exception):
    """The provider did not vouch for anybody. The sentence says why, and holds nothing that is secret."""


@dataclass(frozen=True, slots=True)
class Begun:
    """One way to the provider and back: the address, and what must come back or stays here."""

    url: str
    state: str
    nonce: str
    verifier: str


class Provider:
    """One issuer, and who we are to it. Nothing is asked before somebody wants to sign in."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, redirect_uri: str) -> None:
        self.issuer = issuer
        self._client_id, self._client_secret, self._redirect_uri = client_id, client_secret, redirect_uri
        try:
            self._client = importlib.import_module("authlib.integrations.requests_client").OAuth2Session
            self._jwt = importlib.import_module("joserfc.jwt")
            self._keys = importlib.import_module("joserfc.jwk").KeySet
        except ImportError:
            raise ValueError(
                f"FIREDOOR_OIDC_ISSUER is set, and the package authlib is not installed: {INSTALL}"
            ) from None
        self._knowing = threading.Lock()
        self._silent_at: datetime | None = None
        self._known: tuple[datetime, Mapping[str, Any]] | None = None

    def begin(self, now: datetime) -> Begun:
        """The address to send a browser to."""
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        endpoint = self._endpoint("authorization_endpoint", now)
        with self._session() as session:
            url, state = session.create_authorization_url(endpoint, nonce=nonce, code_verifier=verifier)
        return Begun(url, state, nonce, verifier)

    def finish(self, code: str, *, verifier: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        """Who it is: the claims of a checked ID token. Raises NotSignedIn."""
        endpoint = self._endpoint("token_endpoint", now)
        try:
            with self._session() as session:
                told = session.fetch_token(endpoint, code=code, code_verifier=verifier, timeout=TIMEOUT)
        except Exception as error:  # Authlib's own, and whatever a provider's answer makes of it
            raise NotSignedIn("The identity provider did not take the code back. You are not signed in.") from error
        token = told.get("id_token")
        if not isinstance(token, str):
            raise NotSignedIn("The identity provider sent no ID token. You are not signed in.")
        return self._checked(token, nonce, now)

    def _checked(self, token: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        """Signed by one of its keys, for us, now, and for this very sign-in."""
        try:
            keys = self._keys.import_key_set(self._fetched(self._endpoint("jwks_uri", now)))
            claims: Mapping[str, Any] = self._jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            registry = self._jwt.JWTClaimsRegistry(
                now=int(now.timestamp()),
                leeway=LEEWAY,
                iss={"essential": True, "value": self.issuer},
                sub={"essential": True},
                aud={"essential": True, "value": self._client_id},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            registry.validate(claims)
        except NotSignedIn:
            raise
        except Exception as error:  # joserfc's own: a signature, a key, an expiry, a claim
            raise NotSignedIn(
                f"The identity provider's ID token was not accepted ({type(error).__name__}). You are not signed in."
            ) from error
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self._client_id:
            raise NotSignedIn("The identity provider's ID token was made for another program. You are not signed in.")
        return claims

    def _endpoint(self, name: str, now: datetime) -> str:
        url = str(self._what_it_says(now).get(name) or "")
        if urlsplit(url).scheme != urlsplit(self.issuer).scheme:  # https, but for a trial on this machine
            raise NotSignedIn(f"The identity provider names no {name} that may be used. You are not signed in.")
        return url

    def _what_it_says(self, now: datetime) -> Mapping[str, Any]:
        """Asked for by one thread at a time, and not again at once where nobody answered: strangers can ask this."""
        if self._known is not None and now - self._known[0] <= KNOWN_FOR:
            return self._known[1]
        if not self._knowing.acquire(timeout=A_MOMENT):
            raise NotSignedIn(SILENT)
        try:
            if self._silent_at is not None and now - self._silent_at < SILENT_FOR:
                raise NotSignedIn(SILENT)
            self._silent_at = now
            self._known = (now, self._discovered())
            self._silent_at = None
            return self._known[1]
        finally:
            self._knowing.release()

    def _discovered(self) -> Mapping[str, Any]:
        found = self._fetched(f"{self.issuer}/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != self.issuer:
            raise NotSignedIn("The identity provider calls itself by another name. You are not signed in.")
        return found

    def _fetched(self, url: str) -> Mapping[str, Any]:
        try:
            with requests.get(url, timeout=TIMEOUT, allow_redirects=False) as answer:
                found = answer.json() if answer.status_code == 200 else None
        except (requests.RequestException, ValueError) as error:
            raise NotSignedIn(SILENT) from error
        if not isinstance(found, dict):
            raise NotSignedIn("The identity provider does not answer as it should. Sign in by a one-time link.")
        return found

    def _session(self) -> Any:
        """Some providers refuse a scope that they don't know: `groups` is asked for where it is offered."""
        offered = (self._known[1].get("scopes_supported") if self._known else None) or ()
        return self._client(
            self._client_id,
            self._client_secret,
            scope=" ".join(one for one in SCOPES if one != "groups" or one in offered),
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
        )
