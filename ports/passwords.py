"""Passwords: argon2id hashes, checked in the same time whether there is an account or not."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

SHORTEST, LONGEST = 12, 500
AT_ONCE = threading.BoundedSemaphore(2)  # each takes 19 MiB and a core: a flood of tries must not take the machine

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's least for argon2id
_NOBODY = _HASHER.hash("nobody has this password, and checking it takes as long as any other")


def hash_password(password: str) -> str:
    with AT_ONCE:
        return _HASHER.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Without a stored hash the work is done all the same: the time says nothing about who has an account."""
    with AT_ONCE:
        try:
            return _HASHER.verify(stored or _NOBODY, password[:LONGEST]) and stored is not None
        except (Argon2Error, InvalidHashError):
            return False


def fault_of(password: str, login: str) -> str:
    """Why a new password is not taken; empty where it is. Length counts, not kinds of characters."""
    if len(password) < SHORTEST:
        return f"A password has at least {SHORTEST} characters; several words are easiest. Nothing was changed."
    if len(password) > LONGEST:
        return f"A password has at most {LONGEST} characters. Nothing was changed."
    if login.lower() in password.lower() and len(password) < len(login) + 8:
        return "The password is hardly more than the login. Nothing was changed. Choose another."
    if len(set(password)) < 5:
        return "The password repeats a few characters. Nothing was changed. Choose another."
    return ""
