"""The actor that asks a provider what became of a page, and tells it to stop ringing once nobody is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from incidents.promises import NotNow, Outcome, Prepared
from worker.channels import Channel, WithReceipt


@dataclass
class Receipts:
    """Looks first, even at what is to be withdrawn: the person may have acknowledged it a moment ago."""

    channels: Callable[[], Mapping[str, Channel]]

    def __call__(self, prepared: Prepared, row: Row[Any], attempt: int) -> Outcome | NotNow:
        facts = prepared.facts
        channel: object = self.channels().get(facts["channel"])
        if not isinstance(channel, WithReceipt):
            return Outcome("no", f"the policy has no channel {facts['channel']} with receipts any more", permanent=True)
        again_after = timedelta(seconds=facts["again_after"])
        looked = channel.look(facts["receipt"])
        if looked.result != "yes":
            return replace(looked, retry_after=max(looked.retry_after or again_after, again_after))
        if facts["withdraw"] and facts["shared"] and looked.found.keys() & {"acknowledged", "expired"} == {"expired"}:
            # The receipt of another incident that it carried was faster: the provider calls it expired since then.
            return replace(looked, found={**looked.found, "withdrawn": facts["withdraw"]})
        if facts["withdraw"] and not looked.found.keys() & {"acknowledged", "expired"}:
            withdrawn = channel.withdraw(facts["receipt"])
            return replace(withdrawn, found={**looked.found, "withdrawn": facts["withdraw"]})
        if looked.found.keys() <= set(facts["known"]):
            return NotNow("nothing new of it", again_after)
        return looked
