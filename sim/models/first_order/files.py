"""The estimator's own example beside networks of ours: AlexNet without groups, pruned."""

from __future__ import annotations

from importlib import resources
from typing import Final

from workloads.inputs.document import parse_document
from workloads.network import Network, load_network, network_from_document
from workloads.precision import SHIPPED, Precision, load_precisions

__all__ = ["EXAMPLE_NETWORK", "example_network", "example_precisions", "find_network"]

EXAMPLE_NETWORK: Final = "alexnet_ungrouped"


def find_network(name_or_path: str) -> Network:
    """Return the original's network by its name, or any other as `load_network` finds it."""
    return example_network() if name_or_path == EXAMPLE_NETWORK else load_network(name_or_path)


def example_precisions() -> dict[str, Precision]:
    """Return the original's example: AlexNet pruned and quantised, by layer."""
    return load_precisions(SHIPPED)


def example_network() -> Network:
    """Return the original's network: AlexNet without groups."""
    name = f"{EXAMPLE_NETWORK}.yaml"
    file = resources.files("sim.models.first_order") / "data" / name
    return network_from_document(parse_document(file.read_text(encoding="utf-8"), name))
