"""Which mapping a layer gets: a published one, the mapper's, or the user's.

`published` and `alternative` read the shipped files of `sim/plan/data`; a user's file has the same
form. Where the user names no mapping, a published one is taken only on a chip with the room of the
one that it was published for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from hw_models.load import load_hardware
from sim.dataflow.base import Mapping, find_dataflow
from sim.errors import Fault, InputError, MappingError
from sim.mapper.auto import auto_mapping
from workloads.inputs.document import parse_document, read_document
from workloads.inputs.faults import MAX_FAULTS, in_order
from workloads.inputs.models import validate
from workloads.inputs.words import Line, closest, listed, shown
from workloads.network import MAX_LAYERS

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from hw_models.spec import Hardware
    from workloads.inputs.document import Document
    from workloads.layer import Layer

KEYWORDS = ("published", "alternative", "auto")

ROOM = (
    "word_bits",
    "array.rows",
    "array.columns",
    "pe.ifmap_spad_words",
    "pe.filter_spad_words",
    "pe.psum_spad_words",
    "glb.banks",
    "glb.bank_bytes",
    "glb.filter_banks",
)
"""Fields of the hardware that decide which mapping is good: what the blocks of one have to fill."""


DATAFLOW = find_dataflow()
"""Mappings are those of the chip's dataflow: a file names no other."""


class _FactorsBase(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _factor(name: str) -> tuple[Any, Any]:
    """Return the type of a factor in a mapping file, and what it may be."""
    if name in DATAFLOW.optional_factors:
        return int | None, Field(default=None, ge=1, le=DATAFLOW.largest_factor)
    return int, Field(ge=1, le=DATAFLOW.largest_factor)


_FACTORS: dict[str, Any] = {name: _factor(name) for name in DATAFLOW.factors}
_Factors: Any = create_model("_Factors", __base__=_FactorsBase, **_FACTORS)


class _MappingFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: Line = ""
    status: Literal["published", "inferred", "user"] = "user"
    chip: str = ""  # the shipped hardware that the mappings were made for
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
        """Return the layers for which the file has a mapping."""
        return tuple(self.content.layers)

    def alternatives(self) -> tuple[str, ...]:
        """Return the layers for which the file has a second mapping."""
        return tuple(self.content.alternatives)

    def find(
        self, layer: Layer, batch: int, hw: Hardware, *, alternative: bool = False
    ) -> Mapping | None:
        """Return the layer's mapping, with the factors that the file leaves out."""
        section = "layers"
        factors = self.content.layers.get(layer.name)
        if alternative and layer.name in self.content.alternatives:
            section, factors = "alternatives", self.content.alternatives[layer.name]
        if factors is None:
            return None
        given = factors.model_dump(exclude_none=True)
        completed = DATAFLOW.complete(layer, given, batch, hw)
        if isinstance(completed, str):
            raise MappingError(self.document.fault((section, layer.name), completed))
        return completed


def read_mappings(path: str) -> MappingBook:
    """Read a mapping file.

    Raises:
        InputError: the file cannot be read or is not a mapping file; file, line and field.

    """
    document = read_document(Path(path))
    return MappingBook(document, validate(_MappingFile, document))


def shipped_mappings(network: str) -> MappingBook | None:
    """Return the mappings shipped for a network, or None."""
    known = resources.files("sim.plan") / "data" / f"{network}.yaml"
    if not network.isidentifier() or not _exists(known):
        return None
    document = parse_document(known.read_text(encoding="utf-8"), f"{network}.yaml")
    return MappingBook(document, validate(_MappingFile, document))


def choose_mappings(
    spec: str | None,
    network: str,
    layers: Sequence[Layer],
    batch: int,
    hw: Hardware,
    left_out: Sequence[str] = (),
) -> list[Choice | MappingError]:
    """Return a mapping for each layer, or the reason why it has none.

    A file of the user's may also have mappings for the layers of the network that are `left_out`.

    `spec` is `published`, `alternative`, `auto`, `m=64,n=4,...`, or the path of a mapping file;
    None is `published` on a chip with the room of the one it was published for, else `auto`.

    Raises:
        InputError: `spec` is none of these, or its file is wrong.

    """
    if spec is None:
        return _default(network, layers, batch, hw)
    if spec == "auto":
        return [_auto(layer, batch, hw) for layer in layers]
    if "=" in spec and not _exists(Path(spec)):
        given = DATAFLOW.parse_mapping(spec)
        return [Choice(given, "given")] * len(layers)
    if spec in KEYWORDS:
        book = shipped_mappings(network)
        note = _forced(book, hw)
        return [
            _from_book(book, layer, batch, hw, note, alternative=spec == "alternative")
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
    named, layer_names = book.content.layers, frozenset((*known, *left_out))
    unknown = [name for name in named if name not in layer_names]
    missing = [name for name in dict.fromkeys(known) if name not in named]
    faults = [
        book.document.fault(("layers", name), _no_such_layer(name, (*known, *left_out)))
        for name in unknown[:MAX_FAULTS]
    ]
    if missing:
        message = f"no mapping for {listed(missing)}"
        faults.append(book.document.fault(("layers",), message))
    if faults:
        raise InputError(*in_order(faults, max(0, len(unknown) - MAX_FAULTS)))
    note = _forced(book, hw)
    return [_from_book(book, layer, batch, hw, note) for layer in layers]


def _default(
    network: str, layers: Sequence[Layer], batch: int, hw: Hardware
) -> list[Choice | MappingError]:
    book = shipped_mappings(network)
    differs = _other_room(book, hw)
    if book is None or not differs:
        return [_with_room_ahead(book, layer, batch, hw) for layer in layers]
    note = (
        f"the mappings made for {book.content.chip} do not apply to {differs}: took auto; "
        "--mapping published forces them"
    )
    return [
        _auto(layer, batch, hw, note if layer.name in book.content.layers else _unpublished(layer))
        for layer in layers
    ]


def _with_room_ahead(
    book: MappingBook | None, layer: Layer, batch: int, hw: Hardware
) -> Choice | MappingError:
    """Return the file's mapping, or the mapper's if the GLB cannot hold it with `dram.overlap`."""
    choice = _from_book(book, layer, batch, hw)
    plain = hw.model_copy(update={"dram": hw.dram.model_copy(update={"overlap": "none"})})
    if hw.dram.overlap == "none" or _fits(choice, layer, batch, hw):
        return choice
    if not _fits(_from_book(book, layer, batch, plain), layer, batch, plain):
        return choice
    return _auto(
        layer,
        batch,
        hw,
        f"{layer.name}: its shipped mapping leaves no room for what "
        f"dram.overlap={hw.dram.overlap} holds ahead, took auto",
    )


def _fits(choice: Choice | MappingError, layer: Layer, batch: int, hw: Hardware) -> bool:
    if isinstance(choice, MappingError):
        return False
    return not DATAFLOW.mapping_violations(layer, choice.mapping, batch, hw)


def _forced(book: MappingBook | None, hw: Hardware) -> str:
    """Return the note where mappings of another chip are taken because the user names them."""
    differs = _other_room(book, hw)
    if book is None or not differs:
        return ""
    return f"took the mappings made for {book.content.chip} although this chip has {differs}"


def _other_room(book: MappingBook | None, hw: Hardware) -> str:
    """Return the fields of `ROOM` in which `hw` is not the mappings' chip; empty where none.

    Raises:
        InputError: the file names a chip that does not exist.

    """
    if book is None or not book.content.chip:
        return ""
    try:
        made_for = _chip(book.content.chip)
    except InputError as error:
        message = error.faults[0].message
        raise InputError(book.document.fault(("chip",), message)) from None
    differing = [name for name in ROOM if attrgetter(name)(made_for) != attrgetter(name)(hw)]
    sides = [name for name in differing if name.startswith("array.")]
    found = [f"an array of {hw.array.rows} x {hw.array.columns}"] if sides else []
    found += [f"{name} = {attrgetter(name)(hw)}" for name in differing if name not in sides]
    return ", ".join(found)


_chip = lru_cache(maxsize=8)(load_hardware)


def _exists(path: Path | Traversable) -> bool:
    try:
        return path.is_file() or path.is_dir()
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


def _no_such_layer(name: str, known: Sequence[str]) -> str:
    near = closest(name, known)
    hint = f"; did you mean '{near}'?" if near else ""
    return f"is not a layer of the network{hint}"


def _auto(layer: Layer, batch: int, hw: Hardware, note: str = "") -> Choice | MappingError:
    try:
        return Choice(auto_mapping(layer, batch, hw), "auto", note)
    except MappingError as error:
        return error


def _unpublished(layer: Layer) -> str:
    return f"{layer.name}: no published mapping, took auto"


def _from_book(
    book: MappingBook | None,
    layer: Layer,
    batch: int,
    hw: Hardware,
    note: str = "",
    *,
    alternative: bool = False,
) -> Choice | MappingError:
    try:
        found = book.find(layer, batch, hw, alternative=alternative) if book else None
    except MappingError as error:
        return error
    if book is None or found is None:
        return _auto(layer, batch, hw, _unpublished(layer))
    return Choice(found, book.content.status, note)
