"""YAML files that users write, read as plain data plus the line of every value.

The accepted YAML is a deliberate subset: one document, at most `MAX_BYTES`, nested at most
`MAX_DEPTH` deep, without tags, anchors and aliases. Plain scalars follow the YAML 1.2 core schema
rather than YAML 1.1, so `no` is text and `1e-3` is a number.

Files of other tools (`tags`) may have named tags on mappings, anchors, aliases and merge keys.
What an alias repeats counts as values of the file, so that no file grows beyond `MAX_VALUES`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import yaml

from workloads.inputs.faults import MAX_FAULTS, Fault, InputError
from workloads.inputs.words import DocumentPath, field_name, printable, shown

MAX_BYTES: Final = 1 << 20
"""Largest file read, in bytes: a network of 10,000 layers fits, a file sent to hurt does not."""

MAX_DEPTH: Final = 32
"""Deepest nesting of lists and mappings; the reader recurses, so it needs a bound."""

MAX_VALUES: Final = 100_000
"""Most lists, mappings and scalars of a file, ten for each of 10,000 layers: one of two bytes takes
a thousand in memory where it is a fault."""

TAG: Final = "!"
"""Key of a mapping's tag, where tags are read."""

_MERGE_KEYS = ("<<", "<<<")

_MAX_DIGITS = 64  # far above any size or count, far below where int() turns quadratic

# libyaml reads 10,000 layers in a fraction of a second, PyYAML in seconds; it may be missing.
_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?[0-9]+\Z")

_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")

_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")

_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")

_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(slots=True)
class _Mark:
    """The line of a value, and the marks of what it contains."""

    line: int | None
    children: dict[str | int, _Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: `data` is dict, list, str, int, float, bool and None only."""

    file: str
    data: object
    _mark: _Mark

    def line(self, path: DocumentPath) -> int | None:
        """Return the line (from 1) of the key or element at `path`, or of its nearest parent."""
        mark = self._mark
        for part in path:
            child = mark.children.get(part)
            if child is None:
                break
            mark = child
        return mark.line

    def fault(self, path: DocumentPath, message: str, about: DocumentPath | None = None) -> Fault:
        """Return a `Fault` with the line of the value at `path`, named `about` where given."""
        return Fault(
            self.file, self.line(path), field_name(path if about is None else about), message
        )


def names_file(text: str, folder: Path = Path()) -> bool:
    """Return whether `text` means a file, where it may also be the name of something shipped.

    It does if it has a path separator, ends in `.yaml` or `.yml`, or is an existing file as seen
    from `folder`.
    """
    if "/" in text or "\\" in text or text.casefold().endswith((".yaml", ".yml")):
        return True
    try:
        return (folder / text).is_file()
    except (OSError, ValueError):  # too long, or with a null byte: no file, and no shipped name
        return False


def read_document(path: Path | str, tags: Collection[str] | None = None) -> Document:
    """Read the YAML file at `path`; `tags` as in `parse_document`.

    Raises `InputError` where `read_text` or `parse_document` does.
    """
    return parse_document(*read_text(path, "a YAML file"), tags)


def read_text(path: Path | str, kind: str) -> tuple[str, str]:
    """Return the text of the file at `path` and the name that faults carry; `kind` is what it is.

    Raises `InputError` where the file cannot be read: missing, a directory, unreadable, not a
    regular file, above `MAX_BYTES`, not UTF-8.
    """
    name = printable(str(path))

    def refuse(message: str) -> InputError:
        return InputError(Fault(name, None, "", message))

    try:
        path = Path(path)
        if path.is_dir():
            raise refuse(f"is a directory, not {kind}")
        size = path.stat().st_size
        if not path.is_file():  # a pipe or device may have no end
            raise refuse("is not a regular file")
        if size <= MAX_BYTES:
            with path.open("rb") as stream:
                raw = stream.read(MAX_BYTES + 1)  # the file may have grown since
            size = len(raw)
        if size > MAX_BYTES:
            raise refuse(f"is larger than the limit of {MAX_BYTES} bytes")
    except FileNotFoundError:
        raise refuse("no such file") from None
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}") from None
    except ValueError:  # a null byte in the path, which each Python words otherwise
        raise refuse("cannot be read: its name holds a null character") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(Fault(name, line, "", "is not UTF-8 text")) from None
    return text, name


def plain_document(data: object, file: str) -> Document:
    """Return plain data as a document without lines; `file` is the name that faults carry."""
    return Document(file, data, _Mark(None))


def parse_document(text: str, file: str, tags: Collection[str] | None = None) -> Document:
    """Parse the YAML document `text`; `file` is the name that faults carry.

    With `tags`, as `!Component`, the file is another tool's: a mapping with one of them has it
    under the key `TAG`, and anchors, aliases and the merge keys `<<` and `<<<` are followed.

    Raises `InputError` for text above `MAX_BYTES`, a syntax error, no document or several,
    duplicate or non-text keys, tags, anchors, aliases, nesting beyond `MAX_DEPTH`, more than
    `MAX_VALUES`, numbers that are not finite, and numbers with a leading zero (octal to YAML 1.1,
    decimal to YAML 1.2).
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InputError(Fault(file, None, "", "is not UTF-8 text")) from None
    if size > MAX_BYTES:
        raise InputError(Fault(file, None, "", f"is larger than the limit of {MAX_BYTES} bytes"))
    return _Reader(text, file, tags).read()


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None  # only events built by hand have none
    return event.start_mark.line + 1


def _height(mark: _Mark) -> int:
    return 1 + max(map(_height, mark.children.values())) if mark.children else 0


class _Reader:
    """One pass over the parser's events.

    Events, not PyYAML's composed nodes: the composer recurses without bound and expands aliases
    before anything could be refused. Faults are collected; `_stop` ends where going on is
    impossible.
    """

    def __init__(self, text: str, file: str, tags: Collection[str] | None) -> None:
        self._file = file
        self._text = text
        self._tags = tags
        # With the number of its values, and how deep they nest.
        self._anchors: dict[str, tuple[object, _Mark, int, int]] = {}
        self._faults: list[Fault] = []
        self._values = 0

    def read(self) -> Document:
        try:
            events: Iterator[yaml.Event] = iter(yaml.parse(self._text, Loader=_Loader))
            data, mark = self._document(events)
        except yaml.MarkedYAMLError as error:
            position = error.problem_mark or error.context_mark
            # libyaml reports a text that breaks off at the line after its last one.
            last = len(self._text.splitlines())
            line = None if position is None else min(position.line + 1, last)
            reason = error.problem or error.context or "syntax error"
            self._stop(line, (), f"not valid YAML: {reason}")
        except yaml.reader.ReaderError as error:
            self._stop(self._reader_line(error), (), "holds a character that YAML does not allow")
        if self._faults:
            raise InputError(*self._faults)
        return Document(self._file, data, mark)

    def _reader_line(self, error: yaml.reader.ReaderError) -> int | None:
        # libyaml counts bytes and PyYAML characters; only ASCII before the spot makes them agree.
        before = self._text[: error.position]
        return before.count("\n") + 1 if before.isascii() else None

    def _document(self, events: Iterator[yaml.Event]) -> tuple[object, _Mark]:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                break
        else:
            self._stop(None, (), "is empty")
        first = next(events)
        data, mark = self._value(first, events, ())
        if data is None and not self._faults:
            self._stop(None, (), "is empty")
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                line = _line(event)
                self._stop(line, (), "holds more than one YAML document; write one file for each")
        return data, mark

    def _value(
        self, event: yaml.Event, events: Iterator[yaml.Event], path: DocumentPath
    ) -> tuple[object, _Mark]:
        line = _line(event)
        self._values += 1
        if self._values > MAX_VALUES:
            self._stop(line, (), f"holds more than the limit of {MAX_VALUES} values")
        mark = _Mark(line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line, path)
        # Sure by the parser's grammar: an event in the place of a value starts one.
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        self._check_node(event, line, path)
        first = self._values
        data = self._content(event, events, path, mark)
        if event.anchor is not None:  # from here on, so that no value holds itself
            self._anchors[event.anchor] = data, mark, self._values - first, _height(mark)
        return data, mark

    def _alias(self, event: yaml.AliasEvent, line: int, path: DocumentPath) -> tuple[object, _Mark]:
        if self._tags is None:
            self._fault(line, path, f"alias *{event.anchor} is not allowed; repeat the value")
            return None, _Mark(line)
        if event.anchor not in self._anchors:
            self._stop(line, path, f"alias *{event.anchor} has no anchor that ends before it")
        data, mark, values, height = self._anchors[event.anchor]
        self._values += values
        if len(path) + height > MAX_DEPTH:
            self._stop(line, path[:1], f"nested deeper than {MAX_DEPTH} levels")
        if self._values > MAX_VALUES:
            self._stop(line, path[:1], f"aliases repeat more than the limit of {MAX_VALUES} values")
        return data, _Mark(line, mark.children)

    def _content(
        self,
        event: yaml.ScalarEvent | yaml.CollectionStartEvent,
        events: Iterator[yaml.Event],
        path: DocumentPath,
        mark: _Mark,
    ) -> object:
        line = _line(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, line, path)
        if len(path) >= MAX_DEPTH:
            # Not the path itself: 33 parts of it would bury the message.
            self._stop(line, path[:1], f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[object] = []
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                index = len(items)
                item, mark.children[index] = self._value(inner, events, (*path, index))
                items.append(item)
            return items
        entries = self._mapping(events, path, mark)
        if event.tag is not None:
            entries[TAG] = event.tag
        return entries

    def _mapping(
        self, events: Iterator[yaml.Event], path: DocumentPath, mark: _Mark
    ) -> dict[str, object]:
        entries: dict[str, object] = {}
        merged: list[tuple[int, object, _Mark]] = []
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                self._stop(line, path, "a key must be text, not a list, mapping or alias")
            self._check_node(event, line, path)
            key = self._scalar(event, line, path)
            if not isinstance(key, str):
                self._fault(line, path, f"key {event.value or 'null'} is not text; quote it")
                key = event.value
            value, child = self._value(next(events), events, (*path, key))
            if self._tags is not None and key in _MERGE_KEYS:
                merged.append((line, value, child))
                continue
            if key in entries:
                first = mark.children[key].line
                self._fault(line, (*path, key), f"is given twice, first in line {first}")
                continue
            child.line = line  # a value may start lines below its key; faults point at the key
            entries[key] = value
            mark.children[key] = child
        for line, value, child in merged:
            self._merge(entries, mark, line, value, child, path)
        return entries

    def _merge(
        self,
        entries: dict[str, object],
        mark: _Mark,
        line: int,
        value: object,
        child: _Mark,
        path: DocumentPath,
    ) -> None:
        """Add what a merge key brings in, one mapping or a list of them; own keys go first."""
        several = isinstance(value, list)
        for place, each in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(each, dict):
                self._fault(line, path, f"a merge key takes mappings, not {shown(each)}")
                continue
            children = child.children[place].children if several else child.children
            for key, item in each.items():
                if key not in entries:
                    entries[key] = item
                    if key in children:
                        mark.children[key] = children[key]

    def _scalar(self, event: yaml.ScalarEvent, line: int, path: DocumentPath) -> object:
        text = event.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._fault(line, path, "holds half of a surrogate pair, which is no character")
            return ""
        if not event.implicit[0]:  # quoted or a block: always text
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _NOT_FINITE.match(text):
            self._fault(line, path, f"must be a finite number, got {text}")
            return 0.0
        if not _FLOAT.match(text):
            return text
        if len(text) > _MAX_DIGITS:
            self._fault(line, path, f"a number of {len(text)} characters is too long")
            return 0
        if _LEADING_ZERO.match(text):
            sign = "-" if text.startswith("-") else ""
            plain = sign + (text.lstrip("+-0") or "0")
            hint = f"write {plain}, or '{text}' for text"
            self._fault(line, path, f"{text} starts with a zero; {hint}")
            return 0
        if _INT.match(text):
            return int(text)
        number = float(text)
        if not math.isfinite(number):
            self._fault(line, path, f"must be a finite number, got {text}")
        return number

    def _check_node(
        self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int, path: DocumentPath
    ) -> None:
        if event.tag is not None and not (
            self._tags is not None
            and event.tag in self._tags
            and isinstance(event, yaml.MappingStartEvent)
        ):
            short = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._fault(line, path, f"tag {shown(short)} is not allowed")
        if event.anchor is not None and self._tags is None:
            self._fault(line, path, f"anchor &{event.anchor} is not allowed; repeat the value")

    def _fault(self, line: int, path: DocumentPath, message: str) -> None:
        self._faults.append(Fault(self._file, line, field_name(path), message))
        if len(self._faults) >= MAX_FAULTS:
            raise InputError(*self._faults)

    def _stop(self, line: int | None, path: DocumentPath, message: str) -> NoReturn:
        raise InputError(*self._faults, Fault(self._file, line, field_name(path), message))
