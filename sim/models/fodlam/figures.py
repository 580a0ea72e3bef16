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

from sim.reference.tables import load_published
from workloads.inputs.document import parse_document
from workloads.inputs.models import validate
from workloads.inputs.words import exact
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
        """Return both figures times `factor`."""
        return Cost(self.energy_j * factor, self.latency_s * factor)

    def to_dict(self) -> dict[str, float]:
        """Return the two figures under the original's names."""
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
        """Return the cost as published, or of one image."""
        return self.cost if basis == "as_published" else self.cost.times(Fraction(1, self.images))


class _Eie(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: str
    process_nm: int = Field(ge=1)
    power_w: float = Field(gt=0)
    batch: int = Field(ge=1)
    networks: dict[str, dict[str, float]]


def normalise(
    seconds: Fraction, watts: Fraction, from_nm: int, to_nm: int = TARGET_NM
) -> tuple[Fraction, Fraction]:
    """Scale time with the ratio of feature sizes, and power with its square."""
    ratio = Fraction(to_nm, from_nm)
    return seconds * ratio, watts * ratio**2


@lru_cache(maxsize=1)
def measured_layers() -> tuple[MeasuredLayer, ...]:
    """Return every layer of AlexNet and VGG-16 with its published cost at 65 nm."""
    file = "eie.yaml"
    text = (resources.files("sim.models.fodlam") / "data" / file).read_text(encoding="utf-8")
    eie = validate(_Eie, parse_document(text, file))
    layers: list[MeasuredLayer] = []
    for key, name in NETWORKS.items():
        macs = {layer.name: layer.macs_per_image for layer in load_network(key).layers}
        eyeriss = load_published(key)  # a chip of 65 nm: nothing to normalise
        for layer, figure in eyeriss.layers.items():
            seconds, watts = exact(figure.total_ms) / 10**3, exact(figure.power_mw) / 10**3
            cost = Cost(seconds * watts, seconds)
            layers.append(MeasuredLayer(name, layer, "conv", macs[layer], eyeriss.batch, cost))
        for layer, microseconds in eie.networks[key].items():
            seconds, watts = normalise(
                exact(microseconds) / 10**6, exact(eie.power_w), eie.process_nm
            )
            cost = Cost(seconds * watts, seconds)
            layers.append(MeasuredLayer(name, layer, "fc", macs[layer], eie.batch, cost))
    return tuple(layers)
