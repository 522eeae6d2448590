"""Prometheus's alerting rules, read from the files that teams have: rule files, PrometheusRule, lists, ConfigMaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from incidents.alerts import clean_line

LARGEST = 10 * 1024 * 1024
LONGEST_LABEL = 1000
DEEPEST = 3  # a ConfigMap in a List holds a file of its own
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every scalar stays text: `for: 5m`, `severity: off`


class NotRules(ValueError):
    """A file that holds no alerting rules we can read, and why."""


@dataclass(frozen=True)
class AlertRule:
    """One alerting rule. Its labels and annotations may hold Go templates, which stay text."""

    name: str
    group: str
    expression: str
    lasts: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, str]:
        """What every alert of it carries: its labels without those that a template fills, or that nobody could read."""
        return {name: value for name, value in self.labels.items() if value and _is_plain(name) and _is_plain(value)}

    def said(self, *names: str) -> str:
        """The first of these annotations that is there."""
        return next((text for name in names if (text := self.annotations.get(name, "").strip())), "")


def is_template(text: str) -> bool:
    return "{{" in text


def _is_plain(text: str) -> bool:
    return text.isprintable() and not is_template(text) and len(text) <= LONGEST_LABEL


def read_rules(path: Path) -> list[AlertRule]:
    """All alerting rules of a file, in its order; recording rules are passed over. Raises NotRules."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise NotRules(f"it can't be read: {error}") from error
    rules = list(_rules_in_text(text, 0))
    if not rules:
        raise NotRules("it holds no alerting rule; accepted: rule files of Prometheus, PrometheusRule, lists of them")
    return rules


def _rules_in_text(text: str, depth: int) -> Iterator[AlertRule]:
    if len(text) > LARGEST:
        raise NotRules("it is larger than 10 MiB")
    try:
        documents = list(yaml.load_all(text, Loader=_LOADER))  # builds lists, maps and text, and nothing else
    except (yaml.YAMLError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where is not None else ""
        raise NotRules(f"it is not YAML{line}; a Helm template must be rendered first: helm template") from error
    for document in documents:
        yield from _rules_in(document, depth)


def _rules_in(document: Any, depth: int) -> Iterator[AlertRule]:
    if not isinstance(document, dict) or depth > DEEPEST:
        return
    spec = document.get("spec")
    for groups in (document.get("groups"), spec.get("groups") if isinstance(spec, dict) else None):
        yield from _rules_of(groups)
    for item in _list(document.get("items")):
        yield from _rules_in(item, depth + 1)
    if document.get("kind") == "ConfigMap" and isinstance(document.get("data"), dict):
        for name, text in document["data"].items():
            if str(name).endswith((".yaml", ".yml", ".rules")) and isinstance(text, str):
                yield from _rules_in_text(text, depth + 1)


def _rules_of(groups: Any) -> Iterator[AlertRule]:
    for group in _list(groups):
        if not isinstance(group, dict):
            continue
        common = _texts(group.get("labels"))  # since Prometheus 3.0 a group may label all its rules
        for rule in _list(group.get("rules")):
            if isinstance(rule, dict) and clean_line(_text(rule.get("alert"))):
                yield AlertRule(
                    name=clean_line(rule["alert"]),
                    group=_text(group.get("name")),
                    expression=_text(rule.get("expr")),
                    lasts=_text(rule.get("for")),
                    labels={**common, **_texts(rule.get("labels"))},
                    annotations=_texts(rule.get("annotations")),
                )


def _texts(value: Any) -> dict[str, str]:
    return (
        {name: _text(text) for name, text in value.items() if isinstance(name, str)} if isinstance(value, dict) else {}
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
