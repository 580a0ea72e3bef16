"""Files that build on others: a chain of bases merged into one document, faults where they are.

A file is complete, or it names a `base` and gives only what differs from it. Hardware descriptions
and energy tables share this; each is a `Family`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast

from pydantic import BaseModel

from workloads.inputs.document import Document, names_file, read_document
from workloads.inputs.faults import Fault, InputError, in_order
from workloads.inputs.models import Source, validate
from workloads.inputs.words import DocumentPath, plain, shown, unknown_name

__all__ = ["MAX_BASES", "Family", "Override"]

MAX_BASES: Final = 4
"""Longest chain of files below one: more is a mistake rather than a family of chips."""

Model = TypeVar("Model", bound=BaseModel)


class Override(Source, Protocol):
    """A single field that is set over all files."""

    @property
    def path(self) -> tuple[str, ...]:
        """The field, section by section."""

    @property
    def value(self) -> object:
        """What it is set to."""


@dataclass(frozen=True, slots=True)
class Family(Generic[Model]):
    """Files of one model: those that are shipped, and the users' own.

    Attributes:
        model: What a merged file must be.
        folder: Where the shipped ones are.
        pattern: Their names.
        shipped_kind: What a shipped one is called in messages; `file_kind` any of them.
        fixed: Fields at the top that a file must share with its base.
        own: Fields at the top that a file with a base must give itself.
        short: Top-level sections for whose fields a single number may be given.
    """

    model: type[Model]
    folder: Path
    pattern: str
    shipped_kind: str
    file_kind: str
    fixed: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    short: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def shipped(self) -> tuple[str, ...]:
        """Return the names of shipped files, in alphabetical order."""
        return tuple(sorted(path.stem for path in self.folder.glob(self.pattern)))

    def load(self, name_or_path: str, overrides: Sequence[Override] = ()) -> Model:
        """Return the description that the file, its bases and the overrides make together.

        `name_or_path` is a path when it contains a separator, ends in .yaml or .yml, or is an
        existing file that has no shipped name.

        Raises `InputError` with every fault, each at the place of its value.
        """
        return self._merged(self._chain(name_or_path), overrides)

    def _chain(self, name_or_path: str) -> list[Document]:
        """Return the file and its bases, each before the one it builds on."""
        path = self._locate(name_or_path, Path())
        if path is None:
            raise InputError(
                Fault("", None, "", unknown_name(self.shipped_kind, name_or_path, self.shipped()))
            )
        documents = [read_document(path)]
        seen = [path.resolve()]
        while (path := self._base_of(documents[-1], path)) is not None:
            last = documents[-1]
            if path.resolve() in seen:
                raise InputError(last.fault(("base",), f"leads back to {path}, which builds on it"))
            if len(documents) > MAX_BASES:
                raise InputError(
                    last.fault(
                        ("base",), f"is base number {len(documents)}; the limit is {MAX_BASES}"
                    )
                )
            documents.append(read_document(path))
            seen.append(path.resolve())
        return documents

    def _base_of(self, document: Document, path: Path) -> Path | None:
        if not isinstance(document.data, dict) or "base" not in document.data:
            return None
        base = document.data["base"]
        if not isinstance(base, str):
            message = f"must be the name or path of {self.file_kind}, got {shown(base)}"
            raise InputError(document.fault(("base",), message))
        location = self._locate(base, path.parent)
        if location is None:
            message = unknown_name(self.shipped_kind, base, self.shipped())
            raise InputError(document.fault(("base",), message))
        if not _is_file(location):
            raise InputError(document.fault(("base",), f"no such file: {plain(str(location))}"))
        return location

    def _locate(self, name: str, folder: Path) -> Path | None:
        """Return where `name` points from `folder`; None for a bare name that is not shipped."""
        if name in self.shipped():
            return self.folder / f"{name}.yaml"
        return folder / name if names_file(name, folder) else None

    def _merged(self, documents: Sequence[Document], overrides: Sequence[Override]) -> Model:
        """Lay the documents, the last one lowest, and then the overrides over each other."""
        top = documents[0]
        for document in documents:
            if not isinstance(document.data, dict):
                return validate(self.model, document)  # nothing to merge: refused as it stands
        data: dict[str, Any] = {}
        owners: _Owners = {}
        faults: list[Fault] = []
        for document in reversed(documents):
            layer = dict(cast("dict[str, Any]", document.data))
            layer.pop("base", None)
            faults += self._faults_with_base(layer, data, document)
            for section, fields in self.short:
                if isinstance(layer.get(section), dict):
                    _write_out(section, fields, data, owners)
            _lay_over(data, layer, (), document, owners)
        owners[()] = top
        for setting in overrides:
            *sections, field = setting.path
            for section, fields in self.short:
                if sections == [section]:
                    _write_out(section, fields, data, owners)
            # A section that is no mapping is a fault of the file, and reported as such.
            if all(isinstance(data.get(section, {}), dict) for section in sections):
                value: Any = {field: setting.value}
                for section in reversed(sections):
                    value = {section: value}
                _lay_over(data, value, (), setting, owners)
        try:
            merged = validate(self.model, _Overlay(data, owners))
        except InputError as error:
            faults += error.faults
        if faults:
            raise InputError(*in_order(faults))
        return merged

    def _faults_with_base(
        self, layer: Mapping[str, Any], below: Mapping[str, Any], document: Document
    ) -> Iterator[Fault]:
        for key in self.fixed:
            if key in layer and key in below and layer[key] != below[key]:
                message = f"must be {shown(below[key])} as in its base, whose values it takes"
                yield document.fault((key,), message)
        for key in self.own:
            if below and key not in layer:
                message = f"missing; a file that differs from its base has a {key} of its own"
                yield document.fault((key,), message)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


_Owners: TypeAlias = dict[DocumentPath, Source]


@dataclass(frozen=True, slots=True)
class _Overlay:
    """Several sources seen as one; `owners` has who gave the value at each path."""

    data: object
    owners: Mapping[DocumentPath, Source]

    def fault(self, path: DocumentPath, message: str, about: DocumentPath | None = None) -> Fault:
        """Return the fault as the source that gave the value, or its section, reports it."""
        known = path
        while known not in self.owners:
            known = known[:-1]
        return self.owners[known].fault(path, message, about)


def _lay_over(
    data: dict[str, Any],
    layer: Mapping[str, Any],
    at: DocumentPath,
    source: Source,
    owners: _Owners,
) -> None:
    """Lay `layer` over `data` in place; mappings merge, anything else is replaced whole."""
    for key, value in layer.items():
        path = (*at, key)
        if isinstance(value, dict) and isinstance(data.setdefault(key, {}), dict):
            # A field missing from a section is the fault of a file, never of an override.
            if isinstance(source, Document):
                owners[path] = source
            _lay_over(data[key], value, path, source, owners)
            continue
        _disown(data.get(key), path, owners)
        data[key] = value
        owners[path] = source


def _write_out(section: str, fields: Sequence[str], data: dict[str, Any], owners: _Owners) -> None:
    """Write a section out where one number is short for it, so that a part of it can change."""
    number = data.get(section)
    if type(number) is int:
        data[section] = dict.fromkeys(fields, number)
        owners.update({(section, field): owners[section,] for field in fields})


def _disown(value: object, path: DocumentPath, owners: _Owners) -> None:
    """Forget who gave `value` and what is in it."""
    owners.pop(path, None)
    if isinstance(value, dict):
        for key, inner in value.items():
            _disown(inner, (*path, key), owners)
