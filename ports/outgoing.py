"""Calls to addresses that a policy names: resolved once, looked at, and only then connected to.

No spelling of an address, no redirect and no name server that answers differently the second time gets around that:
the connection goes to the very address that was looked at, under the name that the URL says (Host, SNI, certificate).
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Whatever the operator allows: where clouds hand out credentials, what means "this machine" by accident, what is no
# single machine.
NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32", "168.63.129.16/32",
        "192.0.0.192/32", "::/128", "fe80::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128",
    )
)  # fmt: skip
OWN_NETWORKS = "own-networks"  # the setting's word for: loopback and private networks, as small teams have them
MOST_ADDRESSES = 4  # of a name: they share the time that one would have
LEAST = 1.5  # seconds for each of them: a road of that length is slow, and not dead
KEPT = 4  # connections to a host that stay open; what a burst needs beyond is closed after it
ONE_ALONE = 3.0  # where the caller says nothing
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_allowed: tuple[Network, ...] | None = None  # None: every network of our own


class ForbiddenAddress(Exception):
    """The URL leads to an address that nothing of ours goes to."""


def allow(networks: Sequence[Network] | None) -> None:
    """For this whole process: which networks beside the public internet may be called; None for all of our own."""
    global _allowed
    _allowed = None if networks is None else tuple(networks)


def read_networks(text: str) -> list[Network] | None:
    """The setting: `own-networks`, `none`, or networks such as `10.0.0.0/8, 127.0.0.1`. Raises ValueError."""
    words = [one for one in text.replace(",", " ").split() if one]
    if words == [OWN_NETWORKS]:
        return None
    return [] if words == ["none"] else [ipaddress.ip_network(one, strict=False) for one in words]


def is_forbidden(text: str) -> str:
    """Why nothing of ours goes to this address; empty where it may be called."""
    address = ipaddress.ip_address(text.partition("%")[0])
    for one in _meanings(address):
        if any(one in network for network in NEVER):
            return "is a link-local, metadata or unusable address: nothing goes there"
        if _allowed is not None and not one.is_global and not any(one in network for network in _allowed):
            return "is inside a network that FIREDOOR_OUTGOING does not allow"
    return ""


def _meanings(address: Address) -> Iterator[Address]:
    """The address itself, and the IPv4 one that it stands for, however it was wrapped."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    number = int(address)
    wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64 or (number >> 32 == 0 and number > 1):  # ::127.0.0.1, as of old
        wrapped.append(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    inside = [one for one in wrapped if one is not None]
    yield from inside
    if address.ipv4_mapped is None:
        yield address


def session(*, trust_env: bool = False) -> requests.Session:
    """A session, for any threads: it remembers connections alone, and lends the one that came back last.

    Without the environment: no proxy, .netrc or password that the policy did not name.
    """
    made = requests.Session()
    made.trust_env = trust_env
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # one for all threads, and nobody needs them
    for scheme in ("http://", "https://"):
        made.mount(scheme, _GuardedAdapter(pool_maxsize=KEPT))
    return made


class _Guarded(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """To the first address of the name that takes us, within little more than the time that one alone would have.

        Each gets its share of that and never less than `LEAST`; where none is left, the last one is tried at once.
        """
        named, whole = self._dns_host, self.timeout
        *others, last = self._looked_at(named)
        del others[MOST_ADDRESSES - 1 :]
        limit = float(whole) if isinstance(whole, int | float) else ONE_ALONE
        share, ends = max(limit / (len(others) + 1), LEAST), time.monotonic() + limit
        try:
            for address in others:
                left = ends - time.monotonic()
                if left < share / 2:
                    break
                self.timeout = min(share, left)
                try:
                    return self._connected(address, named, limit)
                except ConnectTimeoutError:  # and whatever refuses: urllib3 says that as a kind of it
                    continue
            self.timeout = max(ends - time.monotonic(), LEAST)
            return self._connected(last, named, limit)
        finally:
            self.timeout = whole

    def _connected(self, address: str, named: str, limit: float) -> socket.socket:
        """To that very address, under the name; and once more a look at who is at the other end."""
        try:
            self._dns_host = address
            connected = super()._new_conn()
        finally:
            self._dns_host = named
        why = is_forbidden(str(connected.getpeername()[0]))
        if why:
            connected.close()
            raise ForbiddenAddress(f"{_shown(named)} {why}")
        connected.settimeout(limit)  # greeting each other in TLS has as long as before, whatever this one's share was
        return connected

    def _looked_at(self, name: str) -> list[str]:
        """The addresses of the name that may be called; the name itself where it has none, for the usual fault."""
        try:
            found = socket.getaddrinfo(name.strip("[]").rstrip("."), self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return [name]
        addresses = [str(one[4][0]) for one in found]
        refused = [is_forbidden(one) for one in addresses]
        allowed = [one for one, why in zip(addresses, refused, strict=True) if not why]
        if not allowed:
            raise ForbiddenAddress(f"{_shown(name)} {refused[0]}")
        return allowed


def _shown(host: str) -> str:
    return "".join(each for each in host if each.isprintable())[:80]


class _GuardedTLS(_Guarded, HTTPSConnection):
    pass


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _GuardedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTLS


class _GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedPool, "https": _GuardedTLSPool}
