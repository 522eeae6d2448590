"""The poison corpus: bodies that break parsers, databases, screens and mails, made here, for every kind of sender."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MIB = 2**20

# --- text that stands in a good body: in the title, in a label, in its name, in the service ---

TEXTS = {
    "nul": "a\u0000b",
    "nul_first": "\u0000",
    "high_surrogate": "a\ud800b",
    "low_surrogate": "\udfff",
    "swapped_surrogates": "\udc00\ud800",
    "crlf_header": "down\r\nBcc: eve@example.com\r\n\r\nbody",
    "lone_cr": "down\rup",
    "right_to_left": "\u202egpj.exe\u202c",
    "isolates": "\u2066\u2067\u2069",
    "line_separators": "a\u2028b\u2029c\u0085d",
    "zero_width": "\u200b\u200d\ufeff",
    "bell_and_escape": "\u0007\u001b[2J\u001b]0;pwned\u0007",
    "c1_controls": "\u009b31m\u0090",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "private_use": "\ue000\U000f0000",
    "zalgo": "x" + "\u0300\u0336" * 300,
    "emoji": "👩‍👩‍👧‍👦🏴‍☠️",
    "only_space": " \t\n\u00a0\u3000",
    "quotes": "'\"`\\",
    "sql": "'); DROP TABLE alert; --",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "jinja": "{{ 7*7 }}{% raise %}{{ ''.__class__.__mro__ }}",
    "format_fields": "{0.__class__} {name!r} %s %n %(x)s $x ${x}",
    "jndi": "${jndi:ldap://127.0.0.1/a}",
    "slack": "<!channel> <@U1> *b* _i_ &amp;",
    "markdown": "[click](javascript:alert(1)) ![x](http://127.0.0.1/) # h",
    "path": "../../etc/passwd",
    "address": "https://user:pw@127.0.0.1:1/\u0000",
    "number_like": "1e999",
    "yaml": "!!python/object/apply:os.system ['true']",
    "matcher": 'x="y", z=~"(a+)+$"',
    "regex": "a" * 5000 + "!",
    "one_word": "w" * 200_000,
    "percent": "%00%0d%0a%F0%9F",
}

# --- bytes instead of a good body: (bytes, headers) ---

DEEP = 20_000


def _packed(body: bytes) -> tuple[bytes, dict[str, str]]:
    return body, {"Content-Encoding": "gzip"}


RAW: dict[str, Callable[[], bytes | tuple[bytes, dict[str, str]]]] = {
    "empty": lambda: b"",
    "space": lambda: b" \n\t",
    "null": lambda: b"null",
    "true": lambda: b"true",
    "number": lambda: b"4",
    "string": lambda: b'"firing"',
    "empty_list": lambda: b"[]",
    "empty_object": lambda: b"{}",
    "nested_lists": lambda: b"[" * DEEP + b"]" * DEEP,
    "nested_lists_open": lambda: b"[" * MIB,
    "nested_objects": lambda: b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "nested_behind_quotes": lambda: b'{"a": "\\"", "alerts": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "escapes_without_end": lambda: b'{"alerts": [' + b"[" * 99 + b'"' + b'\\"' * MIB,
    "digits": lambda: b'{"alerts": [], "value": ' + b"9" * 5000 + b"}",
    "nan": lambda: b'{"alerts": [{"labels": {}}], "value": NaN}',
    "infinity": lambda: b'{"data": -Infinity}',
    "huge_float": lambda: b'{"value": 1e999, "title": "x"}',
    "huge_exponent": lambda: b'{"value": 1e-999999999, "title": "x"}',
    "status_twice": lambda: b'{"alerts": [{"labels": {}, "status": "firing", "status": "resolved"}]}',
    "action_twice": lambda: b'{"action": "critical", "action": "resolved", "data": {"metric_alert": {}}}',
    "key_a_thousand_times": lambda: b"{" + b'"a": 1,' * 1000 + b'"a": 2}',
    "cut_short": lambda: b'{"alerts": [{"status": "firing", "la',
    "trailing_comma": lambda: b'{"alerts": [],}',
    "comment": lambda: b'{"alerts": [] /* none */}',
    "two_values": lambda: b'{"alerts": []}{"alerts": []}',
    "json_lines": lambda: b'{"title": "a"}\n{"title": "b"}\n',
    "single_quotes": lambda: b"{'alerts': []}",
    "not_utf8": lambda: b'{"title": "\xff\xfe\xc3"}',
    "overlong_utf8": lambda: b'{"title": "\xc0\xaf\xed\xa0\x80"}',
    "utf16": lambda: '{"alerts": []}'.encode("utf-16"),
    "latin1": lambda: '{"title": "büro"}'.encode("latin-1"),
    "byte_order_mark": lambda: b'\xef\xbb\xbf{"alerts": []}',
    "raw_control": lambda: b'{"title": "a\x00\x1bb"}',
    "all_bytes": lambda: bytes(range(256)) * 40,
    "form": lambda: b"payload=%7B%22alerts%22%3A%5B%5D%7D",
    "xml": lambda: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "html": lambda: b"<!doctype html><title>502 Bad Gateway</title>",
    "multipart": lambda: b'--x\r\nContent-Disposition: form-data; name="data"\r\n\r\n{}\r\n--x--\r\n',
    "prototype": lambda: b'{"__proto__": {"alerts": []}, "constructor": {"prototype": 1}}',
    "wrong_types": lambda: b'{"alerts": {"0": 1}, "data": [], "heartbeat": "x", "monitor": 7, "title": {"a": []}}',
    "nulls": lambda: b'{"alerts": null, "data": null, "title": null, "msg": null, "alert_title": null}',
    "entries_of_all_types": lambda: b'{"alerts": [null, 1, "a", [], {}, true]}',
    "gzip_no": lambda: _packed(b"not packed at all"),
    "gzip_cut": lambda: _packed(gzip.compress(b'{"alerts": []}' * 500)[:-9]),
    "gzip_rest": lambda: _packed(gzip.compress(b'{"alerts": []}') + b"rest"),
    "gzip_twice": lambda: _packed(gzip.compress(gzip.compress(b'{"alerts": []}'))),
    "gzip_bomb": lambda: _packed(gzip.compress(bytes(40 * MIB))),
    "gzip_unsaid": lambda: gzip.compress(b'{"alerts": []}'),
    "encoding_unknown": lambda: (b'{"alerts": []}', {"Content-Encoding": "br, \u00fcber"}),
    "too_large": lambda: b'{"title": "' + b"x" * (10 * MIB) + b'"}',
}

# --- good bodies of every kind, in which a text or a shape can be put ---


def _alertmanager(title: str, labels: dict[str, Any], n: int) -> Any:
    named = {**labels, "alertname": title}
    return {"version": "4", "alerts": [{"status": "firing", "labels": named, "annotations": {"summary": title}}]}


def _sentry(title: str, labels: dict[str, Any], n: int) -> Any:
    tags = [[name, value] for name, value in labels.items()]
    event = {"issue_id": str(n), "title": title, "level": "fatal", "tags": tags, "release": title, "url": title}
    return {"action": "triggered", "data": {"event": event, "triggered_rule": title}}


def _datadog(title: str, labels: dict[str, Any], n: int) -> Any:
    tags = ",".join(f"{name}:{value}" for name, value in labels.items())
    return {"alert_cycle_key": f"{n}{title}", "alert_title": title, "alert_type": "critical", "tags": tags}


def _uptime_kuma(title: str, labels: dict[str, Any], n: int) -> Any:
    tags = [{"name": name, "value": value} for name, value in labels.items()]
    return {"msg": title, "monitor": {"id": n, "name": title, "tags": tags}, "heartbeat": {"status": 0, "time": title}}


def _generic(title: str, labels: dict[str, Any], n: int) -> Any:
    return {"title": title, "fingerprint": f"{n}{title}", "labels": labels, "severity": "critical", "link": title}


SHAPES: dict[str, Callable[[str, dict[str, Any], int], Any]] = {
    "alertmanager": _alertmanager,
    "grafana": _alertmanager,
    "sentry": _sentry,
    "datadog": _datadog,
    "uptime_kuma": _uptime_kuma,
    "generic": _generic,
}


@dataclass(frozen=True)
class Poison:
    """One body for one kind of sender. An honest one holds an alert, which must come out of it as an alert."""

    kind: str
    name: str
    body: bytes
    headers: dict[str, str]
    honest: bool

    def __repr__(self) -> str:
        return f"{self.kind}: {self.name}"


@lru_cache(maxsize=1)  # the tests of one kind come together
def corpus(kind: str) -> tuple[Poison, ...]:
    """Every poison for one kind."""
    return tuple(_all(kind))


def _all(kind: str) -> Iterator[Poison]:
    shape = SHAPES[kind]
    for n, (name, text) in enumerate(TEXTS.items(), 1):
        labels = {"service": f"{text[:300]}-{n}", "severity": "critical", f"l{text[:300]}": text, "env": text[:300]}
        yield Poison(kind, f"text_{name}", json.dumps(shape(text, labels, n)).encode(), {}, honest=True)
    many = {f"label_{n}": str(n) for n in range(5000)}
    shapes: dict[str, dict[str, Any]] = {
        "label_of_nine_mebibytes": {"service": "large", "severity": "critical", "stack": "x" * (9 * MIB)},
        "label_of_300_kB_in_two_bytes": {"service": "wide", "severity": "critical", "stack": "é" * 50_000},
        "labels_5000": {"service": "many", "severity": "critical", **many},
        "labels_of_all_types": {"service": 7, "severity": "critical", "a": None, "b": [1], "c": {"d": {}}, "e": 2**70},
    }
    for n, (name, labels) in enumerate(shapes.items(), 900):
        yield Poison(kind, name, json.dumps(shape(f"poison {n}", labels, n)).encode(), {}, honest=True)
    for name, make in RAW.items():
        made = make()
        body, headers = made if isinstance(made, tuple) else (made, {})
        yield Poison(kind, f"raw_{name}", body, headers, honest=False)
