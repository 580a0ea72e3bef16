"""The facade of the published tables: networks simulated as they ran on the chip, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hw_models.load import load_hardware
from sim.errors import Fault, InputError
from sim.mapper.choose import shipped_mappings
from sim.reference.comparison import (
    NetworkValidation,
    Power,
    Validation,
    chip_power_mw,
    compare_with_published,
)
from sim.reference.tables import FITTED_TABLE, NETWORKS, load_published
from sim.run import load_pricing, prepare, simulate
from workloads.network import load_network

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.account.result import Pricing, Result
    from sim.reference.tables import Published
    from workloads.layer import Layer
    from workloads.network import Network


def validate(
    networks: Sequence[str] = NETWORKS,
    *,
    hw: str = "eyeriss_v1",
    settings: Sequence[str] = (),
    pricing: Pricing | None = None,
    power: Power = chip_power_mw,
) -> Validation:
    """Simulate networks with published figures and compare every cell of them.

    A layer runs at the published batch under its published mapping, or the inferred one where none
    is published. Where a second reading of the mapping is shipped, the layer runs under that, too.

    Args:
        networks: of `NETWORKS`; one that is named twice counts once.
        hw: the name of a shipped chip or the path of a file.
        settings: fields of the chip to change, as in `dram.overlap=full`.
        pricing: what accesses cost (`sim.run.load_pricing`); the table that was fitted to the chip
            where None. A normalised table gives no power.
        power: gives a layer's power in mW from its result, None where it is not known.

    Raises:
        InputError: a network has no published figures, the chip cannot be read, or it refuses one
            of the layers.

    """
    chip = load_hardware(hw, settings)
    if pricing is None:
        pricing = load_pricing(FITTED_TABLE)
    done = [_validate_network(network, chip, pricing, power) for network in dict.fromkeys(networks)]
    return Validation(chip, tuple(done), tuple(settings))


def _validate_network(
    network: str, hw: Hardware, pricing: Pricing, power: Power
) -> NetworkValidation:
    published = load_published(network)
    mappings = shipped_mappings(network)
    assert mappings is not None
    loaded = load_network(network)

    def simulated(network_: Network, mapping: str, layers: Sequence[str]) -> Result | None:
        if not layers:  # to `prepare` that is all of them
            return None
        prepared = prepare(network_, layers=layers, batch=published.batch, hw=hw, mapping=mapping)
        if prepared.refused:
            raise InputError(
                *(
                    Fault("", None, f"{network} {layer.name}", reason)
                    for layer in prepared.refused
                    for reason in layer.reasons
                )
            )
        return simulate(prepared, pricing=pricing)

    result = simulated(loaded, "published", list(published.layers))
    assert result is not None
    alternative = simulated(loaded, "alternative", mappings.alternatives())
    most = simulated(_with_most_zeros(loaded, published), "published", list(published.pooled))
    return compare_with_published(published, result, alternative, most, power=power)


def _with_most_zeros(network: Network, published: Published) -> Network:
    """Return the network with ofmaps before a pooling as if their zeros fell independently."""

    def changed(layer: Layer) -> Layer:
        words, zeros = published.pooled.get(layer.name, 1), layer.ofmap_zero_fraction
        if words == 1 or zeros is None:
            return layer
        return replace(layer, ofmap_zero_fraction=round(zeros ** (1 / words), 9))

    return replace(network, layers=tuple(map(changed, network.layers)))
