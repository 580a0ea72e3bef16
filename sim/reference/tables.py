"""The chip's published figures: the one copy of each, with its source.

Layers of AlexNet and VGG-16 (JSSC 2017, Tables V and VI; a bar chart of ISSCC 2016) and the shares
of power are in `sim/reference/data`. The tables' zero fractions of ifmaps are in the network files,
Table III's mappings in `sim/plan/data`. Marks say which figures are read off a chart and which are
corrected misprints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workloads.inputs.document import parse_document, read_document
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.models import validate
from workloads.inputs.words import exact, unknown_name

__all__ = [
    "FITTED_TABLE",
    "NETWORKS",
    "Mark",
    "Published",
    "PublishedLayer",
    "RTLPass",
    "RTLPasses",
    "RTLRun",
    "RTLRuns",
    "RTLTimes",
    "load_power_shares",
    "load_published",
    "load_rtl_passes",
]

NETWORKS: Final = ("alexnet", "vgg16")
FITTED_TABLE: Final = "eyeriss_65nm_calibrated"
"""The shipped energy table that `sim.reference.calibration` fits to these powers."""

Mark: TypeAlias = Literal["inferred", "assumed", "fitted", "read_off", "corrected"]
"""What a figure rests on: the first three a simulated one, the other two a published one."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Convention(_Model):
    """How a published table counts a column of accesses.

    `filters` says whether the GLB reads of filters, one of each word and pass, are among them;
    `mark` how well that is known: `R`, the column follows from it by arithmetic; `I`, inferred.
    """

    unit: Literal["MB", "MiB"]
    mark: Literal["R", "I"]
    filters: bool = False

    def in_unit(self, size: float) -> float:
        """Return bytes in the column's unit, 10^6 or 2^20 of them."""
        return size / (10**6 if self.unit == "MB" else 1 << 20)


class Conventions(_Model):
    """How a table counts accesses to the GLB and to DRAM."""

    glb_mb: Convention
    dram_mb: Convention

    @property
    def dram_in_both_units(self) -> bool:
        """Whether DRAM is shown in 10^6 bytes, too: where MiB is inferred only."""
        return self.dram_mb.unit == "MiB"

    def glb_accesses(self, others: float, filters: float) -> float:
        """Return GLB accesses as the table counts them.

        `others` are bytes of ifmap, psum and ofmap accesses, `filters` those of filter reads.
        """
        return self.glb_mb.in_unit(others + (filters if self.glb_mb.filters else 0))


class PublishedLayer(_Model):
    """The published cells of a layer."""

    active_pes: int = Field(gt=0)
    processing_ms: float = Field(gt=0)
    total_ms: float = Field(gt=0)
    glb_mb: float = Field(gt=0)
    dram_mb: float = Field(gt=0)
    power_mw: float = Field(gt=0)
    million_macs: float = Field(gt=0)


class _Totals(_Model):
    processing_ms: float
    total_ms: float
    glb_mb: float
    dram_mb: float
    power_mw: float


class _Figure(_Model):
    source: str
    layers: dict[str, float]


class Published(_Model):
    """A published table: one network on the chip, with its source.

    `mapping` says whether the mapping it was measured with is published or inferred; `figures` are
    columns read off charts; `pooled` has the words of the pooling window behind a layer;
    `corrected` gives the reason of every cell that was corrected.
    """

    network: str
    source: str
    table: str
    batch: int = Field(ge=1)
    mapping: Literal["published", "inferred"]
    conventions: Conventions
    pooled: dict[str, int] = Field(default_factory=dict)
    layers: dict[str, PublishedLayer]
    totals: _Totals
    figures: dict[str, _Figure] = Field(default_factory=dict)
    corrected: dict[str, dict[str, str]] = Field(default_factory=dict)

    def value(self, layer: str, column: str) -> float | None:
        """Return the published figure of a layer; None where there is none."""
        if column in self.figures:
            return self.figures[column].layers.get(layer)
        if column == "dram_decimal_mb":
            column = "dram_mb" if self.conventions.dram_in_both_units else ""
        found: float | None = getattr(self.layers[layer], column, None)
        return found

    def total(self, column: str) -> float | None:
        """Return the published figure of all layers; None where there is none."""
        if column == "dram_decimal_mb":
            column = "dram_mb" if self.conventions.dram_in_both_units else ""
        found: float | None = getattr(self.totals, column, None)
        return found

    def marks(self, layer: str, column: str) -> tuple[Mark, ...]:
        """Return what the reader should know of the published figure."""
        if column in self.figures:
            return ("read_off",)
        return ("corrected",) if column in self.corrected.get(layer, {}) else ()


def load_published(network: str) -> Published:
    """Return the published table of a network.

    Raises:
        InputError: there is none.

    """
    if network not in NETWORKS:
        raise InputError(
            Fault("", None, "", unknown_name("network with published figures", network, NETWORKS))
        )
    return _shipped(f"{network}.yaml", Published)


class RTLTimes(_Model):
    """Times of a pass of the RTL in cycles, from the first word in the FIFO of a GIN.

    `total` cycles go by until the last psum beat has been read from the FIFO behind the GON;
    `first_psum` is the cycle, counted from 0, in which the first one is.
    """

    total: int = Field(gt=0)
    first_psum: int = Field(ge=0)


class RTLPass(_Model):
    """A pass that was measured, in the letters of JSSC 2017, and its times under each run.

    `W` and `D` are its ifmap columns and rows, `window` the cycles from window to window in steady
    state. Psums come in.
    """

    R: int = Field(ge=1)
    S: int = Field(ge=1)
    U: int = Field(ge=1)
    F: int = Field(ge=1)
    W: int = Field(ge=1)
    D: int = Field(ge=1)
    n: int = Field(ge=1)
    e: int = Field(ge=1)
    p: int = Field(ge=1)
    q: int = Field(ge=1)
    r: int = Field(ge=1)
    t: int = Field(ge=1)
    active_pes: int = Field(ge=1)
    window: int = Field(ge=1)
    overlap: RTLTimes | None = None
    shallow: RTLTimes | None = None
    filters_first: RTLTimes | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        for name, there, needed in (
            ("W", self.W, (self.F - 1) * min(self.U, self.S) + self.S),
            ("D", self.D, (self.e - 1) * min(self.U, self.R) + self.R),
            ("active_pes", self.active_pes, self.R * self.r * self.e * self.t),
        ):
            if there != needed:
                raise ValueError(
                    f"{name} is {there}, and {needed} by the other numbers of the pass"
                )
        return self

    @property
    def times(self) -> dict[str, RTLTimes]:
        """What was measured, by run."""
        measured = {run: getattr(self, run) for run in RTLRuns.model_fields}
        return {run: times for run, times in measured.items() if times is not None}


class RTLRun(_Model):
    """How the RTL was run, and the settings of the chip that describe this."""

    title: str
    set: tuple[str, ...]


class RTLRuns(_Model):
    """How the RTL was run, by the name of the run."""

    overlap: RTLRun
    shallow: RTLRun
    filters_first: RTLRun


class _RTLPasses(_Model):
    source: str = ""
    runs: RTLRuns | None = None
    passes: dict[str, RTLPass] = Field(min_length=1)


@dataclass(frozen=True)
class RTLPasses:
    """Passes of a public RTL re-implementation by name, how it was run, and who says so."""

    source: str
    runs: RTLRuns
    passes: Mapping[str, RTLPass]


def load_rtl_passes(path: str | None = None) -> RTLPasses:
    """Return the measured passes of the RTL that are shipped, or those of a file like theirs.

    A file that does not say how the RTL was run means the shipped runs.

    Raises:
        InputError: file, line and field of everything wrong in it.

    """
    shipped = _shipped("rtl_passes.yaml", _RTLPasses)
    assert shipped.runs is not None
    if path is None:
        return RTLPasses(shipped.source, shipped.runs, shipped.passes)
    own = validate(_RTLPasses, read_document(path))
    return RTLPasses(own.source or path, own.runs or shipped.runs, own.passes)


class _PowerShares(_Model):
    source: str
    power_shares: dict[str, float]


def load_power_shares() -> dict[str, float]:
    """Return the published share of each part in the chip's power, and `rest`, which they leave."""
    shares = _shipped("power.yaml", _PowerShares).power_shares
    return {**shares, "rest": float(1 - sum(map(exact, shares.values())))}


_Table = TypeVar("_Table", bound=_Model)


def _shipped(file: str, model: type[_Table]) -> _Table:
    text = (resources.files("sim.reference") / "data" / file).read_text(encoding="utf-8")
    return validate(model, parse_document(text, file))
