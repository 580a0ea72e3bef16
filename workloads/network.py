"""Networks: named lists of layers, shipped with the package or read from a user's YAML file.

The file format is the pydantic models below: `_NetworkFile` is the top level, `_LayerEntry` one
item of `layers`. `workloads/data/*.yaml` are examples of it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from workloads.inputs.document import (
    Document,
    names_file,
    parse_document,
    plain_document,
    read_document,
)
from workloads.inputs.faults import MAX_FAULTS, Fault, InputError, in_order
from workloads.inputs.models import validate
from workloads.inputs.words import DocumentPath, Line, shown, unknown_name
from workloads.layer import (
    MAX_SIZE,
    Kind,
    Layer,
    ShapeError,
    ZeroFractionSource,
)
from workloads.onnx_file import read_onnx
from workloads.onnx_model import Model

__all__ = [
    "Network",
    "load_network",
    "network_from_document",
    "shipped_networks",
]

MAX_LAYERS: Final = 10_000
"""Most layers of one network: a bound for hostile files, far above the deepest published ones."""

MAX_BATCH: Final = 4096
"""Most images of a batch."""


@dataclass(frozen=True)
class Network:
    """Layers in the order they run.

    Attributes:
        name: Name of the network.
        batch: Images of a run where the user asks for no other number.
        layers: At least one; names differ by more than case.
        source: Where the shapes come from; empty where the user's file does not say.
        left_out: Names of further layers, which `only` has not chosen.
        notes: What a user should know of it, such as operators of a model that are no layers.
    """

    name: str
    batch: int
    layers: tuple[Layer, ...]
    source: str = ""
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def layer(self, name: str) -> Layer:
        """Return the layer called `name`, in any case; raise `InputError` with the nearest."""
        return self.select([name])[0]

    def select(self, names: Sequence[str]) -> tuple[Layer, ...]:
        """Return the layers that `names` choose, in any case: in the network's order, each once.

        A name may hold several with commas between them, and the wildcards `*`, `?` and `[...]`; a
        layer that is called just so comes first.

        Raises `InputError` with one fault for each name that chooses none.
        """
        chosen, faults = choose_names(names, [layer.name for layer in self.layers])
        if faults:
            raise InputError(*(Fault(self.name, None, "", fault) for fault in faults))
        return tuple(layer for layer in self.layers if layer.name in chosen)

    def only(self, names: Sequence[str]) -> Network:
        """Return the network with the layers that `names` choose; the others are `left_out`.

        Raises `InputError` as `select`.
        """
        chosen = self.select(names)
        kept = {layer.name for layer in chosen}
        others = tuple(layer.name for layer in self.layers if layer.name not in kept)
        return replace(self, layers=chosen, left_out=(*self.left_out, *others))


def choose_names(wanted: Sequence[str], layers: Sequence[str]) -> tuple[set[str], list[str]]:
    """Return the layers that lists and patterns choose, and a message for each without any."""
    known = {name.casefold(): name for name in layers}
    chosen: set[str] = set()
    unknown: list[str] = []
    for name in dict.fromkeys(wanted):
        whole = name.casefold() in known
        for part in [name] if whole else map(str.strip, name.split(",")):
            pattern = part.casefold()
            matching = {pattern} & known.keys() or set(fnmatch.filter(known, pattern))
            chosen |= {known[each] for each in matching}
            if not matching:
                unknown.append(part)
    return chosen, [unknown_name("layer", name, layers) for name in unknown[:MAX_FAULTS]]


def shipped_networks() -> tuple[str, ...]:
    """Return names of the networks that come with the package, sorted."""
    files = (resources.files("workloads") / "data").iterdir()
    names = (file.name for file in files)
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


def load_network(name_or_path: str) -> Network:
    """Load a shipped network by name (in any case), or one from a user's YAML file or ONNX model.

    A shipped name comes first; what has a path separator, ends in `.yaml`, `.yml` or `.onnx`, or is
    an existing file is a path. Raises `InputError` for an unknown name and every fault of a file.
    """
    shipped = shipped_networks()
    if name_or_path.casefold() in shipped:
        file = f"{name_or_path.casefold()}.yaml"
        text = (resources.files("workloads") / "data" / file).read_text(encoding="utf-8")
        return network_from_document(parse_document(text, file))
    if name_or_path.casefold().endswith(".onnx"):
        return network_from_model(read_onnx(name_or_path), name_or_path)
    if names_file(name_or_path):
        return network_from_document(read_document(name_or_path))
    raise InputError(Fault("", None, "", unknown_name("network", name_or_path, shipped)))


def network_from_model(model: Model, file: str) -> Network:
    """Return the network of an ONNX model. Raises `InputError` with all of its faults."""
    network = network_from_document(plain_document(model.data, file))
    return replace(network, notes=tuple(model.notes()))


def _numbers(*lengths: int) -> BeforeValidator:
    """Accept one whole number, or a list of as many as `lengths` allows; return a tuple."""
    several = " or ".join(str(length) for length in lengths)

    def check(value: object) -> tuple[int, ...]:
        items = value if isinstance(value, list) else [value]
        fits = not isinstance(value, list) or len(items) in lengths
        if not fits or any(isinstance(i, bool) or not isinstance(i, int) for i in items):
            got = f"[{', '.join(map(shown, items))}]" if isinstance(value, list) else shown(value)
            raise ValueError(
                f"must be a whole number or a list of {several} whole numbers, got {got:.60}"
            )
        return tuple(items)

    return BeforeValidator(check)


_Pair: TypeAlias = Annotated[tuple[int, ...], _numbers(2)]
_Padding: TypeAlias = Annotated[tuple[int, ...], _numbers(2, 4)]
_Size: TypeAlias = Annotated[int, Field(ge=1, le=MAX_SIZE)]


class _LayerEntry(BaseModel):
    """One item of `layers`. Sizes that `Layer` checks are not checked here a second time."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(description="name of the layer")
    type: Kind = "conv"
    ifmap: _Pair = Field(description="[rows, columns] of the ifmap before padding, or one number")
    channels: _Size = Field(description="number of input channels, over all groups")
    filters: _Size | None = None
    filter: _Pair | None = None
    stride: _Pair = (1,)
    padding: _Padding = (0,)
    groups: _Size | None = None
    input: str | None = None
    ifmap_zero_fraction: float | None = None
    ofmap_zero_fraction: float | None = None
    zero_fraction_source: ZeroFractionSource | None = None


class _GemmEntry(BaseModel):
    """An item of `layers` that is a product of matrices, (M, K) by (K, N)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(description="name of the layer")
    type: Literal["gemm"]
    M: _Size = Field(description="rows of the left matrix and of the product")
    K: _Size = Field(description="columns of the left matrix, rows of the right one")
    N: _Size = Field(description="columns of the right matrix and of the product")
    batch: _Size = Field(default=1, description="products side by side, each with its own matrices")
    ifmap_zero_fraction: float | None = None
    ofmap_zero_fraction: float | None = None
    zero_fraction_source: ZeroFractionSource | None = None


class _NetworkFile(BaseModel):
    """The top level of a network file; its layers are checked one by one, to find all faults."""

    model_config = ConfigDict(extra="forbid", strict=True)

    network: Line = Field(description="name of the network", min_length=1, max_length=200)
    source: Line = ""
    batch: int = Field(default=1, ge=1, le=MAX_BATCH)
    layers: list[Any] = Field(description="list of the layers", min_length=1, max_length=MAX_LAYERS)


def network_from_document(document: Document) -> Network:
    """Return the network of `document`. Raises `InputError` with all of its faults."""
    faults: list[Fault] = []
    try:
        top = validate(_NetworkFile, document)
    except InputError as error:
        faults += error.faults
    data = document.data
    entries = data.get("layers") if isinstance(data, dict) else None
    layers: list[Layer] = []
    lines: dict[str, int | None] = {}
    for index in range(min(len(entries), MAX_LAYERS) if isinstance(entries, list) else 0):
        at: DocumentPath = ("layers", index)
        try:
            layer = _layer(document, at)
        except InputError as error:
            faults += error.faults
            continue
        name = layer.name.casefold()
        if name in lines:
            message = f"{layer.name!r} is taken by the layer in line {lines[name]}"
            faults.append(document.fault((*at, "name"), message))
        lines.setdefault(name, document.line((*at, "name")))
        layers.append(layer)
    if faults:
        raise InputError(*in_order(faults))
    return Network(top.network, top.batch, _joined(document, layers), top.source)


def _joined(document: Document, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers, zeros declared of an ofmap copied to the ifmap that it is, and back.

    Raises `InputError` where `input` names no such ofmap, or where a tensor has two zero fractions.
    """
    faults: list[Fault] = []
    readers: dict[int, list[int]] = {}  # by the layer whose ofmap they read
    places: dict[str, int] = {}
    for index, layer in enumerate(layers):
        given = document.data["layers"][index].get("input")  # type: ignore[index]
        if given is not None:
            source = places.get(given.casefold())
            if source is None:
                known = [layers[place].name for place in places.values()]
                message = unknown_name("earlier layer", given, known)
            else:
                message = _unlike(layers[source], layer)
            if message:
                faults.append(document.fault(("layers", index, "input"), message))
            elif source is not None:
                readers.setdefault(source, []).append(index)
        places[layer.name.casefold()] = index
    joined = list(layers)
    for source, reading in readers.items():
        declared = [(source, "ofmap_zero_fraction", layers[source].ofmap_zero_fraction)]
        declared += [(i, "ifmap_zero_fraction", layers[i].ifmap_zero_fraction) for i in reading]
        declared = [one for one in declared if one[2] is not None]
        for index, key, share in declared[1:]:
            first, first_key, expected = declared[0]
            if share != expected:
                line = document.line(("layers", first, first_key))
                message = (
                    f"{share} contradicts line {line}: {first_key} {expected} of "
                    f"{layers[first].name!r} is that of the same data"
                )
                faults.append(document.fault(("layers", index, key), message))
        if not declared:
            continue
        share = declared[0][2]
        joined[source] = replace(joined[source], ofmap_zero_fraction=share)
        for index in reading:
            basis = joined[index].zero_fraction_source or "assumed"
            joined[index] = replace(
                joined[index], ifmap_zero_fraction=share, zero_fraction_source=basis
            )
    if faults:
        raise InputError(*in_order(faults))
    return tuple(joined)


def _unlike(source: Layer, reader: Layer) -> str:
    """Return why a layer's ofmap cannot be another one's ifmap; empty where it can."""
    ofmap = (source.M, source.E, source.F)
    ifmap = (reader.G * reader.C, reader.H, reader.W)
    if ofmap == ifmap:
        return ""
    return (
        f"the ofmap of {source.name!r} is {_sizes(ofmap)}, the ifmap {_sizes(ifmap)}: leave "
        "'input' out where anything, such as pooling, stands between the two"
    )


def _sizes(shape: tuple[int, int, int]) -> str:
    return "{} channels of {} x {}".format(*shape)


def _gemm(document: Document, at: DocumentPath) -> Layer:
    entry = validate(_GemmEntry, document, at)
    places = {"H": "M", "M": "N", "C": "K", "G": "batch"}
    try:
        return Layer(
            name=entry.name,
            kind="gemm",
            G=entry.batch,
            M=entry.batch * entry.N,
            C=entry.K,
            H=entry.M,
            W=1,
            R=1,
            S=1,
            ifmap_zero_fraction=entry.ifmap_zero_fraction,
            ofmap_zero_fraction=entry.ofmap_zero_fraction,
            zero_fraction_source=_fractions_source(entry),
            network_input=at[-1] == 0,
        )
    except ShapeError as error:
        faults = [
            document.fault(at, f"{symbol}: {message}")
            if symbol in ("macs_per_image", "words")
            else document.fault((*at, places.get(symbol, symbol)), message)
            for symbol, message in error.problems
        ]
        raise InputError(*faults) from None


def _fractions_source(entry: _LayerEntry | _GemmEntry) -> ZeroFractionSource | None:
    known = (entry.ifmap_zero_fraction, entry.ofmap_zero_fraction) != (None, None)
    # A number without a source is somebody's assumption.
    return entry.zero_fraction_source or ("assumed" if known else None)


def _layer(document: Document, at: DocumentPath) -> Layer:
    data: Any = document.data
    item = data["layers"][at[-1]]
    if isinstance(item, dict) and item.get("type") == "gemm":
        return _gemm(document, at)
    entry = validate(_LayerEntry, document, at)
    faults: list[Fault] = []

    def refuse(key: str, message: str) -> None:
        faults.append(document.fault((*at, key), message))

    groups = entry.groups
    if groups is None:
        groups = entry.channels if entry.type == "depthwise" else 1
    if entry.type == "depthwise" and groups != entry.channels:
        refuse("groups", f"must be the {entry.channels} channels in depthwise, got {groups}")
    elif entry.channels % groups:
        refuse("channels", f"must be a multiple of the {groups} groups, got {entry.channels}")
    filters = entry.filters
    if filters is None and entry.type == "depthwise":
        filters = entry.channels
    if filters is None:
        refuse("filters", "missing; number of filters, over all groups")
    H, W = _two(entry.ifmap)
    top, bottom, left, right = _four(entry.padding)
    if entry.filter is None and entry.type != "fc":
        refuse("filter", "missing; [rows, columns] of a filter, or one number")
    if faults or filters is None:
        raise InputError(*faults)
    covering = (H + top + bottom, W + left + right)
    R, S = covering if entry.filter is None else _two(entry.filter)
    try:
        return Layer(
            name=entry.name,
            kind=entry.type,
            G=groups,
            M=filters,
            C=entry.channels // groups,
            H=H,
            W=W,
            R=R,
            S=S,
            U=_two(entry.stride)[0],
            V=_two(entry.stride)[1],
            pad_top=top,
            pad_bottom=bottom,
            pad_left=left,
            pad_right=right,
            ifmap_zero_fraction=entry.ifmap_zero_fraction,
            ofmap_zero_fraction=entry.ofmap_zero_fraction,
            zero_fraction_source=_fractions_source(entry),
            network_input=at[-1] == 0,
        )
    except ShapeError as error:
        problems = error.problems
        if entry.filter is None:  # R and S were derived: their faults are those of the ifmap
            problems = tuple(p for p in problems if p[0] not in ("R", "S")) or problems
        for symbol, message in problems:
            if symbol in ("macs_per_image", "words"):  # products of sizes: the layer as a whole
                fault = document.fault(at, f"{symbol}: {message}")
            else:
                fault = document.fault((*at, *_place(symbol, entry)), message)
            if fault not in faults:  # one number of the file may give several symbols
                faults.append(fault)
        raise InputError(*faults) from None


def _two(numbers: tuple[int, ...]) -> tuple[int, int]:
    return (numbers[0], numbers[-1])


def _four(numbers: tuple[int, ...]) -> tuple[int, int, int, int]:
    if len(numbers) == 4:
        return (numbers[0], numbers[1], numbers[2], numbers[3])
    vertical, horizontal = _two(numbers)
    return (vertical, vertical, horizontal, horizontal)


_PLACES: Final = {
    "kind": ("type", 0, 0),
    "G": ("groups", 0, 0),
    "M": ("filters", 0, 0),
    "C": ("channels", 0, 0),
    "H": ("ifmap", 0, 0),
    "W": ("ifmap", 1, 1),
    "R": ("filter", 0, 0),
    "S": ("filter", 1, 1),
    "U": ("stride", 0, 0),
    "V": ("stride", 1, 1),
    "pad_top": ("padding", 0, 0),
    "pad_bottom": ("padding", 0, 1),
    "pad_left": ("padding", 1, 2),
    "pad_right": ("padding", 1, 3),
}
"""Where the file has each symbol of `Layer`: the key, its index in a list of two and of four."""


def _place(symbol: str, entry: _LayerEntry) -> DocumentPath:
    key, of_two, of_four = _PLACES.get(symbol, (symbol, 0, 0))
    written = getattr(entry, key)
    if not isinstance(written, tuple) or len(written) == 1:
        return (key,)
    return (key, of_two if len(written) == 2 else of_four)
