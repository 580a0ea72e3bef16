"""YAML files that users write, read so that every fault names its file, line and field.

`read_document` turns a file into plain data plus the line of every value; `validate` checks that
data against a pydantic model. Both refuse with one `InputError` that carries all faults found.

The accepted YAML is a deliberate subset: one document, at most `MAX_BYTES`, nested at most
`MAX_DEPTH` deep, without tags, anchors and aliases. Plain scalars follow the YAML 1.2 core schema
rather than YAML 1.1, so `no` is text and `1e-3` is a number.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeAlias, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_BYTES: Final = 1 << 20
"""Largest file read, in bytes: a network of 10,000 layers fits, a file sent to hurt does not."""

MAX_DEPTH: Final = 32
"""Deepest nesting of lists and mappings; the reader recurses, so it needs a bound."""

MAX_VALUES: Final = 100_000
"""Most lists, mappings and scalars of a file, ten for each of 10,000 layers: one of two bytes takes
a thousand in memory where it is a fault."""

MAX_FAULTS: Final = 100
"""Faults told of a file: a hostile one would turn every byte into a line of output."""

_MAX_DIGITS = 64  # far above any size or count, far below where int() turns quadratic
_MAX_SHOWN = 60  # characters of a user's value repeated in a message
_MAX_KNOWN = 20  # names listed after "known:"

DocumentPath: TypeAlias = tuple[str | int, ...]
"""Keys and list indices from the top of a document to one value."""

M = TypeVar("M", bound=BaseModel)

# libyaml reads 10,000 layers in a fraction of a second, PyYAML in seconds; it may be missing.
_Loader: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?[0-9]+\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_NOT_PLAIN = re.compile(rb"[^\t\n\r -\[\]-~]")  # beyond ASCII, a control character or an escape
_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input, and where; empty parts are left out of its text."""

    file: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


class InputError(Exception):
    """An input is refused; `faults` holds every reason, and the text has one line for each."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)  # as args, so that it pickles across worker processes

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults, in the order they are to be shown."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


@dataclass(slots=True)
class _Mark:
    """Where a value stands: its line, and the marks of what it contains."""

    line: int
    children: dict[str | int, _Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: `data` is dict, list, str, int, float, bool and None only."""

    file: str
    data: object
    _mark: _Mark

    def line(self, path: DocumentPath) -> int | None:
        """Line (from 1) of the key or list element at `path`, or of its nearest existing parent."""
        mark = self._mark
        for part in path:
            child = mark.children.get(part)
            if child is None:
                break
            mark = child
        return mark.line

    def fault(self, path: DocumentPath, message: str) -> Fault:
        """A `Fault` about the value at `path`, with this file's name and the value's line."""
        return Fault(self.file, self.line(path), field_name(path), message)


def printable(text: str) -> str:
    """Return `text` with escapes in place of all that a terminal obeys or hides.

    These are control characters and escape sequences, line breaks, marks that turn the direction of
    writing, and half of a surrogate pair. Whatever stands in a file that is not checked by a model
    with `Line` goes through here before it is shown.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def read_json(raw: bytes, **options: Any) -> Any:
    """Return the value of a JSON text, every text in it `printable`; `options` of `json.loads`.

    Raises `ValueError` or `RecursionError` where it is no JSON.
    """
    found = json.loads(raw, **options)
    # Most files hold nothing to clean, and a walk through one takes seconds.
    return _cleaned(found) if _NOT_PLAIN.search(raw) else found


def _cleaned(data: Any) -> Any:
    """Make every text printable, in place: a second copy would take as much memory again."""
    if isinstance(data, str):
        return printable(data)
    if isinstance(data, list):
        for place, item in enumerate(data):
            if isinstance(item, str | list | dict):
                data[place] = _cleaned(item)
    elif isinstance(data, dict):
        for key in list(data):
            value = data[key] if key.isprintable() else data.pop(key)
            data[printable(key)] = _cleaned(value)
    return data


def path_part(name: str, taken: set[str]) -> str:
    """Return `name` as one part of a path that every file system takes, and add it to `taken`.

    Letters, digits, dots, hyphens and underscores of ASCII stay; no part begins or ends with a dot.
    A number tells it from the parts that are `taken`, in any case.
    """
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:80] or "layer"
    found, place = base, 2
    while found.casefold() in taken:
        found, place = f"{base}_{place}", place + 1
    taken.add(found.casefold())
    return found


def one_line(text: str) -> str:
    """Return the text of a field on one line.

    Raises `ValueError` where it is not printable: escape sequences would reach the user's terminal.
    """
    line = " ".join(text.split())
    if not line.isprintable():
        raise ValueError(f"must be printable text, got {shown(text)}")
    return line


Line: TypeAlias = Annotated[str, AfterValidator(one_line)]
"""Text of a YAML file that a terminal may show."""


def field_name(path: DocumentPath) -> str:
    """`path` as a user writes it: `("layers", 3, "stride")` is `layers[3].stride`."""
    name = ""
    for part in path:
        if isinstance(part, int):
            name += f"[{part}]"
            continue
        plain = part if part.isprintable() and len(part) <= _MAX_SHOWN else shown(part)
        name += f".{plain}" if name else plain
    return name


_LONGEST_PLAIN: Final = 100  # characters of a setting or path that a message repeats as they are


def shown(value: object) -> str:
    """`value` as an error message repeats it: YAML's words, escaped, and cut when long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def plain(text: str) -> str:
    """`text` as it is where it is short and printable, else as `shown`."""
    return text if text.isprintable() and len(text) <= _LONGEST_PLAIN else shown(text)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The entry of `known` that `name` most likely means, in any case; None if none is near."""
    if len(name) > _MAX_SHOWN:  # no typing error; difflib is quadratic
        return None
    folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[near[0]] if near else None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that does not exist: the likely one, then the known ones."""
    names = list(known)
    near = closest(name, names)
    suggestion = f"did you mean {near!r}? " if near is not None else ""
    return f"no {kind} {shown(name)}; {suggestion}known: {listed(names) or 'none'}"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many there are where that is not all."""
    more = f", ... ({len(names)} in all)" if len(names) > _MAX_KNOWN else ""
    return ", ".join(names[:_MAX_KNOWN]) + more


def exact(number: float) -> Fraction:
    """Return the number as it is written: 66.7 is 667/10, not the nearest binary fraction."""
    return Fraction(str(number))


def names_file(text: str, folder: Path = Path()) -> bool:
    """Whether `text` means a file, where a user may give the name of something shipped or a path.

    It does if it has a path separator, ends in `.yaml` or `.yml`, or is an existing file as seen
    from `folder`.
    """
    if "/" in text or "\\" in text or text.casefold().endswith((".yaml", ".yml")):
        return True
    try:
        return (folder / text).is_file()
    except (OSError, ValueError):  # too long, or with a null byte: no file, and no shipped name
        return False


def read_document(path: Path | str) -> Document:
    """The YAML file at `path`.

    Raises `InputError` where `read_text` or `parse_document` does.
    """
    return parse_document(*read_text(path, "a YAML file"))


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


def parse_document(text: str, file: str) -> Document:
    """The YAML document `text`; `file` is the name that faults carry.

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
    return _Reader(text, file).read()


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None  # only events built by hand have none
    return event.start_mark.line + 1


class _Reader:
    """One pass over the parser's events.

    Events, not PyYAML's composed nodes: the composer recurses without bound and expands aliases
    before anything could be refused. Faults are collected; `_stop` ends where going on is
    impossible.
    """

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._text = text
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
            self._fault(line, path, f"alias *{event.anchor} is not allowed; repeat the value")
            return None, mark
        # Sure by the parser's grammar: an event in the place of a value starts one.
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        self._check_node(event, line, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, line, path), mark
        if len(path) >= MAX_DEPTH:
            # Not the path itself: 33 parts of it would bury the message.
            self._stop(line, path[:1], f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[object] = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                index = len(items)
                item, mark.children[index] = self._value(event, events, (*path, index))
                items.append(item)
            return items, mark
        return self._mapping(events, path, mark), mark

    def _mapping(
        self, events: Iterator[yaml.Event], path: DocumentPath, mark: _Mark
    ) -> dict[str, object]:
        entries: dict[str, object] = {}
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
            if key in entries:
                first = mark.children[key].line
                self._fault(line, (*path, key), f"is given twice, first in line {first}")
                continue
            child.line = line  # a value may start lines below its key; faults point at the key
            entries[key] = value
            mark.children[key] = child
        return entries

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
        if event.tag is not None:
            short = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._fault(line, path, f"tag {shown(short)} is not allowed")
        if event.anchor is not None:
            self._fault(line, path, f"anchor &{event.anchor} is not allowed; repeat the value")

    def _fault(self, line: int, path: DocumentPath, message: str) -> None:
        self._faults.append(Fault(self._file, line, field_name(path), message))
        if len(self._faults) >= MAX_FAULTS:
            raise InputError(*self._faults)

    def _stop(self, line: int | None, path: DocumentPath, message: str) -> NoReturn:
        raise InputError(*self._faults, Fault(self._file, line, field_name(path), message))


def validate(model: type[M], document: Document, at: DocumentPath = (), data: object = ...) -> M:
    """`document` as an instance of `model`.

    `at` chooses a part of the document. `data`, where given, is checked in place of that part
    (JSON-able; for values taken over from elsewhere), and `at` still says where faults point.
    Models set `extra="forbid"` and `strict=True`; the strictness is that of JSON, so a list may
    fill a tuple and text an enum. A field's `description` completes the message when it is missing.

    Raises `InputError` with one fault for each thing wrong, in order of line.
    """
    if isinstance(data, EllipsisType):
        data = _descend(document.data, at)
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        # Pydantic's own texts name its types and link to its site; only the details are used.
        details = _without_echoes(error.errors(include_url=False))
        problems = [_Problem.of(model, detail, data) for detail in details[:MAX_FAULTS]]
    faults = [
        Fault(
            document.file,
            document.line((*at, *problem.path)),
            field_name((*at, *problem.about)),
            problem.message + problem.got,
        )
        for problem in _merged(problems)
    ]
    raise InputError(*in_order(faults, len(details) - len(problems)))


def _without_echoes(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are too short only because pydantic leaves out what is wrong in them."""

    def echo(detail: ErrorDetails) -> bool:
        loc = detail["loc"]
        within = (other["loc"] for other in details if len(other["loc"]) > len(loc))
        return detail["type"] == "too_short" and any(o[: len(loc)] == loc for o in within)

    return [detail for detail in details if not echo(detail)]


def in_order(faults: Iterable[Fault], more: int = 0) -> list[Fault]:
    """Faults of one file by line, the first hundred of them; then how many are left out.

    `more` are left out already.
    """
    found = sorted(faults, key=lambda fault: fault.line or 0)
    more += max(0, len(found) - MAX_FAULTS)
    note = [Fault(found[0].file, None, "", f"{more} more faults are not shown")] if more else []
    return found[:MAX_FAULTS] + note


def json_memory(raw: bytes) -> int:
    """Bytes that the values of a JSON text take in CPython 3.11, from above, by its marks alone."""
    marks = ((b"{", 250), (b"[", 80), (b",", 52), (b'"', 48))
    return 2 * len(raw) + sum(raw.count(mark) * size for mark, size in marks)


def _descend(data: Any, path: DocumentPath) -> object:
    for part in path:
        if not _has(data, part):
            raise KeyError(f"no {field_name(path)} in the document")
        data = data[part]
    return data


def _has(data: object, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and 0 <= part < len(data)
    return isinstance(data, dict) and part in data


@dataclass(frozen=True, slots=True)
class _Problem:
    """One pydantic error, in the document's terms."""

    path: DocumentPath  # of the line
    about: DocumentPath  # of the field named; the parent for an unknown key, which is no field
    branch: DocumentPath | None  # where a union tried several types; None outside unions
    message: str
    got: str = ""

    @classmethod
    def of(cls, model: type[BaseModel], detail: ErrorDetails, data: object) -> _Problem:
        loc, kind = detail["loc"], detail["type"]
        if kind == "extra_forbidden":
            path, branch = _document_path(loc[:-1], data, missing=False)
            message = _unknown_key(str(loc[-1]), sorted(_keys_at(model, loc[:-1])))
            return cls((*path, loc[-1]), path, branch, message)
        path, branch = _document_path(loc, data, missing=kind == "missing")
        if kind in ("missing", "union_tag_not_found"):
            what = _description(model, loc) or "a value is required"
            return cls(path, path, branch, f"missing; {what}")
        return cls(path, path, branch, *wording(detail))


def _document_path(
    loc: Sequence[str | int], data: Any, *, missing: bool
) -> tuple[DocumentPath, DocumentPath | None]:
    """Pydantic's location without the names of union branches, and where the first of these was."""
    path: DocumentPath = ()
    branch: DocumentPath | None = None
    for index, part in enumerate(loc):
        if _has(data, part):
            data = data[part]
            path = (*path, part)
        elif missing and index == len(loc) - 1:
            path = (*path, part)
        elif branch is None and part != "[key]":
            branch = path
    return path, branch


def _merged(problems: Sequence[_Problem]) -> Iterator[_Problem]:
    """One message for each place: of a union's branches, those that came furthest."""
    depth: dict[DocumentPath, int] = {}
    for problem in problems:
        if problem.branch is not None:
            known = depth.get(problem.branch, 0)
            depth[problem.branch] = max(known, len(problem.path))
    messages: dict[tuple[DocumentPath, DocumentPath | None], list[_Problem]] = {}
    for problem in problems:
        if problem.branch is None:
            yield problem
        elif len(problem.path) == depth[problem.branch]:
            messages.setdefault((problem.path, problem.branch), []).append(problem)
    for group in messages.values():
        # "must be a whole number", "must be a list" -> "must be a whole number or a list"
        texts = list(dict.fromkeys(problem.message for problem in group))
        rest = (text.removeprefix("must ").removeprefix("be ") for text in texts[1:])
        yield replace(group[0], message=" or ".join((texts[0], *rest)))


def _unknown_key(key: str, known: Sequence[str]) -> str:
    near = closest(key, known)
    if near is not None:
        return f"unknown key {shown(key)}; did you mean {near!r}?"
    return f"unknown key {shown(key)}; known: {', '.join(known)}"


def _description(model: type[BaseModel], loc: Sequence[str | int]) -> str | None:
    for candidate in _models_at(model, loc[:-1]):
        for name, info in candidate.model_fields.items():
            if loc and loc[-1] in (name, info.alias):
                return info.description
    return None


def _keys_at(model: type[BaseModel], loc: Sequence[str | int]) -> set[str]:
    return {
        info.alias or name
        for candidate in _models_at(model, loc)
        for name, info in candidate.model_fields.items()
    }


def _models_at(model: type[BaseModel], loc: Sequence[str | int]) -> set[type[BaseModel]]:
    """The models that may stand at `loc`: several where a union leaves it open."""
    here = {model}
    for part in loc:
        named = {candidate for candidate in here if candidate.__name__ == part}
        inside = [
            info.annotation
            for candidate in here
            for name, info in candidate.model_fields.items()
            if part in (name, info.alias)
        ]
        if named:
            here = named
        elif inside:
            here = set().union(*map(_models_in, inside))
        # else an index, a key of a plain mapping or the tag of a union: the same models remain
    return here


def _models_in(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return set().union(*map(_models_in, get_args(annotation)))


_TYPES: Final[Mapping[str, str]] = {
    "bool": "true or false",
    "dict": "a mapping of keys to values",
    "float": "a number",
    "finite": "a finite number",
    "int": "a whole number",
    "list": "a list",
    "mapping": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "none": "left empty",
    "string": "text",
    "tuple": "a list",
}
_BOUNDS: Final[Mapping[str, str]] = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} or fewer characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
}


def wording(detail: ErrorDetails) -> tuple[str, str]:
    """What a value that pydantic refuses must be, and what it is: both end up in one message."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    got = f", got {shown(value)}"
    if kind in ("value_error", "assertion_error"):
        return str(context["error"]), ""  # a validator of ours; its text is complete
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context), got
    if kind in ("too_short", "too_long"):
        limit = context["min_length"] if kind == "too_short" else context["max_length"]
        size = f"{limit} or {'more' if kind == 'too_short' else 'fewer'} entries"
        return f"must have {size}", f", got {context['actual_length']}"
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        if kind == "union_tag_invalid":
            expected, value = f"one of {context['expected_tags']}", context["tag"]
            got = f", got {shown(value)}"
        else:
            expected = context["expected"]
        names = re.findall(r"'([^']*)'", expected)
        near = None
        if isinstance(value, str):  # `convolution` is no typing error for `conv`, but means it
            longer = (name for name in names if value.casefold().startswith(name))
            near = closest(value, names) or next(longer, None)
        return f"must be {expected}", got + (f"; did you mean {near!r}?" if near else "")
    stem = kind.partition("_")[0]
    if stem in _TYPES:
        return f"must be {_TYPES[stem]}", got
    message = detail["msg"]
    return message[:1].lower() + message[1:], got
