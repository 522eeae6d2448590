"""YAML as people write it: every scalar stays text, every fault is found at once, each with its line."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from incidents.errors import Fault, FaultsFound
from incidents.units import NotAccepted

LARGEST = 1024 * 1024
DEEPEST = 32
MOST_VALUES = 100_000  # counted after aliases are followed, so that no file unfolds into gigabytes

# libyaml where it was built in: ten times faster, the same events.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

Path = Sequence[str | int]
M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class Node:
    """One value with the line it is on; the children of a map or a list keep theirs."""

    value: Any
    line: int
    children: dict[str | int, Node] = field(default_factory=dict)
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read: its value (dict, list, str) and where each part of it stands."""

    root: Node

    @property
    def value(self) -> Any:
        return self.root.value

    def line(self, path: Path) -> int:
        """The line of what the path leads to, or of the last part of it that exists."""
        return self.nearest(path)[1].line

    def nearest(self, path: Path) -> tuple[tuple[str | int, ...], Node]:
        """Follow the path as far as the file goes; what names no child (pydantic's tags of a union) is passed over."""
        node = self.root
        walked: list[str | int] = []
        for part in path:
            if part in node.children:
                node = node.children[part]
                walked.append(part)
        return tuple(walked), node


def read_yaml(text: str, file: str, first_line: int = 1) -> Document:
    """Read one document; FaultsFound has all faults that its structure has."""
    reading = _Reading(file, first_line)
    text = text.removeprefix("\ufeff")
    if len(text) > LARGEST or len(text.encode("utf-8", "replace")) > LARGEST:
        raise FaultsFound([Fault(file, first_line, "The file is too large.", "at most 1 MiB")])
    try:
        text.encode("utf-8")
        root = reading.document(yaml.parse(text, Loader=_LOADER))
    except UnicodeEncodeError as wrong:
        reading.fault(text.count("\n", 0, wrong.start), "A character here is not valid Unicode")
    except yaml.reader.ReaderError as wrong:
        reading.fault(_line_of_character(text, wrong), "A control character is not allowed here")
    except yaml.MarkedYAMLError as wrong:
        mark: Any = wrong.problem_mark
        line = mark.line if mark is not None else 0
        reading.fault(line, f"This is not YAML: {wrong.problem or wrong.context}")
    if reading.faults:
        raise FaultsFound(reading.faults)
    return Document(root)


def _line_of_character(text: str, wrong: yaml.reader.ReaderError) -> int:
    """libyaml counts the bytes to the character, the reader in Python counts characters."""
    if _LOADER is yaml.BaseLoader:
        return text.count("\n", 0, wrong.position)
    return text.encode()[: wrong.position].count(b"\n")


class _TooMuch(Exception):
    """The document was given up on; its fault is written down."""


class _Reading:
    """Builds nodes from events; what is wrong is noted, and reading goes on where it can."""

    def __init__(self, file: str, first_line: int) -> None:
        self.file, self.first_line = file, first_line
        self.faults: list[Fault] = []
        self.anchors: dict[str, Node] = {}
        self.values = 0

    def fault(self, line: int, what: str, accepted: str = "") -> None:
        self.faults.append(Fault(self.file, line + self.first_line, f"{what}.", accepted))

    def document(self, events: Iterator[Any]) -> Node:
        root = Node({}, self.first_line)
        documents = 0
        event: Any
        try:
            for event in events:
                line = event.start_mark.line
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents == 2:
                        self.fault(line, "A second document begins here", "one document in a file")
                        raise _TooMuch
                elif isinstance(event, yaml.NodeEvent):
                    root = self.node(event, events, 1)
        except _TooMuch:
            pass
        return root

    def node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        line = event.start_mark.line
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, line, depth)
        if depth > DEEPEST:
            self.too_much(line, "This is nested too deeply", f"at most {DEEPEST} levels")
        if event.tag is not None and event.tag != "!":
            self.fault(line, f"The tag `{event.tag}` is not read here", "plain values without tags")
        if isinstance(event, yaml.ScalarEvent):
            made = Node(event.value, line + self.first_line)
        elif isinstance(event, yaml.SequenceStartEvent):
            made = self.sequence(line, events, depth)
        else:
            made = self.mapping(line, events, depth)
        self.count(1, line)
        if event.anchor is not None:
            self.anchors[event.anchor] = made
        return made

    def alias(self, event: Any, line: int, depth: int) -> Node:
        known = self.anchors.get(event.anchor)
        if known is None:
            self.fault(line, f"`*{event.anchor}` names no value above it", "an &anchor that comes earlier")
            return Node("", line + self.first_line)
        if depth + known.depth > DEEPEST:
            self.too_much(line, "This is nested too deeply", f"at most {DEEPEST} levels")
        self.count(known.size, line)
        return known

    def sequence(self, line: int, events: Iterator[Any], depth: int) -> Node:
        made = Node([], line + self.first_line)
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            self.put(made, len(made.value), self.node(event, events, depth + 1))
        made.value = [child.value for child in made.children.values()]
        return made

    def mapping(self, line: int, events: Iterator[Any], depth: int) -> Node:
        made = Node({}, line + self.first_line)
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            at = event.start_mark.line
            key = self.node(event, events, depth + 1)
            child = self.node(next(events), events, depth + 1)
            if not isinstance(key.value, str):
                self.fault(at, "A key must be plain text")
            elif key.value in made.children:
                first = made.children[key.value].line
                self.fault(at, f"`{key.value}` is written twice, first on line {first}", "each key once")
            else:
                # A value is found where its key stands; an alias has its own line in each place.
                stands = Node(child.value, at + self.first_line, child.children, child.size, child.depth)
                self.put(made, key.value, stands)
        made.value = {key: child.value for key, child in made.children.items()}
        return made

    def put(self, parent: Node, key: str | int, child: Node) -> None:
        parent.children[key if isinstance(key, str) else len(parent.children)] = child
        parent.size += child.size
        parent.depth = max(parent.depth, child.depth + 1)

    def count(self, values: int, line: int) -> None:
        self.values += values
        if self.values > MOST_VALUES:
            self.too_much(line, "The file has too many values", f"at most {MOST_VALUES}, with aliases followed")

    def too_much(self, line: int, what: str, accepted: str) -> None:
        self.fault(line, what, accepted)
        raise _TooMuch


def checked(model: type[M], document: Document, *, file: str) -> M:
    """The document as the model; FaultsFound has every fault, in the order of the lines."""
    try:
        return model.model_validate(document.value)
    except ValidationError as wrong:
        faults = {_fault(model, document, file, error): None for error in wrong.errors(include_url=False)}
        raise FaultsFound(sorted(faults, key=lambda fault: fault.line)) from None


_SHAPES = {
    "list_type": ("must be a list", "one `- …` line each, or [a, b]"),
    "tuple_type": ("must be a list", "one `- …` line each, or [a, b]"),
    "set_type": ("must be a list", "one `- …` line each, or [a, b]"),
    "frozen_set_type": ("must be a list", "one `- …` line each, or [a, b]"),
    "dict_type": ("must be a map", "`key: value` lines"),
    "model_type": ("must be a map", "`key: value` lines"),
    "mapping_type": ("must be a map", "`key: value` lines"),
    "string_type": ("must be text", "a single value, quoted where it has special characters"),
}


def _fault(model: type[BaseModel], document: Document, file: str, error: Any) -> Fault:
    """One sentence from one of pydantic's errors."""
    path, node = document.nearest(error["loc"])
    what, accepted = _said(model, path, node, error)
    return Fault(file, node.line, what.rstrip(".") + ".", accepted)


def _said(model: type[BaseModel], path: Path, node: Node, error: Any) -> tuple[str, str]:
    """What is wrong, and what is accepted instead."""
    kind, context, name = error["type"], error.get("ctx", {}), _spelled(path)
    if kind == "extra_forbidden":
        return f"Unknown key `{name}`", _meant(str(path[-1]), keys_at(model, path[:-1]))
    if kind == "missing":
        return f"`{_spelled((*path, str(error['loc'][-1])))}` is missing", ""
    if kind in ("literal_error", "enum"):
        return f"`{name}` can't be `{_short(node.value)}`", str(context.get("expected", "")).replace("'", "`")
    if isinstance(raised := context.get("error"), NotAccepted):
        return f"`{name}`: {raised.what}" if name else raised.what, raised.accepted
    if kind in _SHAPES:
        what, accepted = _SHAPES[kind]
        return f"`{name}` {what}" if name else f"The file {what}", accepted
    said = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"`{name}`: {said}" if name else said, ""


def _meant(key: str, known: Sequence[str]) -> str:
    """The keys that are accepted here, the likeliest first."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    listed = ", ".join(sorted(known))
    return f"did you mean `{near[0]}`? Known keys: {listed}" if near else listed


def _spelled(path: Path) -> str:
    """severities.P1.hears[0].within"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def keys_at(model: Any, path: Path) -> list[str]:
    """The keys that the model accepts at a path of the file; none where it takes any key."""
    models = list(_models(model))
    for part in path:
        models = [deeper for one in models for deeper in _models(_inside(one, part))]
    return sorted({_key(name, known) for one in models if _is_model(one) for name, known in one.model_fields.items()})


def _models(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation that have something inside: models, lists, maps."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for choice in get_args(annotation):
            yield from _models(choice)
    elif origin is not None and hasattr(annotation, "__metadata__"):
        yield from _models(get_args(annotation)[0])
    elif _is_model(annotation) or origin is not None:
        yield annotation


def _inside(annotation: Any, part: str | int) -> Any:
    if _is_model(annotation):
        return next(
            (known.annotation for name, known in annotation.model_fields.items() if _key(name, known) == part), None
        )
    inner = get_args(annotation)
    return (inner[0] if isinstance(part, int) else inner[-1]) if inner else None


def _key(name: str, known: Any) -> str:
    return str(known.validation_alias or known.alias or name)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
