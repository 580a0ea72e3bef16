"""Energy tables: what one action of each kind costs, from YAML (docs/machine.md section 7).

A price is for one word of `word_bits` bits. A number is the price; 0 says that the action costs
nothing, or that another price contains its cost; and an absent price says that the source does not
know it: whoever applies the table has to report such an action.

Prices are decimals as they are written: `hw_models.fields.exact` turns one into the fraction that
the text means, so that sums of energies can be exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hw_models.bases import Family
from hw_models.fields import Conflict, Section, as_tuple, refuse
from workloads.inputs.words import Line

__all__ = [
    "DEFAULT_TABLE",
    "PARTS_OF_A_PE",
    "DramPrices",
    "EnergyTable",
    "GlbPrices",
    "IfmapSpadPrices",
    "MacPrices",
    "MemoryPrices",
    "NocPrices",
    "SpadPrices",
    "StaticPrices",
    "load_energy_table",
    "shipped_energy_tables",
]

DEFAULT_TABLE: Final = "isca2016"
PARTS_OF_A_PE: Final = ("mac", "ifmap_spad", "filter_spad", "psum_spad")
"""Fields of `StaticPrices` that `pe` replaces."""

_MOST = 1e12  # a price beyond a joule is a slip of the unit


def _price(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= _MOST:
        raise ValueError(f"must be 0 to {_MOST:g}, got {value:g}")
    return value


Price: TypeAlias = Annotated[float | None, AfterValidator(_price)]


class MemoryPrices(Section):
    """Reading and writing a word."""

    read: Price = Field(default=None, description="a word read")
    write: Price = Field(default=None, description="a word written")


class MacPrices(Section):
    """One multiply-accumulate with both operands `word_bits` wide."""

    active: Price = Field(default=None, description="a product computed")
    gated: Price = Field(
        default=None, description="a product whose ifmap word is zero: the multiplier stands still"
    )
    active_8bit: Price = Field(
        default=None,
        description="a product of two 8-bit operands, where the source measured it; used in place "
        "of the linear rule when both operands are 8 bits wide",
    )


class IfmapSpadPrices(MemoryPrices):
    """The ifmap spad, whose address stays the same over the interleaved filters."""

    read_repeated: Price = Field(
        default=None,
        description="a word read from the address of the read before; absent: the price of a read",
    )


class SpadPrices(Section):
    """The three scratch pads of a PE."""

    ifmap: IfmapSpadPrices = Field(default=IfmapSpadPrices(), description="ifmap spad")
    filter: MemoryPrices = Field(default=MemoryPrices(), description="filter spad")
    psum: MemoryPrices = Field(default=MemoryPrices(), description="psum spad")


class GlbPrices(MemoryPrices):
    """The global buffer; what is absent for a kind of data is the common price."""

    ifmap: MemoryPrices = Field(default=MemoryPrices(), description="ifmap banks")
    filter: MemoryPrices = Field(default=MemoryPrices(), description="filter banks")
    psum: MemoryPrices = Field(default=MemoryPrices(), description="psum banks")
    ofmap: MemoryPrices = Field(default=MemoryPrices(), description="finished ofmap in psum banks")


class NocPrices(Section):
    """The networks between GLB and PEs, and the links between PEs."""

    bus_word: Price = Field(default=None, description="a word put on a GIN, however many take it")
    delivery: Price = Field(default=None, description="a word of a GIN taken by one PE")
    y_bus: Price = Field(default=None, description="a word driven over a Y-bus")
    x_bus: Price = Field(default=None, description="a word driven over one X-bus")
    hop: Price = Field(
        default=0.0,
        description="a word over one row or column on its way to or from a PE (Manhattan distance)",
    )
    gon_word: Price = Field(default=None, description="a psum that leaves over the GON")
    local_word: Price = Field(default=None, description="a psum over the link to the next PE")


class DramPrices(MemoryPrices):
    """The off-chip memory, per word of `word_bits`."""


class StaticPrices(Section):
    """What a block costs in every core cycle, whether it works or not.

    `chip` stands for all of it together, and `pe` for all of a PE, so that none of what they stand
    for may be given beside them.
    """

    chip: Price = Field(default=None, description="the whole chip, per cycle")
    glb: Price = Field(default=None, description="the global buffer, per cycle")
    noc: Price = Field(default=None, description="the networks, per cycle")
    pe: Price = Field(default=None, description="a PE with all that is in it, per PE and cycle")
    mac: Price = Field(default=None, description="a multiplier, per PE and cycle")
    ifmap_spad: Price = Field(default=None, description="an ifmap spad, per PE and cycle")
    filter_spad: Price = Field(default=None, description="a filter spad, per PE and cycle")
    psum_spad: Price = Field(default=None, description="a psum spad, per PE and cycle")
    rest: Price = Field(
        default=None, description="what is in no block above, as the clock tree, per cycle"
    )

    @model_validator(mode="after")
    def _whole_or_parts(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        conflicts = [
            Conflict(
                (whole,),
                getattr(self, whole),
                f"stands for the whole {what}, but {', '.join(parts)} "
                f"{'is' if len(parts) == 1 else 'are'} given too",
            )
            for whole, what, parts in (
                ("chip", "chip", [name for name in given if name != "chip"]),
                ("pe", "PE", [name for name in given if name in PARTS_OF_A_PE]),
            )
            if whole in given and parts
        ]
        refuse("StaticPrices", conflicts)
        return self


class EnergyTable(Section):
    """Prices of all actions. Immutable and hashable.

    Load one with `load_energy_table`, whose errors name file and line.
    """

    name: Line = Field(min_length=1, max_length=100, description="short name for tables")
    unit: Literal["normalised", "pJ"] = Field(
        description="'normalised' (to one MAC) or 'pJ': the unit of every price"
    )
    technology: Line = Field(min_length=1, max_length=200, description="process and voltage")
    sources: Annotated[
        tuple[Annotated[Line, Field(min_length=1, max_length=1000)], ...],
        Field(min_length=1, max_length=100),
        BeforeValidator(as_tuple),
    ] = Field(description="list of where the prices come from")
    notes: Line = Field(default="", max_length=10_000, description="how actions map, what it lacks")
    word_bits: int = Field(ge=1, le=64, description="bits of the word that the prices are for")
    mac: MacPrices = Field(default=MacPrices(), description="prices of a product")
    spad: SpadPrices = Field(default=SpadPrices(), description="prices of the scratch pads")
    glb: GlbPrices = Field(default=GlbPrices(), description="prices of the global buffer")
    noc: NocPrices = Field(default=NocPrices(), description="prices of the networks")
    dram: DramPrices = Field(default=DramPrices(), description="prices of the off-chip memory")
    static: StaticPrices = Field(default=StaticPrices(), description="prices of a cycle")

    def price(self, fields: Iterable[str]) -> float | None:
        """Return the price in the first of these fields, by dotted name, that has one."""
        for field in fields:
            price: float | None = attrgetter(field)(self)
            if price is not None:
                return price
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain JSON-able data."""
        return self.model_dump(mode="json")


_FAMILY = Family(
    EnergyTable,
    Path(__file__).parent / "data" / "energy",
    "*.yaml",
    shipped_kind="shipped energy table",
    file_kind="an energy table",
    fixed=("unit", "word_bits"),  # or prices of two units would be added up
    own=("name",),  # it is printed beside every energy
)


def shipped_energy_tables() -> tuple[str, ...]:
    """Return the names that `load_energy_table` and `base:` accept without a file, sorted."""
    return _FAMILY.shipped()


def load_energy_table(name_or_path: str = DEFAULT_TABLE) -> EnergyTable:
    """Return the table that a shipped name or a YAML file describes.

    `name_or_path` is a path when it contains a separator, ends in .yaml or .yml, or is an existing
    file that has no shipped name. A file may name a `base` in the same unit; prices that it does
    not give are those of the base.

    Raises `InputError` for an unknown name and with every fault of a file and its bases.
    """
    return _FAMILY.load(name_or_path)
