"""The chip's published figures: the one copy of each, with its source.

Layers of AlexNet and VGG-16 (JSSC 2017, Tables V and VI; a bar chart of ISSCC 2016) and the shares
of power are in `sim/reference/data`. The tables' zero fractions of ifmaps are in the network files,
Table III's mappings in `sim/plan/data`. Marks say which figures are read off a chart and which are
corrected misprints.
"""

from __future__ import annotations

from importlib import resources
from typing import Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from workloads.inputs.document import parse_document
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.models import validate
from workloads.inputs.words import exact, unknown_name

__all__ = [
    "FITTED_TABLE",
    "NETWORKS",
    "Mark",
    "Published",
    "PublishedLayer",
    "load_power_shares",
    "load_published",
]

NETWORKS: Final = ("alexnet", "vgg16")
FITTED_TABLE: Final = "eyeriss_65nm_calibrated"
"""The shipped energy table that `sim.reference.calibration` fits to these powers."""

Mark: TypeAlias = Literal["inferred", "assumed", "fitted", "read_off", "corrected"]
"""What a figure rests on: the first three a simulated one, the other two a published one."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    columns read off charts; `corrected` gives the reason of every cell that was corrected.
    """

    network: str
    source: str
    table: str
    batch: int = Field(ge=1)
    mapping: Literal["published", "inferred"]
    layers: dict[str, PublishedLayer]
    totals: _Totals
    figures: dict[str, _Figure] = Field(default_factory=dict)
    corrected: dict[str, dict[str, str]] = Field(default_factory=dict)

    def value(self, layer: str, column: str) -> float | None:
        """Return the published figure of a layer; None where there is none."""
        if column in self.figures:
            return self.figures[column].layers.get(layer)
        found: float | None = getattr(self.layers[layer], column, None)
        return found

    def total(self, column: str) -> float | None:
        """Return the published figure of all layers; None where there is none."""
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
