"""The book in force: the policy and the runbooks that every decision is made by."""

from __future__ import annotations

from dataclasses import dataclass

from incidents.policy import Policy
from incidents.runbooks import Library


@dataclass(frozen=True)
class Book:
    """One policy and one library of runbooks, read together and never changed afterwards."""

    policy: Policy
    runbooks: Library
