"""FODLAM's look-up and scaling, and how far to trust them.

A layer of AlexNet or VGG-16 is looked up. Any other is scaled: its MACs times the average cost of a
MAC over all layers of its kind in both networks.

The figures are for different numbers of images. Those of Eyeriss are for its batch, 4 of AlexNet
and 3 of VGG-16, those of EIE for one image, and the original adds them up as they are; its average
cost of a MAC is that of a batch over the MACs of one image. Here `as_published` is the original's
arithmetic, and `per_image` divides each figure by the images it is for.

All numbers are exact fractions of the published decimals; `to_dict` gives the nearest floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from sim.models.fodlam.figures import (
    KINDS,
    NETWORKS,
    Basis,
    Cost,
    LayerKind,
    measured_layers,
)
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import unknown_name
from workloads.layer import Layer
from workloads.network import Network

__all__ = [
    "EstimatedLayer",
    "FodlamResult",
    "LayerMacs",
    "average_cost_per_mac",
    "diagnose",
    "estimate_network",
    "look_up",
    "macs_of",
    "normal_name",
    "require_known",
    "scale",
]


@dataclass(frozen=True, slots=True)
class LayerMacs:
    """What scaling needs of a layer: its kind and the MACs of one image."""

    name: str
    kind: LayerKind
    macs: int


@dataclass(frozen=True, slots=True)
class EstimatedLayer:
    """One layer of a result; `images` is None where it is scaled: the average mixes batches."""

    name: str
    kind: LayerKind
    way: Literal["look-up", "scaled"]
    macs: int
    images: int | None
    as_published: Cost
    per_image: Cost

    def to_dict(self) -> dict[str, Any]:
        """Return the layer as plain data; `energy` and `latency` are those as published."""
        return {
            "name": self.name,
            "kind": self.kind,
            "way": self.way,
            "macs": self.macs,
            "images": self.images,
            **self.as_published.to_dict(),
            "per_image": self.per_image.to_dict(),
        }


@dataclass(frozen=True)
class FodlamResult:
    """The cost of the chosen layers."""

    network: str
    layers: tuple[EstimatedLayer, ...]

    def cost(self, kind: LayerKind | None = None, basis: Basis = "as_published") -> Cost:
        """Return the cost of the layers of a kind, of all where None."""
        costs = (
            layer.as_published if basis == "as_published" else layer.per_image
            for layer in self.layers
            if kind in (None, layer.kind)
        )
        return sum(costs, Cost())

    def totals(self, basis: Basis = "as_published") -> dict[str, dict[str, float]]:
        """Return the original's output: `conv`, `fc`, `total`, each energy (J) and latency (s)."""
        return {
            "conv": self.cost("conv", basis).to_dict(),
            "fc": self.cost("fc", basis).to_dict(),
            "total": self.cost(None, basis).to_dict(),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of the figures as published has to know."""
        images = sorted({layer.images for layer in self.layers if layer.images is not None})
        notes: list[str] = []
        if len(images) > 1:
            listed = " and ".join(str(number) for number in images)
            notes.append(
                f"the figures as published add layers measured on {listed} images; per_image "
                "divides each by its own"
            )
        elif images and images != [1]:
            notes.append(f"the figures as published are for a batch of {images[0]} images")
        if any(layer.way == "scaled" and layer.kind == "conv" for layer in self.layers):
            notes.append(
                "scaled convolutions as published are the cost of a batch of 4 or 3 over the MACs "
                "of one image; per_image is the cost of one"
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return the original's output, the same per image, the layers and the notes."""
        return {
            **self.totals(),
            "per_image": self.totals("per_image"),
            "network": self.network,
            "layers": [layer.to_dict() for layer in self.layers],
            "notes": list(self.notes),
        }


# --- the cost of a MAC ----------------------------------------------------------------------------


def average_cost_per_mac(basis: Basis = "as_published") -> dict[LayerKind, Cost]:
    """Return the cost of a MAC by kind of layer, over all layers of both networks.

    On the basis `as_published` it is the original's, a batch's cost over one image's MACs.
    """
    averages: dict[LayerKind, Cost] = {}
    for kind in KINDS:
        layers = [layer for layer in measured_layers() if layer.kind == kind]
        cost = sum((layer.cost_on(basis) for layer in layers), Cost())
        averages[kind] = cost.times(Fraction(1, sum(layer.macs for layer in layers)))
    return averages


def diagnose() -> dict[str, Any]:
    """Return the cost of a MAC in every layer and on average: how far scaling can be trusted.

    basis -> `per_layer` (`energy` in J or `latency` in s -> network -> layer) and `average`
    (-> kind). The average of a basis is what `scale` multiplies with.
    """
    bases: tuple[Basis, ...] = ("as_published", "per_image")
    return {basis: _diagnosis(basis) for basis in bases}


def _diagnosis(basis: Basis) -> dict[str, Any]:
    per_layer: dict[str, dict[str, dict[str, float]]] = {"energy": {}, "latency": {}}
    for layer in measured_layers():
        per_mac = layer.cost_on(basis).times(Fraction(1, layer.macs)).to_dict()
        for figure, value in per_mac.items():
            per_layer[figure].setdefault(layer.network, {})[layer.name] = value
    averages = {kind: cost.to_dict() for kind, cost in average_cost_per_mac(basis).items()}
    return {
        "per_layer": per_layer,
        "average": {
            figure: {kind: cost[figure] for kind, cost in averages.items()}
            for figure in ("energy", "latency")
        },
    }


# --- the two ways ---------------------------------------------------------------------------------


def look_up(network: str, layers: Sequence[str]) -> FodlamResult:
    """Look up layers of AlexNet or VGG-16; a layer named twice counts twice.

    Names match in any case, and with `_` for `-`.

    Raises `InputError` for a network or layers without published figures.
    """
    name = NETWORKS.get(_folded(network))
    if name is None:
        message = unknown_name("network with published figures", network, NETWORKS.values())
        raise InputError(Fault("", None, "net", message))
    known = {normal_name(layer.name): layer for layer in measured_layers() if layer.network == name}
    require_known(layers, known, name)
    return FodlamResult(
        name,
        tuple(
            EstimatedLayer(
                layer.name,
                layer.kind,
                "look-up",
                layer.macs,
                layer.images,
                layer.cost,
                layer.cost_on("per_image"),
            )
            for layer in (known[normal_name(wanted)] for wanted in layers)
        ),
    )


def scale(network: str, layers: Iterable[LayerMacs]) -> FodlamResult:
    """Scale layers of any network: the MACs of each times the average cost of its kind."""
    published, single = average_cost_per_mac(), average_cost_per_mac("per_image")
    return FodlamResult(
        network,
        tuple(
            EstimatedLayer(
                layer.name,
                layer.kind,
                "scaled",
                layer.macs,
                None,
                published[layer.kind].times(layer.macs),
                single[layer.kind].times(layer.macs),
            )
            for layer in layers
        ),
    )


def estimate_network(network: Network, *, scaled: bool = False) -> FodlamResult:
    """Estimate the cost of a network of ours.

    AlexNet and VGG-16 are looked up unless `scaled`; for every other network, and for a network of
    theirs with other layers, each layer is scaled.
    """
    names = [layer.name for layer in network.layers]
    if not scaled and _is_published(network):
        return look_up(network.name, names)
    return scale(network.name, map(macs_of, network.layers))


def _is_published(network: Network) -> bool:
    name = NETWORKS.get(_folded(network.name))
    figures = {layer.name: layer for layer in measured_layers() if layer.network == name}
    return bool(figures) and all(
        layer.name in figures and layer.macs_per_image == figures[layer.name].macs
        for layer in network.layers
    )


def macs_of(layer: Layer) -> LayerMacs:
    """Return what scaling needs of a layer of ours."""
    return LayerMacs(layer.name, "fc" if layer.kind == "fc" else "conv", layer.macs_per_image)


def require_known(layers: Sequence[str], known: Mapping[str, Any], network: str) -> None:
    """Raise `InputError` for names of layers that are not among the normal names of `known`."""
    names = [layer.name for layer in known.values()]
    faults = [
        Fault("", None, "layers", f"{network} has {unknown_name('layer', name, names)}")
        for name in dict.fromkeys(layers)
        if normal_name(name) not in known
    ]
    if faults:
        raise InputError(*faults)


def normal_name(name: str) -> str:
    """Return a layer's name in upper case with `-` for `_`, so that both spellings are one."""
    return name.upper().replace("_", "-")


def _folded(network: str) -> str:
    return network.casefold().replace("-", "").replace("_", "")
