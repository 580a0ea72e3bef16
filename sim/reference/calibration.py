"""An energy table fitted to the chip: prices that give the powers measured on its 18 layers.

The observations are the energies of AlexNet's 5 and VGG-16's 13 convolutional layers, measured
power times total latency (JSSC 2017, Tables V and VI); the power is the chip's, without DRAM. The
features are the ledger's counts of the same layers in closed form, with the published or inferred
mappings and the published fractions of zeros, and the cycles of the published total latency: with
a simulated one an error of the simulated time would end up in the prices.

18 powers between 218 and 332 mW do not tell 30 prices apart: what a layer does is nearly
proportional to its MACs, whichever block does it. So the structure comes first, and two numbers are
fitted (docs/energy.md has the structures that were compared):

    constant    per core cycle, whatever the chip does: clock and leakage. The clock does not stop
                while the array waits for DRAM
    MAC         a MAC that is not gated, with the spad accesses that go with it
    GLB         at the published 65 nm price of Timeloop's exercise; not fitted
    NoC         1 pJ a delivery, a psum over a local link or over the GON; a choice

The published shares of power take no part in the fit. The constant is divided among the parts of
the chip so that AlexNet's convolutional layers together have exactly these shares; the source does
not tell more closely which run they are of.

Every observation is divided by its own measured value, so that relative errors count.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hw_models.energy import EnergyTable, load_energy_table
from hw_models.load import load_hardware
from sim.account.energy import energy
from sim.account.ledger import ledger_entries
from sim.analytic.form import estimate_layer
from sim.errors import MappingError
from sim.mapper.choose import choose_mappings
from sim.plan.make import make_plan
from sim.reference.tables import FITTED_TABLE, load_power_shares, load_published
from workloads.inputs.words import exact
from workloads.network import load_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "GROUPS",
    "Calibration",
    "Group",
    "LayerFit",
    "Observation",
    "calibrate",
    "observations",
    "table_text",
]

SHARES: Final[Mapping[str, float]] = load_power_shares()
SHARES_OF: Final = "AlexNet"
DIGITS: Final = 4  # of a price: more would pretend that the fit knows more than a few percent

_NETWORKS: Final = {"AlexNet": "alexnet", "VGG16": "vgg16"}
_HARDWARE: Final = "eyeriss_v1"
_PICO: Final = 10**12


@dataclass(frozen=True)
class Group:
    """Prices with fixed ratios: `ratios` by dotted field of a table, in pJ where the scale is 1.

    The scale is `fitted`, or 1.
    """

    name: str
    fitted: bool
    ratios: Mapping[str, float]

    def table(self, scale: float = 1.0) -> EnergyTable:
        """Return a table of this group's prices alone, at a scale."""
        return _table({name: value * scale for name, value in self.ratios.items()})


NOC_PJ: Final = 1.0
"""A word of the NoC, to one receiver: a choice. Between 0.5 and 2 pJ the fit errs by 0.1 points
more or less."""


def _groups() -> tuple[Group, ...]:
    # Timeloop's prices are for 8-bit words and linear in the width, a MAC in that of both operands.
    source = load_energy_table("timeloop_65nm_8bit")
    mac = 4 * (source.mac.active or 0)
    ifmap, filters, psum = source.spad.ifmap, source.spad.filter, source.spad.psum
    spads = 2 * sum(price or 0 for price in (ifmap.read, filters.read, psum.read, psum.write))
    return (
        Group("constant", True, {"static.rest": 1.0}),
        # A gated MAC reads no filter: both counts are those of MACs that are not gated. How a MAC's
        # price divides into MAC and spads is Timeloop's.
        Group(
            "MAC",
            True,
            {"mac.active": mac / (mac + spads), "spad.filter.read": spads / (mac + spads)},
        ),
        Group(
            "GLB",
            False,
            {"glb.read": 2 * (source.glb.read or 0), "glb.write": 2 * (source.glb.write or 0)},
        ),
        Group(
            "NoC",
            False,
            dict.fromkeys(("noc.delivery", "noc.gon_word", "noc.local_word"), NOC_PJ),
        ),
    )


GROUPS: Final = _groups()


@dataclass(frozen=True)
class Observation:
    """A measured layer: its energy without DRAM, and the energy of each group at scale 1, in pJ.

    `cycles` is the published total latency, `simulated_cycles` the closed form's.
    """

    network: str
    layer: str
    entries: Mapping[str, int]
    cycles: Fraction
    simulated_cycles: int
    measured_pj: float
    features: tuple[float, ...]
    core_hz: Fraction
    pes: int

    @property
    def power_mw(self) -> float:
        """The measured power."""
        return self.measured_pj / _PICO / float(self.cycles / self.core_hz) * 1e3


@dataclass(frozen=True)
class LayerFit:
    """A layer's measured power, and what it is with the table, without it in the fit, and in a run.

    `fitted_mw` and `left_out_mw` are energies over the published total latency; `left_out_mw` comes
    from a fit of all other layers. `run_mw` is what `run` and `estimate` print: energy over the
    simulated latency.
    """

    network: str
    layer: str
    measured_mw: float
    fitted_mw: float
    left_out_mw: float
    run_mw: float

    @property
    def fitted_error(self) -> float:
        """Relative error of the shipped prices."""
        return self.fitted_mw / self.measured_mw - 1

    @property
    def left_out_error(self) -> float:
        """Relative error where this layer was left out of the fit."""
        return self.left_out_mw / self.measured_mw - 1

    @property
    def run_error(self) -> float:
        """Relative error of the power that `run` prints."""
        return self.run_mw / self.measured_mw - 1

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as plain data."""
        return {
            "network": self.network,
            "layer": self.layer,
            "measured_mw": self.measured_mw,
            "fitted_mw": self.fitted_mw,
            "left_out_mw": self.left_out_mw,
            "run_mw": self.run_mw,
            "left_out_error": self.left_out_error,
        }


@dataclass(frozen=True)
class Calibration:
    """The fit: a scale for each of `GROUPS`, the prices, and how far off they are."""

    scales: Mapping[str, float]
    prices: Mapping[str, float]
    layers: tuple[LayerFit, ...]
    shares: Mapping[str, float]

    @property
    def constant_mw(self) -> float:
        """The power that is there in every cycle."""
        core_hz = observations()[0].core_hz
        return self.scales["constant"] * float(core_hz) / _PICO * 1e3

    @property
    def fitted_error(self) -> float:
        """Mean relative error over the layers that were fitted."""
        return _mean(abs(layer.fitted_error) for layer in self.layers)

    @property
    def left_out_error(self) -> float:
        """Mean relative error of each layer with the prices of all others."""
        return _mean(abs(layer.left_out_error) for layer in self.layers)

    @property
    def run_error(self) -> float:
        """Mean relative error of the power that `run` and `estimate` print."""
        return _mean(abs(layer.run_error) for layer in self.layers)

    @property
    def worst(self) -> LayerFit:
        """The layer that the others predict worst."""
        return max(self.layers, key=lambda layer: abs(layer.left_out_error))

    def to_dict(self) -> dict[str, Any]:
        """Return the fit as plain data."""
        return {
            "table": FITTED_TABLE,
            "scales": dict(self.scales),
            "constant_mw": self.constant_mw,
            "prices": dict(self.prices),
            "fitted_error": self.fitted_error,
            "left_out_error": self.left_out_error,
            "run_error": self.run_error,
            "worst": self.worst.layer,
            "shares": {"published": dict(SHARES), "fitted": dict(self.shares)},
            "layers": [layer.to_dict() for layer in self.layers],
        }


@lru_cache(maxsize=1)
def observations() -> tuple[Observation, ...]:
    """Return the 18 measured layers with their features, in the order of the published tables."""
    hw = load_hardware(_HARDWARE)
    core_hz = exact(hw.clock.core_mhz) * 10**6
    observed: list[Observation] = []
    for shown, name in _NETWORKS.items():
        network = load_network(name)
        published = load_published(name)
        layers = [network.layer(layer) for layer in published.layers]
        batch = published.batch
        choices = choose_mappings("published", name, layers, batch, hw)
        for figure, layer, choice in zip(published.layers.values(), layers, choices, strict=True):
            if isinstance(choice, MappingError):  # no shipped mapping is refused by its own chip
                raise choice
            plan = make_plan(layer, batch, hw, choice.mapping, choice.source)
            estimate = estimate_layer(plan)
            entries = ledger_entries(plan, estimate.counts)
            seconds = exact(figure.total_ms) / 10**3
            watts = exact(figure.power_mw) / 10**3
            cycles = seconds * core_hz
            observed.append(
                Observation(
                    network=shown,
                    layer=layer.name,
                    entries=entries,
                    cycles=cycles,
                    simulated_cycles=estimate.cycles + estimate.standstill.cycles,
                    measured_pj=float(seconds * watts * _PICO),
                    features=tuple(
                        _energy(entries, group.table(), cycles, hw.pes) for group in GROUPS
                    ),
                    core_hz=core_hz,
                    pes=hw.pes,
                )
            )
    return tuple(observed)


def calibrate() -> Calibration:
    """Fit the prices to the chip."""
    layers = observations()
    features = np.array([layer.features for layer in layers])
    measured = np.array([layer.measured_pj for layer in layers])
    relative = features / measured[:, None]
    fitted_columns = np.array([group.fitted for group in GROUPS])

    def fit(without: int | None = None) -> NDArray[np.float64]:
        """Return the scale of each group: least squares of the relative errors."""
        kept = np.arange(len(layers)) != (-1 if without is None else without)
        given = relative[kept][:, ~fitted_columns].sum(axis=1)
        scales = np.ones(len(GROUPS))
        scales[fitted_columns] = _least_squares(relative[kept][:, fitted_columns], 1 - given)
        return scales

    scales = fit()
    prices = _divided(_scaled(scales), layers)
    table = _table(prices)
    fits: list[LayerFit] = []
    parts = dict.fromkeys(SHARES, 0.0)
    for place, layer in enumerate(layers):
        fit_pj = _energy(layer.entries, table, layer.cycles, layer.pes)
        run_pj = _energy(layer.entries, table, Fraction(layer.simulated_cycles), layer.pes)
        power = layer.power_mw
        fits.append(
            LayerFit(
                network=layer.network,
                layer=layer.layer,
                measured_mw=power,
                fitted_mw=power * fit_pj / layer.measured_pj,
                left_out_mw=power * float(relative[place] @ fit(without=place)),
                run_mw=run_pj / _PICO / float(layer.simulated_cycles / layer.core_hz) * 1e3,
            )
        )
        if layer.network == SHARES_OF:
            for part in SHARES:
                alone = _table({name: prices[name] for name in _PARTS[part]})
                parts[part] += _energy(layer.entries, alone, layer.cycles, layer.pes)
    whole = math.fsum(parts.values())
    return Calibration(
        scales={group.name: float(scale) for group, scale in zip(GROUPS, scales, strict=True)},
        prices=prices,
        layers=tuple(fits),
        shares={part: value / whole for part, value in parts.items()},
    )


def _least_squares(rows: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two scales that bring `rows` nearest to `target`, by the normal equations."""
    (a, b), (_, d) = rows.T @ rows
    x, y = rows.T @ target
    scales: NDArray[np.float64] = np.array([d * x - b * y, a * y - b * x]) / (a * d - b * b)
    return scales


_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "PE array": ("mac.active", "spad.filter.read", "static.pe"),
    "NoC": ("noc.delivery", "noc.gon_word", "noc.local_word", "static.noc"),
    "GLB": ("glb.read", "glb.write", "static.glb"),
    "rest": ("static.rest",),
}
"""The prices of each part of the chip that has a published share of its power."""


def _scaled(scales: NDArray[np.float64]) -> dict[str, float]:
    return {
        name: ratio * float(scale)
        for group, scale in zip(GROUPS, scales, strict=True)
        for name, ratio in group.ratios.items()
    }


def _divided(prices: dict[str, float], layers: Sequence[Observation]) -> dict[str, float]:
    """Return rounded prices whose constant is divided so that the published shares are met."""
    constant = prices.pop("static.rest")
    chosen = [layer for layer in layers if layer.network == SHARES_OF]
    cycles = math.fsum(float(layer.cycles) for layer in chosen)

    def per_cycle(part: str) -> float:
        alone = _table({name: prices[name] for name in _PARTS[part] if name in prices})
        work = (_energy(layer.entries, alone, Fraction(0), layer.pes) for layer in chosen)
        return math.fsum(work) / cycles

    work = {part: per_cycle(part) for part in SHARES}
    whole = constant + math.fsum(work.values())
    static = {part: share * whole - work[part] for part, share in SHARES.items()}
    divided = {
        "static.pe": static["PE array"] / chosen[0].pes,
        "static.noc": static["NoC"],
        "static.glb": static["GLB"],
        "static.rest": static["rest"],
    }
    return {name: _rounded(price) for name, price in {**prices, **divided}.items()}


def _energy(entries: Mapping[str, int], table: EnergyTable, cycles: Fraction, pes: int) -> float:
    """Return the energy without DRAM in pJ."""
    # Whole cycles are all that is priced; published latencies are to 0.1 ms = 20000 cycles.
    return float(energy(entries, table, cycles=round(cycles), pes=pes).total)


def _table(prices: Mapping[str, float]) -> EnergyTable:
    nested: dict[str, Any] = {}
    for name, price in prices.items():
        *path, last = name.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[last] = price
    head = {"name": "fit", "unit": "pJ", "technology": "65 nm", "word_bits": 16, "sources": ["fit"]}
    return EnergyTable.model_validate({**head, **nested})


def _rounded(price: float) -> float:
    return float(f"{price:.{DIGITS}g}")


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


# --- the table as a file --------------------------------------------------------------------------

_TEXT: Final = """\
# Prices fitted to the powers measured on the chip. Written by `eyeriss-sim calibrate`, not by hand;
# method and limits: docs/energy.md, code: sim/reference/calibration.py.

name: {name}
unit: pJ
technology: 65 nm, 1 V, 200 MHz core clock, chip without DRAM
word_bits: 16
sources:
  - >-
    Chen, Krishna, Emer, Sze, "Eyeriss: An Energy-Efficient Reconfigurable Accelerator for Deep
    Convolutional Neural Networks", JSSC 2017, Tables V and VI: power and total latency of AlexNet's
    5 and VGG-16's 13 convolutional layers; shares of power, PE array 77.8 %, NoC 15.6 %, GLB 2.7 %
  - >-
    timeloop_65nm_8bit: a GLB read and write, and how the price of a MAC divides into MAC and spads
notes: >-
  Two numbers fitted by least squares of relative errors: a constant of {constant_mw:.0f} mW, clock
  and leakage, and {mac:.2f} pJ for a MAC that is not gated, with the spad accesses that go with it.
  GLB is Timeloop's price, a word of the NoC 1 pJ for each receiver, by choice. A layer's power from
  a fit of the 17 others is off by {left_out:.1f} % on average, at worst {worst:+.1f} %
  ({worst_network} {worst_layer}). The constant is divided among the parts so that AlexNet has the
  published shares: {shares}. All spad accesses of a MAC are in the price of its filter read. Lacks:
  DRAM, which is not in the measured power.

mac: {{active: {mac_active}, gated: 0}}
spad:
  ifmap: {{read: 0, write: 0}}
  filter: {{read: {spad_filter_read}, write: 0}}
  psum: {{read: 0, write: 0}}
glb: {{read: {glb_read}, write: {glb_write}}}
noc: {{bus_word: 0, delivery: {noc_delivery}, y_bus: 0, x_bus: 0, gon_word: {noc_gon_word}, \
local_word: {noc_local_word}}}
# pJ per core cycle; pe: each PE
static: {{pe: {static_pe}, rest: {static_rest}, glb: {static_glb}, noc: {static_noc}}}
"""


def table_text(found: Calibration) -> str:
    """Write the fitted table as a YAML file, with what it was fitted to and how far off it is."""
    worst = found.worst
    shares = ", ".join(f"{part} {100 * value:.1f} %" for part, value in found.shares.items())
    text = _TEXT.format(
        name=FITTED_TABLE,
        constant_mw=found.constant_mw,
        mac=found.scales["MAC"],
        shares=shares,
        left_out=100 * found.left_out_error,
        worst=100 * worst.left_out_error,
        worst_network=worst.network,
        worst_layer=worst.layer,
        **{name.replace(".", "_"): f"{price:.{DIGITS}g}" for name, price in found.prices.items()},
    )
    return _filled(text)


def _filled(text: str) -> str:
    """Wrap the folded paragraphs of the text anew, indented by two."""
    lines = text.splitlines()
    start = lines.index("notes: >-") + 1
    end = next(place for place in range(start, len(lines)) if not lines[place])
    notes = textwrap.wrap(
        " ".join(line.strip() for line in lines[start:end]),
        100,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
    return "\n".join([*lines[:start], *notes, *lines[end:]]) + "\n"
