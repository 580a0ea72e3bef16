"""What a ledger costs: counts times the prices of an energy table (docs/machine.md section 7).

Every energy is a fraction of whole numbers, so that each breakdown sums to the total exactly;
`EnergyBreakdown.to_dict` gives the nearest floats. The ledger counts words of the chip's
`word_bits` (16), a table prices words of its own width, and what is `bits` wide costs in
proportion: an access in its width, a MAC in that of each operand. An ofmap is psums in the GLB,
and has the width of an ifmap on DRAM.

Pruning follows the original first-order estimator: of a layer whose weights are pruned by `z`, the
share `1-z` of all MACs and of all filter accesses is left, on every level; ifmaps and psums move as
before, since their words serve the weights that are left.

An action that the table has no price for costs nothing here and is listed in `unpriced` with its
count: a total with such entries is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal

from hw_models.energy import PARTS_OF_A_PE, EnergyTable
from hw_models.spec import WORDS, WordBits
from hw_models.vocabulary import ACTIONS, BUSES, DATA_TYPES, ENTRIES, DataType, Level, Network
from sim.result.model import EnergyPart
from workloads.inputs.words import exact

if TYPE_CHECKING:
    from sim.dataflow.base import Plan

__all__ = [
    "FIGURE10_PARTS",
    "EnergyBreakdown",
    "data_type",
    "energy",
    "figure10_bars",
    "figure10_shares",
    "layer_energy",
    "network_energy",
    "noc_hops",
]

_CHIP_WORDS: Final = WordBits(ifmap=16, filter=16, psum=16)
_BIT_KINDS: Final = (*WORDS, DataType.OFMAP)
_MEASURED_BITS: Final = 8  # the width of `mac.active_8bit`
_MOST_BITS: Final = 64
_PICO: Final = Fraction(1, 10**12)


@dataclass(frozen=True)
class EnergyBreakdown:
    """Energies in the table's `unit`, exact.

    `by_action` holds every priced action by its dotted ledger name, with `spad.ifmap.read` split
    into `read_new` and `read_repeated`, and `static.<block>`. `unpriced` holds the count of each
    action without a price; `macs` is the number of MACs of the layer before pruning, gated ones
    included. `cycles` and `core_hz` are None where nobody gave them: then there is no power.
    """

    table: str
    unit: Literal["normalised", "pJ"]
    by_action: Mapping[str, Fraction]
    unpriced: Mapping[str, Fraction] = field(default_factory=dict)
    macs: int = 0
    cycles: int | None = None
    core_hz: Fraction | None = None

    @property
    def total(self) -> Fraction:
        """The sum of all actions."""
        return sum(self.by_action.values(), Fraction())

    @property
    def total_float(self) -> float:
        """The sum of all actions as the nearest float; by level or data type `to_dict` has them."""
        return float(self.total)

    @property
    def by_level(self) -> dict[Level, Fraction]:
        """Energy by level, all of them; sums to `total` exactly."""
        by_level = dict.fromkeys(Level, Fraction())
        for action, value in self.by_action.items():
            by_level[_level(action)] += value
        return by_level

    @property
    def by_data_type(self) -> dict[DataType, Fraction]:
        """Energy by data type, all of `DATA_TYPES`; sums to `total` exactly.

        Psums include the finished ofmap; MACs and static power belong to no data and stay apart.
        """
        by_data_type = dict.fromkeys(DATA_TYPES, Fraction())
        for action, value in self.by_action.items():
            by_data_type[data_type(action)] += value
        return by_data_type

    @property
    def per_mac(self) -> Fraction | None:
        """Energy of a MAC of the layer with all that belongs to it; None without MACs."""
        return self.total / self.macs if self.macs else None

    @property
    def seconds(self) -> Fraction | None:
        """Time of the cycles at the core clock; None where either is unknown."""
        if self.cycles is None or not self.core_hz:
            return None
        return Fraction(self.cycles) / self.core_hz

    @property
    def average_power_w(self) -> Fraction | None:
        """Watts over `cycles`, DRAM included; None for a normalised table or without time."""
        return self._power(self.total)

    @property
    def chip_power_w(self) -> Fraction | None:
        """Watts over `cycles` without DRAM, as the chip's published power is."""
        return self._power(self.total - self.by_level[Level.DRAM])

    @property
    def energy_delay_product(self) -> Fraction | None:
        """Energy times time: J*s of a table in pJ, else normalised energy times s."""
        if self.seconds is None:
            return None
        return self.total * self.seconds * (_PICO if self.unit == "pJ" else 1)

    def _power(self, part: Fraction) -> Fraction | None:
        if self.unit != "pJ" or not self.seconds:
            return None
        return part * _PICO / self.seconds

    def to_model(self) -> EnergyPart:
        """Return the object in the result file: the nearest floats, counts as they are."""
        return EnergyPart(
            table=self.table,
            unit=self.unit,
            total=float(self.total),
            by_level={name: float(value) for name, value in self.by_level.items()},
            by_data_type={name: float(value) for name, value in self.by_data_type.items()},
            by_action={name: float(value) for name, value in self.by_action.items()},
            unpriced={name: _plain(count) for name, count in self.unpriced.items()},
            per_mac=_float(self.per_mac),
            average_power_w=_float(self.average_power_w),
            chip_power_w=_float(self.chip_power_w),
            energy_delay_product=_float(self.energy_delay_product),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the object in the result file as plain data."""
        return self.to_model().model_dump(mode="json")


def energy(
    entries: Mapping[str, int],
    table: EnergyTable,
    *,
    word_bits: WordBits = _CHIP_WORDS,
    bits: Mapping[str, int] | None = None,
    pruned: float = 0.0,
    cycles: int | None = None,
    pes: int | None = None,
    core_mhz: float | None = None,
    hops: Mapping[str, int] | None = None,
    dram_bits: Mapping[str, int] | None = None,
) -> EnergyBreakdown:
    """Price a ledger.

    Args:
        entries: words or actions by dotted name, as `vocabulary.ENTRIES`.
        table: the prices.
        word_bits: bits of the words that `entries` counts (`Hardware.word_bits`).
        bits: width of `ifmap`, `filter`, `psum` or `ofmap` where it differs from `word_bits`; of
            an ofmap that is not given, see above.
        pruned: share of the weights that is zero and skipped, 0 to 1.
        cycles: core cycles, for static power, average power and EDP.
        pes: PEs of the array, for static power that a table has per PE.
        core_mhz: core clock, for power and EDP.
        hops: `noc_hops(plan)`, for a table that prices hops.
        dram_bits: bits that really cross the link, by `ifmap`, `filter` and `ofmap`, where that is
            not the ledger's count: compressed traffic. Neither `bits` nor `pruned` changes them.

    Raises:
        ValueError: a width, share or key that cannot be, or a table that needs what is not given.

    """
    widths = _widths(word_bits, bits)
    kept = 1 - _share(pruned)
    counts = _action_counts(entries)
    counts.update(_hop_counts(table, hops))
    crossing = _dram_counts(dram_bits)
    by_action: dict[str, Fraction] = {}
    unpriced: dict[str, Fraction] = {}
    for action, plain_count in counts.items():
        count = Fraction(plain_count)
        scale = _width_scale(action, widths, table)
        if data_type(action) in (DataType.FILTER, DataType.MAC):
            count *= kept
        if action in crossing:
            width = word_bits.filter if action == "dram.filter.read" else word_bits.ifmap
            count, scale = Fraction(crossing[action], width), Fraction(width, table.word_bits)
        price = _price(action, widths, table)
        if price is not None:
            by_action[action] = count * scale * exact(price)
        elif count:
            unpriced[action] = count
    for action, price, count in _static_cycles(table, cycles, pes):
        if price is not None:
            by_action[action] = count * exact(price)
        elif count:
            unpriced[action] = count
    return EnergyBreakdown(
        table=table.name,
        unit=table.unit,
        by_action=by_action,
        unpriced=unpriced,
        macs=entries.get("mac.active", 0) + entries.get("mac.gated", 0),
        cycles=cycles,
        core_hz=None if core_mhz is None else exact(core_mhz) * 10**6,
    )


def layer_energy(
    plan: Plan,
    entries: Mapping[str, int],
    table: EnergyTable,
    *,
    cycles: int | None = None,
    bits: Mapping[str, int] | None = None,
    pruned: float = 0.0,
    dram_bits: Mapping[str, int] | None = None,
) -> EnergyBreakdown:
    """Price the ledger of a layer on its chip: widths, PEs, clock and hops come from the plan.

    `cycles` are core cycles of the layer; without them there is neither static energy nor power.
    The other arguments and what is raised are those of `energy`.
    """
    hw = plan.hw
    return energy(
        entries,
        table,
        word_bits=hw.word_bits,
        bits=bits,
        pruned=pruned,
        cycles=cycles,
        pes=hw.pes,
        core_mhz=hw.clock.core_mhz,
        hops=noc_hops(plan) if table.noc.hop != 0 else None,
        dram_bits=dram_bits,
    )


def network_energy(layers: Iterable[EnergyBreakdown]) -> EnergyBreakdown:
    """Return the sum of layers that ran one after the other, priced with the same table.

    Cycles are known where those of every layer are.

    Raises:
        ValueError: no layer, or layers of different tables or clocks.

    """
    parts = list(layers)
    if not parts:
        raise ValueError("no layers: the energy of nothing has no unit")
    keys = {(part.table, part.unit, part.core_hz) for part in parts}
    if len(keys) > 1:
        names = ", ".join(sorted({f"{part.table} in {part.unit}" for part in parts}))
        raise ValueError(f"layers of different tables or clocks cannot be added: {names}")
    by_action: dict[str, Fraction] = {}
    unpriced: dict[str, Fraction] = {}
    for part in parts:
        for target, source in ((by_action, part.by_action), (unpriced, part.unpriced)):
            for action, value in source.items():
                target[action] = target.get(action, Fraction()) + value
    cycles = [part.cycles for part in parts if part.cycles is not None]
    return EnergyBreakdown(
        table=parts[0].table,
        unit=parts[0].unit,
        by_action=by_action,
        unpriced=unpriced,
        macs=sum(part.macs for part in parts),
        cycles=sum(cycles) if len(cycles) == len(parts) else None,
        core_hz=parts[0].core_hz,
    )


# --- hops -----------------------------------------------------------------------------------------


def noc_hops(plan: Plan) -> dict[str, int]:
    """Return the words times hops of each network, by `noc.<network>.hops`.

    A hop is a row or a column of PEs. The buses start outside the array's upper left corner, so a
    word to or from the PE in row `y`, column `x` (both from 0) makes `y + 1 + x + 1` hops: the
    Manhattan distance. Each PE that takes a multicast word counts for itself. Where the root lies
    is not published [F]; psums on local links are not in it, they go one hop each.
    """
    hop_words = plan.hop_words()
    return {network.hops: hop_words[network] for network in BUSES}


def _hop_counts(table: EnergyTable, hops: Mapping[str, int] | None) -> dict[str, int]:
    if hops is None and table.noc.hop:
        raise ValueError(
            f"table {table.name!r} prices hops: give noc_hops(plan) as hops, or use layer_energy"
        )
    return {} if hops is None else dict(hops)


# --- counts and prices ----------------------------------------------------------------------------


def _action_counts(entries: Mapping[str, int]) -> dict[str, int]:
    """Return the ledger's entries as actions that have a price, each counted once."""
    counts = dict(entries)
    for name, count in counts.items():
        if name not in ENTRIES:
            raise ValueError(f"no ledger entry is called {name!r}")
        if count < 0:
            raise ValueError(f"{name} must be 0 or more, got {count}")
    counts.pop(Network.GON_PSUM.deliveries, None)  # the same actions as its words
    reads = counts.pop("spad.ifmap.read", 0)
    new = counts.get("spad.ifmap.read_new", 0)
    if new > reads:
        raise ValueError(f"spad.ifmap.read_new = {new} exceeds spad.ifmap.read = {reads}")
    if reads:
        counts["spad.ifmap.read_repeated"] = reads - new
    return counts


def _dram_counts(dram_bits: Mapping[str, int] | None) -> dict[str, int]:
    names = {
        DataType.IFMAP: "dram.ifmap.read",
        DataType.FILTER: "dram.filter.read",
        DataType.OFMAP: "dram.ofmap.write",
    }
    counts: dict[str, int] = {}
    for kind, size in (dram_bits or {}).items():
        if kind not in names:
            raise ValueError(f"dram_bits: no data type {kind!r}; known: {', '.join(names)}")
        if size < 0:
            raise ValueError(f"dram_bits: {kind} must be 0 or more, got {size}")
        counts[names[DataType(kind)]] = size
    return counts


def _level(action: str) -> Level:
    return Level(action.partition(".")[0])


def data_type(action: str) -> DataType:
    """Return what an action moves by its dotted name; ofmaps count as psums."""
    return ACTIONS[action].data if action in ACTIONS else DataType.STATIC


def _price(action: str, widths: Mapping[str, int], table: EnergyTable) -> float | None:
    if action == "mac.active" and _measured(widths, table):
        return table.mac.active_8bit
    return table.price(ACTIONS[action].prices)


def _measured(widths: Mapping[str, int], table: EnergyTable) -> bool:
    return table.mac.active_8bit is not None and (
        widths["ifmap"] == widths["filter"] == _MEASURED_BITS
    )


def _width_scale(action: str, widths: Mapping[str, int], table: EnergyTable) -> Fraction:
    """Return how much wider an action's words are than those of the table."""
    kind = action.split(".")[1]
    if action == "mac.active" and _measured(widths, table):
        return Fraction(1)
    if action.startswith("mac."):
        return Fraction(widths["ifmap"] * widths["filter"], table.word_bits**2)
    if kind == "ofmap":
        kind = "dram_ofmap" if _level(action) is Level.DRAM else "ofmap"
        return Fraction(widths[kind], table.word_bits)
    return Fraction(widths[data_type(action)], table.word_bits)


def _static_cycles(
    table: EnergyTable, cycles: int | None, pes: int | None
) -> list[tuple[str, float | None, Fraction]]:
    """Return (action, price, times) of static power; one action where the table has no price."""
    if cycles is None:
        return []
    prices: dict[str, float | None] = {
        name: getattr(table.static, name) for name in type(table.static).model_fields
    }
    if prices["chip"] is not None:
        return [("static.chip", prices["chip"], Fraction(cycles))]
    del prices["chip"]
    if all(price is None for price in prices.values()):
        return [("static.chip", None, Fraction(cycles))]
    # A table prices a PE whole or in parts; what it does not use is not missing.
    for name in ("pe",) if prices["pe"] is None else PARTS_OF_A_PE:
        del prices[name]
    if prices["rest"] is None:  # no block that could be missed
        del prices["rest"]
    per_pe = {"pe", *PARTS_OF_A_PE}
    if pes is None:
        raise ValueError(f"table {table.name!r} prices static power per PE: give pes")
    return [
        (f"static.{name}", price, Fraction(cycles * (pes if name in per_pe else 1)))
        for name, price in prices.items()
    ]


def _widths(word_bits: WordBits, bits: Mapping[str, int] | None) -> dict[str, int]:
    given = dict(bits or {})
    for kind, width in given.items():
        if kind not in _BIT_KINDS:
            raise ValueError(f"bits: no data type {kind!r}; known: {', '.join(_BIT_KINDS)}")
        if not 1 <= width <= _MOST_BITS:
            raise ValueError(f"bits: {kind} must be 1 to {_MOST_BITS}, got {width}")
    widths: dict[str, int] = {word: given.get(word, word_bits.of(word)) for word in WORDS}
    widths["ofmap"] = given.get("ofmap", widths["psum"])
    widths["dram_ofmap"] = given.get("ofmap", widths["ifmap"])
    return widths


def _share(pruned: float) -> Fraction:
    if not 0 <= pruned <= 1:  # written so that nan fails, too
        raise ValueError(f"pruned must be between 0 and 1, got {pruned}")
    return exact(pruned)


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _plain(count: Fraction) -> int | float:
    return count.numerator if count.denominator == 1 else float(count)


# --- ISCA 2016, Figure 10 -------------------------------------------------------------------------

FIGURE10_PARTS: Final = ("ALU", "DRAM", "Buffer", "Array", "RF")

_FIGURE10_UNCOUNTED: Final = (
    "spad.ifmap.write",
    "spad.filter.write",
    "glb.ifmap.write",
    "glb.filter.write",
    "glb.filter.read",
    "glb.psum.write",
    "glb.ofmap.read",
    "glb.ofmap.write",
    Network.GON_PSUM.words,
)


def figure10_bars(breakdown: EnergyBreakdown, *, all_moves: bool = False) -> dict[str, Fraction]:
    """Return the parts of a bar of ISCA 2016 Figure 10 (`FIGURE10_PARTS`), in the same unit.

    By default moves are counted as that paper's analysis counts them. A move is charged once, at
    the level it is read from, so filling a spad or the buffer is free, and so is a psum's way out
    over the GON. Filters pass the buffer by: the published FC1 has 7.5e6 buffer accesses and 38e6
    weights. A psum that goes through the buffer costs a write for each read; its last write, and
    the read that sends it to DRAM, are not in it. That write is taken as dear as the read, as in
    every table with one price for a level.

    With `all_moves` the whole ledger counts, and the bars sum to the total without static energy.
    """
    names = {
        Level.MAC: "ALU",
        Level.DRAM: "DRAM",
        Level.GLB: "Buffer",
        Level.NOC: "Array",
        Level.SPAD: "RF",
    }
    bars = dict.fromkeys(FIGURE10_PARTS, Fraction())
    for action, value in breakdown.by_action.items():
        part = names.get(_level(action))
        if part is None or (not all_moves and action in _FIGURE10_UNCOUNTED):
            continue
        bars[part] += value * (2 if action == "glb.psum.read" and not all_moves else 1)
    return bars


def figure10_shares(breakdown: EnergyBreakdown, *, all_moves: bool = False) -> dict[str, Fraction]:
    """Return `figure10_bars` as shares of their sum, which must not be 0."""
    bars = figure10_bars(breakdown, all_moves=all_moves)
    total = sum(bars.values(), Fraction())
    return {part: value / total for part, value in bars.items()}
