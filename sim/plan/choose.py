"""Which mapping a layer gets: a published one, the mapper's, or the user's.

`published` and `alternative` read the shipped files of `sim/plan/data`; a user's file has the same
form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from sim.errors import Fault, InputError, MappingError
from sim.plan.mapper import auto_mapping
from sim.plan.mapping import LARGEST_FACTOR, Mapping, parse_mapping, with_largest_m
from workloads.document import (
    MAX_FAULTS,
    closest,
    in_order,
    listed,
    parse_document,
    read_document,
    shown,
    validate,
)
from workloads.network import MAX_LAYERS

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from hw_models.spec import Hardware
    from workloads.document import Document
    from workloads.layer import Layer

KEYWORDS = ("published", "alternative", "auto")


class _Factors(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    m: int | None = Field(default=None, ge=1, le=LARGEST_FACTOR)
    n: int = Field(ge=1, le=LARGEST_FACTOR)
    e: int = Field(ge=1, le=LARGEST_FACTOR)
    p: int = Field(ge=1, le=LARGEST_FACTOR)
    q: int = Field(ge=1, le=LARGEST_FACTOR)
    r: int = Field(ge=1, le=LARGEST_FACTOR)
    t: int = Field(ge=1, le=LARGEST_FACTOR)


class _MappingFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: str = ""
    status: Literal["published", "inferred", "user"] = "user"
    layers: dict[str, _Factors] = Field(max_length=MAX_LAYERS)
    alternatives: dict[str, _Factors] = Field(default_factory=dict, max_length=MAX_LAYERS)


@dataclass(frozen=True, slots=True)
class Choice:
    """A mapping for a layer, where it comes from, and what the user should be told about it."""

    mapping: Mapping
    source: str
    note: str = ""


@dataclass(frozen=True)
class MappingBook:
    """The mappings of a file, by layer."""

    document: Document
    content: _MappingFile

    def names(self) -> tuple[str, ...]:
        """The layers for which the file has a mapping."""
        return tuple(self.content.layers)

    def alternatives(self) -> tuple[str, ...]:
        """The layers for which the file has a second mapping."""
        return tuple(self.content.alternatives)

    def find(
        self, layer: Layer, batch: int, hw: Hardware, *, alternative: bool = False
    ) -> Mapping | None:
        """The layer's mapping, completed where the file leaves `m` to the buffer's size."""
        section = "layers"
        factors = self.content.layers.get(layer.name)
        if alternative and layer.name in self.content.alternatives:
            section, factors = "alternatives", self.content.alternatives[layer.name]
        if factors is None:
            return None
        given = factors.model_dump(exclude_none=True)
        if "m" in given:
            return Mapping(**given)
        completed = with_largest_m(layer, given, batch, hw)
        if completed is None:
            raise MappingError(
                self.document.fault(
                    (section, layer.name),
                    "no m is small enough: the psums of one block of p*t filters do not fit the "
                    f"GLB of {hw.name}; lower n, e, p or t",
                )
            )
        return completed


def read_mappings(path: str) -> MappingBook:
    """Read a mapping file.

    Raises:
        InputError: the file cannot be read or is not a mapping file; file, line and field.

    """
    document = read_document(Path(path))
    return MappingBook(document, validate(_MappingFile, document))


def shipped_mappings(network: str) -> MappingBook | None:
    """The mappings shipped for a network, or None."""
    known = resources.files("sim.plan") / "data" / f"{network}.yaml"
    if not network.isidentifier() or not _exists(known):
        return None
    document = parse_document(known.read_text(encoding="utf-8"), f"{network}.yaml")
    return MappingBook(document, validate(_MappingFile, document))


def choose_mappings(
    spec: str, network: str, layers: Sequence[Layer], batch: int, hw: Hardware
) -> list[Choice | MappingError]:
    """A mapping for each layer, or the reason why it has none.

    `spec` is `published`, `alternative`, `auto`, `m=64,n=4,...`, or the path of a mapping file.

    Raises:
        InputError: `spec` is none of these, or its file is wrong.

    """
    if spec == "auto":
        return [_auto(layer, batch, hw) for layer in layers]
    if "=" in spec and not _exists(Path(spec)):
        given = parse_mapping(spec)
        return [Choice(given, "given")] * len(layers)
    if spec in KEYWORDS:
        book = shipped_mappings(network)
        return [
            _from_book(book, layer, batch, hw, alternative=spec == "alternative")
            for layer in layers
        ]
    looks_like_a_name = "/" not in spec and not spec.endswith((".yaml", ".yml"))
    if looks_like_a_name and not _exists(Path(spec)):
        near = closest(spec, KEYWORDS)
        hint = f"; did you mean '{near}'?" if near else ""
        raise InputError(
            Fault(
                "",
                None,
                "--mapping",
                f"{shown(spec)} is not published, alternative, auto, a file or m=..,n=..,..{hint}",
            )
        )
    book = read_mappings(spec)
    known = [layer.name for layer in layers]
    named, layer_names = book.content.layers, frozenset(known)
    unknown = [name for name in named if name not in layer_names]
    missing = [name for name in known if name not in named]
    faults = [
        book.document.fault(("layers", name), _no_such_layer(name, known))
        for name in unknown[:MAX_FAULTS]
    ]
    if missing:
        message = f"no mapping for {listed(missing)}"
        faults.append(book.document.fault(("layers",), message))
    if faults:
        raise InputError(*in_order(faults, max(0, len(unknown) - MAX_FAULTS)))
    return [_from_book(book, layer, batch, hw, alternative=False) for layer in layers]


def _exists(path: Path | Traversable) -> bool:
    try:
        return path.is_file() or path.is_dir()
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


def _no_such_layer(name: str, known: Sequence[str]) -> str:
    near = closest(name, known)
    hint = f"; did you mean '{near}'?" if near else ""
    return f"is not a layer of this run{hint}"


def _auto(layer: Layer, batch: int, hw: Hardware, note: str = "") -> Choice | MappingError:
    try:
        return Choice(auto_mapping(layer, batch, hw), "auto", note)
    except MappingError as error:
        return error


def _from_book(
    book: MappingBook | None, layer: Layer, batch: int, hw: Hardware, *, alternative: bool
) -> Choice | MappingError:
    try:
        found = book.find(layer, batch, hw, alternative=alternative) if book else None
    except MappingError as error:
        return error
    if book is None or found is None:
        return _auto(layer, batch, hw, f"{layer.name}: no published mapping, took auto")
    return Choice(found, book.content.status)
