"""Hardware descriptions from files: shipped ones, the user's own, and single fields overridden.

A file is complete, or it names a `base` and gives only what differs from it. Whatever is wrong,
in the file, its bases or the overrides, is reported at once and where the value stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, cast

from pydantic import BaseModel

from hw_models.spec import Hardware
from workloads.document import (
    Document,
    DocumentPath,
    Fault,
    InputError,
    closest,
    names_file,
    parse_document,
    read_document,
    shown,
    unknown_name,
    validate,
)

__all__ = ["MAX_BASES", "load_hardware", "shipped_hardware"]

MAX_BASES: Final = 4
"""Longest chain of files below one: more is a mistake rather than a family of chips."""

_DATA = Path(__file__).parent / "data"
_KIND = "shipped hardware"
_LONGEST = 100  # characters of a setting or path that a message repeats as they are


def shipped_hardware() -> tuple[str, ...]:
    """Names that `load_hardware` and `base:` accept without a file, in alphabetical order."""
    return tuple(sorted(path.stem for path in _DATA.glob("eyeriss_*.yaml")))


def load_hardware(name_or_path: str, overrides: Sequence[str] = ()) -> Hardware:
    """The chip that a shipped name or a YAML file describes.

    `name_or_path` is a path when it contains a separator, ends in .yaml or .yml, or is an existing
    file that has no shipped name. `overrides` are dotted fields with a YAML value, such as
    `array.rows=24` or `limits.vertical_strides=[1, 2]`; a later one replaces an earlier one.

    Raises `InputError` with every fault of the file, its bases and the overrides. A fault of an
    override has no file, and `--set` with its text as its field.
    """
    faults: list[Fault] = []
    settings: list[_Setting] = []
    for text in overrides:
        try:
            settings.append(_Setting.parse(text))
        except InputError as error:
            faults += error.faults
    try:
        hardware = _read(_chain(name_or_path), settings)
    except InputError as error:
        faults += error.faults
    if faults:
        # What has no line, such as how many more there are, comes after what has.
        raise InputError(*sorted(faults, key=lambda f: (f.file, f.line is None, f.line or 0)))
    return hardware


# --- overrides ------------------------------------------------------------------------------------


def _leaves(model: type[BaseModel]) -> tuple[str, ...]:
    """Dotted names of all fields that hold a value rather than a section."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            names += (f"{name}.{leaf}" for leaf in _leaves(section))
        else:
            names.append(name)
    return tuple(names)


_FIELDS = _leaves(Hardware)


@dataclass(frozen=True, slots=True)
class _Setting:
    """One override; it owns the value it sets, so faults about that value are told as its own."""

    text: str
    path: tuple[str, ...] = ()
    value: object = None

    @classmethod
    def parse(cls, text: str) -> _Setting:
        name, equals, value = text.partition("=")
        name = name.strip()
        unparsed = cls(text)
        if not equals or not name:
            raise InputError(unparsed.fault((), "must be a field and a value: array.rows=24"))
        if name not in _FIELDS:
            raise InputError(unparsed.fault((), _unknown_field(name)))
        return cls(text, tuple(name.split(".")), unparsed._parse_value(value))

    def fault(self, path: DocumentPath, message: str) -> Fault:
        return Fault("", None, f"--set {_plain(self.text)}", message)

    def _parse_value(self, text: str) -> object:
        # As an item of a list: a document that is nothing but `null` would count as empty.
        try:
            items = parse_document(f"- {text}", "").data
        except InputError as error:
            raise InputError(*(self.fault((), fault.message) for fault in error.faults)) from None
        if not isinstance(items, list) or len(items) != 1 or isinstance(items[0], dict):
            raise InputError(self.fault((), "the value must be a single value or a list"))
        return items[0]


def _plain(text: str) -> str:
    return text if text.isprintable() and len(text) <= _LONGEST else shown(text)


def _unknown_field(name: str) -> str:
    section = [field for field in _FIELDS if field.startswith(f"{name.partition('.')[0]}.")]
    near = closest(name, section) or closest(name, _FIELDS)
    if near is not None and near not in section:
        return f"no hardware field {shown(name)}; did you mean {near!r}?"
    # All fields would bury the few that can be meant.
    sections = dict.fromkeys(field.partition(".")[0] for field in _FIELDS)
    return unknown_name("hardware field", name, section or sections)


# --- files and their bases ------------------------------------------------------------------------


def _chain(name_or_path: str) -> list[Document]:
    """The file and its bases, each before the one it builds on."""
    path = _locate(name_or_path, Path())
    if path is None:
        raise InputError(Fault("", None, "", unknown_name(_KIND, name_or_path, shipped_hardware())))
    documents = [read_document(path)]
    seen = [path.resolve()]
    while (path := _base_of(documents[-1], path)) is not None:
        last = documents[-1]
        if path.resolve() in seen:
            raise InputError(last.fault(("base",), f"leads back to {path}, which builds on it"))
        if len(documents) > MAX_BASES:
            raise InputError(
                last.fault(("base",), f"is base number {len(documents)}; the limit is {MAX_BASES}")
            )
        documents.append(read_document(path))
        seen.append(path.resolve())
    return documents


def _base_of(document: Document, path: Path) -> Path | None:
    if not isinstance(document.data, dict) or "base" not in document.data:
        return None
    base = document.data["base"]
    if not isinstance(base, str):
        message = f"must be the name or path of a hardware file, got {shown(base)}"
        raise InputError(document.fault(("base",), message))
    found = _locate(base, path.parent)
    if found is None:
        message = unknown_name(_KIND, base, shipped_hardware())
        raise InputError(document.fault(("base",), message))
    if not _is_file(found):
        raise InputError(document.fault(("base",), f"no such file: {_plain(str(found))}"))
    return found


def _locate(name: str, folder: Path) -> Path | None:
    """Where `name` points from `folder`; None for a bare name that is no shipped one."""
    if name in shipped_hardware():
        return _DATA / f"{name}.yaml"
    return folder / name if names_file(name, folder) else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


# --- merging --------------------------------------------------------------------------------------


class _Source(Protocol):
    """What gave a value, and tells its faults: a document or an override."""

    def fault(self, path: DocumentPath, message: str) -> Fault: ...


_Owners: TypeAlias = dict[DocumentPath, _Source]


@dataclass(frozen=True, slots=True)
class _Merged(Document):
    """Several sources seen as one document.

    `validate` knows one file, so its faults carry a number in place of the line, with which
    `relocate` finds the source that gave the value.
    """

    owners: Mapping[DocumentPath, _Source]
    asked: list[DocumentPath]

    def line(self, path: DocumentPath) -> int:
        self.asked.append(path)
        return len(self.asked) - 1

    def relocate(self, fault: Fault) -> Fault:
        if fault.line is None:
            return fault
        path = self.asked[fault.line]
        known = path
        while known not in self.owners:
            known = known[:-1]
        found = self.owners[known].fault(path, fault.message)
        # The field named need not be the one pointed at: an unknown key is a fault of its section.
        return found if not found.file else replace(found, field=fault.field)


def _read(documents: Sequence[Document], settings: Sequence[_Setting]) -> Hardware:
    """Lay the documents, the last one lowest, and then the settings over each other."""
    top = documents[0]
    for document in documents:
        if not isinstance(document.data, dict):
            return validate(Hardware, document)  # nothing to merge: refused as it stands
    data: dict[str, Any] = {}
    owners: _Owners = {}
    for document in reversed(documents):
        layer = dict(cast("dict[str, Any]", document.data))
        layer.pop("base", None)
        _lay_over(data, layer, (), document, owners)
    owners[()] = top
    for setting in settings:
        *sections, field = setting.path
        # A section that is no mapping is the file's fault, and told as such.
        if all(isinstance(data.get(section, {}), dict) for section in sections):
            value: Any = {field: setting.value}
            for section in reversed(sections):
                value = {section: value}
            _lay_over(data, value, (), setting, owners)
    merged = _Merged(top.file, data, top._mark, owners, [])
    try:
        return validate(Hardware, merged)
    except InputError as error:
        raise InputError(*map(merged.relocate, error.faults)) from None


def _lay_over(
    data: dict[str, Any],
    layer: Mapping[str, Any],
    at: DocumentPath,
    source: _Source,
    owners: _Owners,
) -> None:
    """Lay `layer` over `data` in place; mappings merge, anything else is replaced whole."""
    for key, value in layer.items():
        path = (*at, key)
        if isinstance(value, dict) and isinstance(data.setdefault(key, {}), dict):
            # A field missing from a section is the fault of a file, never of an override.
            if not isinstance(source, _Setting):
                owners[path] = source
            _lay_over(data[key], value, path, source, owners)
            continue
        _disown(data.get(key), path, owners)
        data[key] = value
        owners[path] = source


def _disown(value: object, path: DocumentPath, owners: _Owners) -> None:
    """Forget who gave `value` and what is in it."""
    owners.pop(path, None)
    if isinstance(value, dict):
        for key, inner in value.items():
            _disown(inner, (*path, key), owners)
