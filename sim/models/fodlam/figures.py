"""The measured layers that FODLAM builds on, each with its published cost.

Convolutions cost what the Eyeriss chip took for them (JSSC 2017, Tables V and VI: power times total
latency), fully connected layers what EIE took (ISCA 2016: one power for all, times each layer's
time), brought from 45 to 65 nm by classic scaling: time with the feature size, power with its
square.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from workloads.document import exact, parse_document, validate
from workloads.network import load_network

__all__ = [
    "KINDS",
    "NETWORKS",
    "Basis",
    "Cost",
    "LayerKind",
    "MeasuredLayer",
    "measured_layers",
    "normalise",
]

LayerKind: TypeAlias = Literal["conv", "fc"]
Basis: TypeAlias = Literal["as_published", "per_image"]

KINDS: Final[tuple[LayerKind, ...]] = ("conv", "fc")
TARGET_NM: Final = 65

NETWORKS: Final = {"alexnet": "AlexNet", "vgg16": "VGG16"}


@dataclass(frozen=True, slots=True)
class Cost:
    """Energy in joules and latency in seconds."""

    energy_j: Fraction = Fraction()
    latency_s: Fraction = Fraction()

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.energy_j + other.energy_j, self.latency_s + other.latency_s)

    def times(self, factor: Fraction | int) -> Cost:
        """Both figures times `factor`."""
        return Cost(self.energy_j * factor, self.latency_s * factor)

    def to_dict(self) -> dict[str, float]:
        """The two figures under the original's names."""
        return {"energy": float(self.energy_j), "latency": float(self.latency_s)}


@dataclass(frozen=True, slots=True)
class MeasuredLayer:
    """A layer with published figures: `cost` is for `images` images, `macs` for one."""

    network: str
    name: str
    kind: LayerKind
    macs: int
    images: int
    cost: Cost

    def cost_on(self, basis: Basis) -> Cost:
        """The cost as published, or of one image."""
        return self.cost if basis == "as_published" else self.cost.times(Fraction(1, self.images))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Measured(_Strict):
    power_mw: float = Field(gt=0)
    total_ms: float = Field(gt=0)


class _Batch(_Strict):
    batch: int = Field(ge=1)
    layers: dict[str, _Measured]


class _Eyeriss(_Strict):
    process_nm: int = Field(ge=1)
    networks: dict[str, _Batch]


class _Eie(_Strict):
    process_nm: int = Field(ge=1)
    power_w: float = Field(gt=0)
    batch: int = Field(ge=1)
    networks: dict[str, dict[str, float]]


class _Figures(_Strict):
    source: str
    eyeriss: _Eyeriss
    eie: _Eie


def normalise(
    seconds: Fraction, watts: Fraction, from_nm: int, to_nm: int = TARGET_NM
) -> tuple[Fraction, Fraction]:
    """Time and power moved to another process: times the ratio of sizes, times its square."""
    ratio = Fraction(to_nm, from_nm)
    return seconds * ratio, watts * ratio**2


@lru_cache(maxsize=1)
def measured_layers() -> tuple[MeasuredLayer, ...]:
    """Every layer of AlexNet and VGG-16 with its published cost at 65 nm."""
    file = "published.yaml"
    text = (resources.files("sim.models.fodlam") / "data" / file).read_text(encoding="utf-8")
    figures = validate(_Figures, parse_document(text, file))
    found: list[MeasuredLayer] = []
    for key, name in NETWORKS.items():
        macs = {layer.name: layer.macs_per_image for layer in load_network(key).layers}
        measured = figures.eyeriss.networks[key]
        for layer, figure in measured.layers.items():
            seconds, watts = normalise(
                exact(figure.total_ms) / 10**3,
                exact(figure.power_mw) / 10**3,
                figures.eyeriss.process_nm,
            )
            cost = Cost(seconds * watts, seconds)
            found.append(MeasuredLayer(name, layer, "conv", macs[layer], measured.batch, cost))
        for layer, microseconds in figures.eie.networks[key].items():
            seconds, watts = normalise(
                exact(microseconds) / 10**6, exact(figures.eie.power_w), figures.eie.process_nm
            )
            cost = Cost(seconds * watts, seconds)
            found.append(MeasuredLayer(name, layer, "fc", macs[layer], figures.eie.batch, cost))
    return tuple(found)
