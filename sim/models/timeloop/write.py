"""A row-stationary loop nest as a file of Timeloop, version 0.3: architecture, problem, mapping.

Spads are levels of their own: psum, filter and ifmap spad from the inside out, then a level that
holds nothing and spreads a column of PEs, then the GLB, which spreads the columns, then DRAM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

_FILE_NAMES = {"E": "P", "F": "Q"}
_ORDERS = {"DRAM": "CMPQNRSG", "GLB": "MCPQNRSG", "row": "QNMCPRSG", "spads": "SCMPQNRG"}


@dataclass(frozen=True)
class Chip:
    """The array and its memories, in words; a GLB access is `glb_block` words."""

    rows: int
    columns: int
    word_bits: int
    glb_words: int
    glb_block: int
    dram_block: int
    ifmap_spad: int
    filter_spad: int
    psum_spad: int


@dataclass(frozen=True)
class Nest:
    """Sizes of the dimensions, strides, and (dimension, bound, level) of each loop."""

    sizes: Mapping[str, int]
    vertical_stride: int
    horizontal_stride: int
    loops: Sequence[tuple[str, int, str]]

    def bound(self, dimension: str, level: str) -> int:
        """Return how many blocks the loops of a level make of a dimension."""
        return prod(bound for each, bound, at in self.loops if (each, at) == (dimension, level))


def write_files(nest: Nest, chip: Chip) -> str:
    """Return the file.

    Raises:
        ValueError: the mapping has blocks that are not even, or the array no such rows and columns.

    """
    for dimension, size in nest.sizes.items():
        blocks = prod(bound for each, bound, _ in nest.loops if each == dimension)
        if blocks != size:
            raise ValueError(
                f"{dimension}: its factors make {blocks} for a size of {size}; Timeloop needs "
                "blocks that are even"
            )
    return "\n".join([*_architecture(chip), *_problem(nest), *_mapping(nest, chip)]) + "\n"


def _architecture(chip: Chip) -> Iterator[str]:
    bits, rows, columns = chip.word_bits, chip.rows, chip.columns
    pes = rows * columns
    yield from ("architecture:", "  version: '0.3'", "  subtree:", "  - name: system", "    local:")

    def level(name: str, kind: str, x: int, y: int, block: int, words: int | None) -> str:
        depth = "" if words is None else f", depth: {words // block}"
        return (
            f"    - {{name: '{name}[1..{x * y}]', class: {kind}, attributes: {{datawidth: {bits}, "
            f"width: {bits * block}, block-size: {block}, meshX: {x}, meshY: {y}{depth}}}}}"
        )

    yield level("DRAM", "DRAM", 1, 1, chip.dram_block, None)
    yield level("shared_glb", "SRAM", 1, 1, chip.glb_block, chip.glb_words)
    yield level("PE_row", "regfile", columns, 1, 1, 1)
    yield level("ifmap_spad", "regfile", columns, rows, 1, chip.ifmap_spad)
    yield level("weights_spad", "regfile", columns, rows, 1, chip.filter_spad)
    yield level("psum_spad", "regfile", columns, rows, 1, chip.psum_spad)
    yield (
        f"    - {{name: 'mac[1..{pes}]', class: intmac, attributes: {{datawidth: {bits}, "
        f"meshX: {columns}, meshY: {rows}}}}}"
    )


def _problem(nest: Nest) -> Iterator[str]:
    groups = nest.sizes.get("G", 1) > 1
    group, names = ("[[G]], ", "CMRSNPQG") if groups else ("", "CMRSNPQ")
    yield from ("problem:", "  shape:", f"    dimensions: [{', '.join(names)}]")
    yield "    coefficients: [{name: Hstride, default: 1}, {name: Wstride, default: 1}]"
    yield "    data-spaces:"
    yield f"    - {{name: Weights, projection: [{group}[[C]], [[M]], [[R]], [[S]]]}}"
    yield (
        f"    - {{name: Inputs, projection: [{group}[[N]], [[C]], [[R], [P, Hstride]], "
        "[[S], [Q, Wstride]]]}"
    )
    yield (
        f"    - {{name: Outputs, projection: [{group}[[N]], [[M]], [[P]], [[Q]]], "
        "read-write: true}"
    )
    bounds = ", ".join(
        f"{_FILE_NAMES.get(dimension, dimension)}: {size}"
        for dimension, size in nest.sizes.items()
        if dimension != "G" or groups
    )
    strides = f"Hstride: {nest.vertical_stride}, Wstride: {nest.horizontal_stride}"
    yield f"  instance: {{{bounds}, {strides}}}"


def _mapping(nest: Nest, chip: Chip) -> Iterator[str]:
    down, across = _axes(nest, chip)
    names = "CMRSNPQG" if nest.sizes.get("G", 1) > 1 else "CMRSNPQ"

    def directive(target: str, kind: str, factors: Mapping[str, int], order: str) -> str:
        listed = ", ".join(
            f"{_FILE_NAMES.get(each, each)}={bound}" for each, bound in factors.items() if bound > 1
        )
        permutation = "".join(name for name in order if name in names)
        return (
            f"- {{target: {target}, type: {kind}, factors: [{listed}], permutation: {permutation}"
        )

    dram = {each: nest.bound(each, "DRAM") for each in "GNFEM"}
    # Channels are DRAM's here: what the GLB holds are tiles of the channels of a pass.
    dram["C"] = nest.bound("C", "GLB")
    yield "mapping:"
    yield directive("DRAM", "temporal", dram, _dram_order(nest)) + "}"
    yield directive("shared_glb", "temporal", {"M": nest.bound("M", "GLB")}, _ORDERS["GLB"]) + "}"
    yield directive("shared_glb", "spatial", across, _ORDERS["row"]) + f", split: {len(names)}}}"
    walked = {each: nest.bound(each, "PE") for each in "FN"}
    yield directive("PE_row", "temporal", walked, _ORDERS["row"]) + "}"
    yield directive("PE_row", "spatial", down, _ORDERS["row"]) + ", split: 0}"
    yield directive("ifmap_spad", "temporal", {}, _ORDERS["spads"]) + "}"
    filters = {each: nest.bound(each, "PE") for each in "SC"}
    yield directive("weights_spad", "temporal", filters, _ORDERS["spads"]) + "}"
    yield directive("psum_spad", "temporal", {"M": nest.bound("M", "PE")}, _ORDERS["GLB"]) + "}"
    for target, keep in (
        ("psum_spad", ("Outputs",)),
        ("weights_spad", ("Weights",)),
        ("ifmap_spad", ("Inputs",)),
        ("PE_row", ()),
        ("shared_glb", ("Inputs", "Outputs")),
    ):
        bypass = [name for name in ("Weights", "Inputs", "Outputs") if name not in keep]
        kept, passed = ", ".join(keep), ", ".join(bypass)
        yield f"- {{target: {target}, type: bypass, keep: [{kept}], bypass: [{passed}]}}"


def _dram_order(nest: Nest) -> str:
    """Return the order of DRAM's loops, the innermost first: channels, then those of the nest."""
    outside = [each for each, _, level in nest.loops if level == "DRAM"]
    ordered = list(dict.fromkeys(reversed(outside)))
    rest = [each for each in _ORDERS["DRAM"] if each not in ("C", "P", "Q")]
    listed = ["C", *ordered, *(each for each in [*rest, "E", "F"] if each not in ordered)]
    return "".join(_FILE_NAMES.get(each, each) for each in dict.fromkeys(listed))


def _axes(nest: Nest, chip: Chip) -> tuple[dict[str, int], dict[str, int]]:
    """Return the spatial factors down a column and across the columns."""
    sets = {each: nest.bound(each, "array") for each in "CM"}
    rows, strip = nest.bound("R", "array"), nest.bound("E", "array")
    for ways in product((True, False), repeat=len(sets)):
        in_column = dict(zip(sets, ways, strict=True))
        down = {"R": rows} | {each: sets[each] for each in sets if in_column[each]}
        across = {"E": strip} | {each: sets[each] for each in sets if not in_column[each]}
        if prod(down.values()) <= chip.rows and prod(across.values()) <= chip.columns:
            return down, across
    raise ValueError(
        f"{sets['C']} x {sets['M']} sets of {rows} x {strip} PEs are no rows and columns of "
        f"{chip.rows} x {chip.columns}: Timeloop does not fold a set"
    )
