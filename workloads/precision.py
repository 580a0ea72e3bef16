"""How layers are compressed: bits of weights and activations, and the share of weights pruned.

A precision file goes with a network and names no chip and no energy; the ledger's prices and the
first-order estimator both read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from workloads.inputs.document import parse_document, read_document
from workloads.inputs.faults import MAX_FAULTS, InputError, in_order
from workloads.inputs.models import validate
from workloads.inputs.words import unknown_name
from workloads.network import Network

__all__ = ["FULL_BITS", "SHIPPED", "Precision", "load_precisions"]

FULL_BITS: Final = 16
SHIPPED: Final = "alexnet_pruned"
"""The shipped precision file: AlexNet pruned and quantised, `workloads/data/precision`."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How a layer is compressed: share of weights pruned (z), bits of a weight, of an activation.

    Raises `ValueError` for a share outside 0 to 1 and for bits outside 1 to 64.
    """

    pruned: float = 0.0
    weight_bits: int = FULL_BITS
    activation_bits: int = FULL_BITS

    def __post_init__(self) -> None:
        if not 0 <= self.pruned <= 1:  # written so that nan fails, too
            raise ValueError(f"pruned must be between 0 and 1, got {self.pruned}")
        for name in ("weight_bits", "activation_bits"):
            bits = getattr(self, name)
            if not 1 <= bits <= 64:
                raise ValueError(f"{name} must be 1 to 64, got {bits}")


class _PrecisionEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    pruned: float = Field(default=0.0, ge=0, le=1)
    weight_bits: int = Field(default=FULL_BITS, ge=1, le=64)
    activation_bits: int = Field(default=FULL_BITS, ge=1, le=64)


class _PrecisionFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: str = ""
    layers: dict[str, _PrecisionEntry] = Field(
        description="layer name -> {pruned, weight_bits, activation_bits}", min_length=1
    )


def load_precisions(name_or_path: str, network: Network | None = None) -> dict[str, Precision]:
    """Read pruning and widths by layer: the shipped example by its name, or a YAML file.

    Layers are named as `network` spells them, as the file does where that is None.

    Raises `InputError` with every fault of the file, and of layers that the network does not have,
    in any case.
    """
    if name_or_path == SHIPPED:
        file = f"{name_or_path}.yaml"
        shipped = resources.files("workloads") / "data" / "precision" / file
        document = parse_document(shipped.read_text(encoding="utf-8"), file)
    else:
        document = read_document(name_or_path)
    layers = validate(_PrecisionFile, document).layers
    precisions = {name: Precision(**entry.model_dump()) for name, entry in layers.items()}
    if network is None:
        return precisions
    names = {layer.name.casefold(): layer.name for layer in network.layers}
    unknown = [name for name in precisions if name.casefold() not in names]
    if unknown:
        faults = [
            document.fault(("layers", name), unknown_name("layer", name, names.values()))
            for name in unknown[:MAX_FAULTS]
        ]
        raise InputError(*in_order(faults, len(unknown) - len(faults)))
    return {names[name.casefold()]: given for name, given in precisions.items()}
