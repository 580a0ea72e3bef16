"""A mapping of row stationary, and the rules that it must keep (docs/machine.md 1, 3, 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingABC
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar, Final

from sim.dataflow.base import Violation, ceil_div
from sim.errors import Fault, InputError, MappingError
from workloads.inputs.faults import MAX_FAULTS
from workloads.inputs.words import closest, field_name, shown

if TYPE_CHECKING:
    from hw_models.spec import Hardware, Word
    from workloads.layer import Layer

LARGEST_FACTOR = 1 << 20

ALL_COLUMNS: Final = LARGEST_FACTOR
"""`f` of a mapping that does not cut ofmap rows: no layer has so many columns."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Mapping:
    """How a layer is cut into processing passes (JSSC 2017, Table II).

    `m` filters whose psums live in the GLB at once; `n` images a pass; `e` ofmap rows a pass;
    `f` ofmap columns a pass; `p` filters and `q` channels interleaved in one PE; `r` PE sets on
    different channels; `t` PE sets on different filters. All are counts, 1 or more. Table II has
    no `f`: where it is left out, a pass takes all columns.
    """

    dataflow: ClassVar[str] = "row_stationary"
    m: int
    n: int
    e: int
    f: int = ALL_COLUMNS
    p: int
    q: int
    r: int
    t: int

    def __post_init__(self) -> None:
        for name in FACTORS:
            value = getattr(self, name)
            if not 1 <= value <= LARGEST_FACTOR:
                raise ValueError(f"{name}={value}: must be 1 to {LARGEST_FACTOR}")

    def to_dict(self) -> dict[str, int]:
        """Return the factors by name; `f` only where it cuts the columns."""
        factors = asdict(self)
        if self.f == ALL_COLUMNS:
            del factors["f"]
        return factors

    def __str__(self) -> str:
        return ",".join(f"{name}={value}" for name, value in self.to_dict().items())

    def tile_columns(self, layer: Layer) -> int:
        """Return the ofmap columns of the largest column tile of a layer."""
        return min(self.f, layer.F)

    def fitted(self, layer: Layer, batch: int, hw: Hardware) -> Mapping:
        """Return the mapping with no block larger than the layer, or a configuration, holds.

        A mapping may be written for another batch or a larger layer; the part of a block that the
        layer does not fill is never simulated, so the chip's limits must not be applied to it.
        """
        m = min(self.m, layer.Mg)
        p = min(self.p, m)
        channels = min(layer.C, hw.limits.channels[1])
        q = min(self.q, channels)
        return Mapping(
            m=m,
            n=min(self.n, batch),
            e=min(self.e, layer.E),
            f=self.f if self.f < layer.F else ALL_COLUMNS,
            p=p,
            q=q,
            r=min(self.r, ceil_div(channels, q)),
            t=min(self.t, ceil_div(m, p)),
        )


FACTORS = tuple(field.name for field in fields(Mapping))
REQUIRED = tuple(name for name in FACTORS if name != "f")


def parse_mapping(text: str) -> Mapping:
    """Read `m=64,n=4,e=13,p=16,q=3,r=2,t=2`; `f` may be left out.

    Raises:
        InputError: one fault for every missing, unknown, repeated or malformed factor.

    """
    faults: list[Fault] = []
    factors: dict[str, int] = {}

    def fault(field: str, message: str) -> None:
        one = Fault("--mapping", None, field, message)
        if one not in faults:
            faults.append(one)

    for part in (piece.strip() for piece in text.split(",", MAX_FAULTS)):
        match = re.fullmatch(r"(\w+)\s*=\s*(\S+)", part)
        if match is None:
            fault(field_name((part or "''",)), "is not of the form factor=value, as in m=64")
            continue
        name, value = match.groups()
        if name not in FACTORS:
            near = closest(name, FACTORS)
            hint = f"; did you mean '{near}'?" if near else ";"
            fault(field_name((name,)), f"unknown factor{hint} known: {', '.join(FACTORS)}")
        elif name in factors:
            fault(name, "given twice")
        elif not (re.fullmatch(r"[0-9]{1,9}", value) and 1 <= int(value) <= LARGEST_FACTOR):
            fault(name, f"must be a whole number from 1 to {LARGEST_FACTOR}, got {shown(value)}")
            factors[name] = 1
        else:
            factors[name] = int(value)
    missing = [name for name in REQUIRED if name not in factors]
    if missing:
        fault(", ".join(missing), "missing; a mapping gives all of " + ", ".join(REQUIRED))
    if faults:
        raise InputError(*faults)
    return Mapping(**factors)


def layer_violations(layer: Layer, hw: Hardware) -> list[Violation]:
    """Return the rules that the layer breaks whatever the mapping (docs/machine.md section 6).

    `M` and `C` beyond the limit do not forbid a layer: the limit is per configuration of the chip,
    and `Plan.configurations` says how many a layer takes.
    """
    limits = hw.limits
    violations: list[Violation] = []

    def inside(rule: str, value: int, allowed: tuple[int, int], why: str) -> None:
        low, high = allowed
        if not low <= value <= high:
            violations.append(Violation(rule, value, f"{low} to {high}", why))

    inside("filter rows R", layer.R, limits.filter_rows, "rows the configuration can name")
    inside("filter columns S", layer.S, limits.filter_columns, "columns a spad row can hold")
    if layer.U not in limits.vertical_strides:
        allowed = ", ".join(str(stride) for stride in limits.vertical_strides)
        violations.append(
            Violation("vertical stride", layer.U, allowed, "diagonals the NoC can form")
        )
    inside(
        "horizontal stride",
        layer.V,
        limits.horizontal_strides,
        "columns a window can move by",
    )
    return violations


def ifmap_strip_words(layer: Layer, mapping: Mapping, hw: Hardware) -> int:
    """Return words of the largest ifmap strip of one channel block (docs/machine.md section 2)."""
    channels = min(mapping.q * mapping.r, layer.C, hw.limits.channels[1])
    columns = layer.touched_columns(mapping.tile_columns(layer))
    return mapping.n * channels * layer.ifmap_rows(mapping.e) * columns


def resident_psum_words(layer: Layer, mapping: Mapping) -> int:
    """Return words of psums kept in the GLB over a channel loop (docs/machine.md section 2)."""
    return mapping.n * mapping.m * mapping.e * mapping.tile_columns(layer)


def banks(words: int, word: Word, hw: Hardware) -> int:
    """Return the whole GLB banks that hold `words` of a data type."""
    return ceil_div(words, hw.glb_words_per_bank(word))


def held_at_once(layer: Layer, mapping: Mapping, batch: int, hw: Hardware) -> tuple[int, int]:
    """Return how many ifmap strips and m-blocks the GLB holds at a time: one or two of each.

    A strip that is loaded ahead needs room beside the one that is read, and psums that wait for the
    link room beside those of the next m-block (docs/machine.md section 8, "Overlap"). A layer that
    has only one of them needs no more.
    """
    m_blocks = (
        layer.G
        * ceil_div(batch, mapping.n)
        * ceil_div(layer.F, mapping.f)
        * ceil_div(layer.E, mapping.e)
        * ceil_div(layer.Mg, mapping.m)
    )
    strips = m_blocks * ceil_div(layer.C, mapping.q * mapping.r)
    overlap = hw.dram.overlap
    return (
        2 if overlap != "none" and strips > 1 else 1,
        2 if overlap == "full" and m_blocks > 1 else 1,
    )


def glb_banks(layer: Layer, mapping: Mapping, batch: int, hw: Hardware) -> tuple[int, int]:
    """Return GLB banks of ifmap strips and of psums."""
    strips, m_blocks = held_at_once(layer, mapping, batch, hw)
    return (
        banks(strips * ifmap_strip_words(layer, mapping, hw), "ifmap", hw),
        banks(m_blocks * resident_psum_words(layer, mapping), "psum", hw),
    )


def mapping_violations(layer: Layer, mapping: Mapping, hw: Hardware, batch: int) -> list[Violation]:
    """Return every rule that the (fitted) mapping breaks, not only the first."""
    violations: list[Violation] = []

    def at_most(rule: str, value: int, limit: int, why: str) -> None:
        if value > limit:
            violations.append(Violation(rule, value, str(limit), why))

    pe, array = hw.pe, hw.array
    p, q = mapping.p, mapping.q
    at_most("q*S", q * layer.S, pe.ifmap_spad_words, "words of the ifmap spad")
    at_most("p*q*S", p * q * layer.S, pe.filter_spad_words, "words of the filter spad")
    at_most("p", p, pe.psum_spad_words, "words of the psum spad")
    chain = layer.R * mapping.r
    at_most("r*R", chain, array.rows, "rows of the array: a chain of PE sets stands in one column")
    if chain <= array.rows:
        room = filter_sets_that_fit(mapping.e, chain, hw)
        if room == 0:
            segments = ceil_div(mapping.e, array.columns)
            at_most(
                "rows of a folded PE set",
                segments * chain,
                array.rows,
                f"e={mapping.e} folds into {segments} segments of {chain} rows, stacked",
            )
        else:
            at_most(
                "t",
                mapping.t,
                room,
                f"filter sets of {chain} x {mapping.e} PEs that the "
                f"{array.rows} x {array.columns} array holds",
            )
    strips, m_blocks = held_at_once(layer, mapping, batch, hw)
    ifmap_banks, psum_banks = glb_banks(layer, mapping, batch, hw)
    of_strips = "two ifmap strips (2*" if strips > 1 else "the ifmap strip ("
    of_psums = "resident psums of two m-blocks (2*" if m_blocks > 1 else "resident psums ("
    columns = "F" if mapping.f == ALL_COLUMNS else "f"
    why = f", which dram.overlap={hw.dram.overlap} holds at once" if strips > 1 else ""
    at_most(
        "GLB banks",
        ifmap_banks + psum_banks,
        hw.glb.banks,
        f"{ifmap_banks} for {of_strips}n*q*r*rows*Wp words) and "
        f"{psum_banks} for {of_psums}n*m*e*{columns} words){why}",
    )
    at_most("m", mapping.m, hw.limits.filters[1], "filters of one configuration")
    return violations


def filter_sets_that_fit(strip_rows: int, chain: int, hw: Hardware) -> int:
    """Count filter sets of `chain` x `strip_rows` PEs that the array holds (docs/machine.md 3).

    A set wider than the array folds into segments that are stacked; narrower ones stand side by
    side and stacked.
    """
    rows, columns = hw.array.rows, hw.array.columns
    if strip_rows > columns:
        return rows // (ceil_div(strip_rows, columns) * chain)
    return (columns // strip_rows) * (rows // chain)


def checked_mapping(layer: Layer, mapping: Mapping, batch: int, hw: Hardware) -> Mapping:
    """Return the fitted mapping, if layer and mapping keep every rule.

    Raises:
        MappingError: one fault for each broken rule.

    """
    fitted = mapping.fitted(layer, batch, hw)
    violations = layer_violations(layer, hw) + mapping_violations(layer, fitted, hw, batch)
    if violations:
        raise MappingError(
            *(Fault("", None, f"{layer.name} on {hw.name}", str(v)) for v in violations)
        )
    return fitted


def with_largest_m(
    layer: Layer, factors: MappingABC[str, int], batch: int, hw: Hardware
) -> Mapping | None:
    """Complete a mapping without `m` by the largest multiple of `p*t` whose psums fit the GLB.

    `None` where not even one block of `p*t` filters fits.
    """
    base = Mapping(m=layer.Mg, **factors).fitted(layer, batch, hw)
    largest = hw.limits.filters[1]
    if layer.Mg <= largest and sum(glb_banks(layer, base, batch, hw)) <= hw.glb.banks:
        return base
    block = base.p * base.t
    # With more than one m-block the GLB holds as many of them, whatever their size.
    cut = replace(base, m=1)
    strips, m_blocks = held_at_once(layer, cut, batch, hw)
    free = hw.glb.banks - banks(strips * ifmap_strip_words(layer, base, hw), "ifmap", hw)
    words = m_blocks * resident_psum_words(layer, cut)
    most = min(free * hw.glb_words_per_bank("psum") // words, largest)
    if most >= layer.Mg:
        return base
    if most < block:
        return None
    return replace(base, m=most // block * block)
