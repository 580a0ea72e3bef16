"""An energy table fitted to the chip: prices that give the powers measured on its 18 layers.

The observations are the energies of AlexNet's 5 and VGG-16's 13 convolutional layers, measured
power times total latency (JSSC 2017, Tables V and VI); the power is the chip's, without DRAM. The
features are the ledger's counts of the same layers in closed form, with the published or inferred
mappings and the published fractions of zeros, and the cycles of the published total latency: with
a simulated one an error of the simulated time would end up in the prices.

18 powers between 218 and 332 mW do not tell 30 prices apart: what a layer does is nearly
proportional to its MACs, whichever block does it. So prices are fitted in five groups. Within a
group their ratios come from another source, and its scale is what is fitted (docs/energy.md):

    PE work     MACs and spads, in the ratios of the 65 nm table of Timeloop's exercise; a gated MAC
                as in Accelergy's table
    PE cycles   clock and leakage of a PE, per PE of the array and cycle
    NoC         a delivery, a psum over a local link or over the GON: one price, as in ISCA 2016
    GLB         reads and writes, in the ratio of Timeloop's table
    rest        per cycle, what is in none of these

The powers alone leave the NoC at nothing, since its words go with the MACs. The published shares of
power enter as four more observations, each with the weight of one layer. They are taken as those of
AlexNet's convolutional layers together; the source does not tell it more closely.

Every observation is divided by its own measured value, so that relative errors count.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping
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
from sim.errors import Fault, InputError, MappingError
from sim.mapper.choose import choose_mappings
from sim.plan.make import make_plan
from sim.reference.tables import FITTED_TABLE, load_power_shares, load_published
from vocabulary import DataType
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
    """Prices with fixed ratios: `ratios` by dotted field of a table, in pJ where the scale is 1."""

    name: str
    part: str
    ratios: Mapping[str, float]

    def table(self, scale: float = 1.0) -> EnergyTable:
        """Return a table of this group's prices alone, at a scale."""
        return _table({name: value * scale for name, value in self.ratios.items()})


def _groups() -> tuple[Group, ...]:
    # Timeloop's prices are for 8-bit words and linear in the width, a MAC in that of both operands.
    source = load_energy_table("timeloop_65nm_8bit")
    gating = load_energy_table("accelergy_45nm").mac
    mac = 4 * (source.mac.active or 0)
    spads = {
        f"spad.{kind}.{way}": 2 * getattr(getattr(source.spad, kind), way)
        for kind in (DataType.IFMAP, DataType.FILTER, DataType.PSUM)
        for way in ("read", "write")
    }
    return (
        Group(
            "PE work",
            "PE array",
            {
                "mac.active": mac,
                "mac.gated": mac * (gating.gated or 0) / (gating.active or 1),
                **spads,
            },
        ),
        Group("PE cycles", "PE array", {"static.pe": 1.0}),
        Group("NoC", "NoC", {"noc.delivery": 1.0, "noc.gon_word": 1.0, "noc.local_word": 1.0}),
        Group(
            "GLB",
            "GLB",
            {"glb.read": 2 * (source.glb.read or 0), "glb.write": 2 * (source.glb.write or 0)},
        ),
        Group("rest", "rest", {"static.rest": 1.0}),
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
    """Fit the prices to the chip.

    Raises `InputError` where SciPy is not installed.
    """
    layers = observations()
    solve = _solver()
    features = np.array([layer.features for layer in layers])
    measured = np.array([layer.measured_pj for layer in layers])
    relative = features / measured[:, None]
    of_shares = np.array([layer.network == SHARES_OF for layer in layers])

    def fit(without: int | None = None) -> NDArray[np.float64]:
        """Return the scales; a layer left out is left out of the shares, too."""
        kept = np.arange(len(layers)) != (-1 if without is None else without)
        chosen = kept & of_shares
        shares = _share_rows(features[chosen].sum(axis=0), float(measured[chosen].sum()))
        return solve(np.vstack([relative[kept], shares]))

    scales = fit()
    prices = {
        name: _rounded(ratio * float(scale))
        for group, scale in zip(GROUPS, scales, strict=True)
        for name, ratio in group.ratios.items()
    }
    table = _table(prices)
    fitted: list[LayerFit] = []
    parts = dict.fromkeys(SHARES, 0.0)
    for place, layer in enumerate(layers):
        fit_pj = _energy(layer.entries, table, layer.cycles, layer.pes)
        run_pj = _energy(layer.entries, table, Fraction(layer.simulated_cycles), layer.pes)
        power = layer.power_mw
        fitted.append(
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
            for group in GROUPS:
                alone = _table({name: prices[name] for name in group.ratios})
                parts[group.part] += _energy(layer.entries, alone, layer.cycles, layer.pes)
    whole = math.fsum(parts.values())
    return Calibration(
        scales={group.name: float(scale) for group, scale in zip(GROUPS, scales, strict=True)},
        prices=prices,
        layers=tuple(fitted),
        shares={part: value / whole for part, value in parts.items()},
    )


def _share_rows(energies: NDArray[np.float64], whole: float) -> NDArray[np.float64]:
    """Return a row for each of `SHARES`: the groups of that part over its share of the energy."""
    return np.array(
        [
            [
                value / (share * whole) if group.part == part else 0.0
                for group, value in zip(GROUPS, energies, strict=True)
            ]
            for part, share in SHARES.items()
        ]
    )


def _solver() -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return a solver: the non-negative scales that bring a matrix's rows nearest to 1."""
    try:
        from scipy.optimize import nnls  # noqa: PLC0415 - SciPy is an extra, used here alone
    except ImportError:
        message = "needs SciPy, which is not installed: pip install 'eyeriss-sim[calibrate]'"
        raise InputError(Fault("", None, "calibrate", message)) from None

    def solve(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        largest = rows.max(axis=0)  # prices differ by orders of magnitude
        found, _ = nnls(rows / largest, np.ones(len(rows)))
        return np.asarray(found / largest, np.float64)

    return solve


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
    timeloop_65nm_8bit: ratios of the prices of MAC and spads, and of a GLB read and write;
    accelergy_45nm: a gated MAC to an active one
notes: >-
  Five scales fitted by non-negative least squares, relative errors, the shares of power (taken as
  those of AlexNet) as four more observations: {scales}. A layer's power from a fit of the 17 others
  is off by {left_out:.1f} % on average, at worst {worst:+.1f} % ({worst_network} {worst_layer}).
  Shares of AlexNet: {shares}. The price of a word of the NoC holds buses and FIFOs; what a block
  costs per cycle is in the PE's price and in the rest. Lacks: DRAM, which is not in the measured
  power.

mac: {{active: {mac_active}, gated: {mac_gated}}}
spad:
  ifmap: {{read: {spad_ifmap_read}, write: {spad_ifmap_write}}}
  filter: {{read: {spad_filter_read}, write: {spad_filter_write}}}
  psum: {{read: {spad_psum_read}, write: {spad_psum_write}}}
glb: {{read: {glb_read}, write: {glb_write}}}
noc: {{bus_word: 0, delivery: {noc_delivery}, y_bus: 0, x_bus: 0, gon_word: {noc_gon_word}, \
local_word: {noc_local_word}}}
static: {{pe: {static_pe}, rest: {static_rest}, glb: 0, noc: 0}}   # pJ per core cycle; pe: each PE
"""


def table_text(found: Calibration) -> str:
    """Write the fitted table as a YAML file, with what it was fitted to and how far off it is."""
    worst = found.worst
    scales = ", ".join(f"{name} {value:.{DIGITS}g}" for name, value in found.scales.items())
    shares = ", ".join(f"{part} {100 * value:.1f} %" for part, value in found.shares.items())
    text = _TEXT.format(
        name=FITTED_TABLE,
        scales=scales,
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
