"""Grafana Alerting's webhook contact point: Alertmanager's body, with the measured values and a dashboard beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from incidents.alerts import Alert, clean_line
from webhooks.sources import alertmanager
from webhooks.sources.reading import link, number, text

SIGNATURE, TIMESTAMP = "X-Grafana-Alerting-Signature", "X-Grafana-Alerting-Timestamp"
DATASOURCE = {"DatasourceNoData": "No data", "DatasourceError": "Data source error"}


def parse(source: str, body: bytes, headers: Mapping[str, str]) -> list[Alert]:
    """As Alertmanager's, so that only what an entry itself says resolves it."""
    entries = alertmanager.entries_of(source, body, headers)
    return [_alert(alertmanager.alert_of(source, entry), entry) for entry in entries]


def _alert(alert: Alert, entry: Mapping[str, Any]) -> Alert:
    addresses = {"dashboard": link(entry.get("dashboardURL")), "panel": link(entry.get("panelURL"))}
    found = {name: address for name, address in addresses.items() if address}
    value = alert.value if alert.value is not None else _measured(entry.get("values"))
    return replace(alert, title=_title(alert), value=value, annotations={**found, **alert.annotations})


def _title(alert: Alert) -> str:
    """A rule without data fires as an alert of Grafana's own, with the rule's name in another label."""
    what, rule = DATASOURCE.get(alert.labels.get("alertname", "")), clean_line(alert.labels.get("rulename", ""))
    return f"{what}: {rule}"[:200] if what and rule else alert.title


def _measured(values: Any) -> float | None:
    """The first of a rule's expressions that is a number: A is what was asked, later ones are what was made of it."""
    if not isinstance(values, dict):
        return None
    return next((found for name in sorted(values) if (found := number(text(values[name]))) is not None), None)
