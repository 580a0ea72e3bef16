"""Check plain data against a pydantic model, with faults in the words of the document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from workloads.inputs.faults import MAX_FAULTS, Fault, InputError, in_order
from workloads.inputs.words import DocumentPath, closest, field_name, shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)


class Source(Protocol):
    """Who gave a value, and can say where: a document, several of them merged, or an option."""

    def fault(self, path: DocumentPath, message: str, about: DocumentPath | None = None) -> Fault:
        """Return the fault of the value at `path`; `about` names another field than that one."""


class DataSource(Source, Protocol):
    """A source of a whole description."""

    @property
    def data(self) -> object:
        """Dict, list, str, int, float, bool and None only."""


def validate(model: type[M], source: DataSource, at: DocumentPath = (), data: object = ...) -> M:
    """Return the data of `source` as an instance of `model`.

    `at` chooses a part of the data. `data`, where given, is checked in place of that part
    (JSON-able; for values taken over from elsewhere), and `at` still says where faults point.
    Models set `extra="forbid"` and `strict=True`; the strictness is that of JSON, so a list may
    fill a tuple and text an enum. A field's `description` completes the message when it is missing.

    Raises `InputError` with one fault for each thing wrong, in order of line.
    """
    if isinstance(data, EllipsisType):
        data = _descend(source.data, at)
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        # Pydantic's own texts name its types and link to its site; only the details are used.
        details = _without_echoes(error.errors(include_url=False))
        problems = [_Problem.of(model, detail, data) for detail in details[:MAX_FAULTS]]
    faults = [
        source.fault((*at, *problem.path), problem.message + problem.got, (*at, *problem.about))
        for problem in _merged(problems)
    ]
    raise InputError(*in_order(faults, len(details) - len(problems)))


def _without_echoes(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop lists that are too short only because pydantic leaves out their wrong entries."""

    def echo(detail: ErrorDetails) -> bool:
        loc = detail["loc"]
        within = (other["loc"] for other in details if len(other["loc"]) > len(loc))
        return detail["type"] == "too_short" and any(o[: len(loc)] == loc for o in within)

    return [detail for detail in details if not echo(detail)]


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
    """Return pydantic's location without the names of union branches, and the first of those."""
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
    """Yield one message for each place: of a union's branches, those that came furthest."""
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
    """Return the models that are possible at `loc`: several where a union leaves it open."""
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
    """Return what a refused value must be, and what it is: the two parts of one message."""
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
