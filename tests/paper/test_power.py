"""Power of the chip (JSSC 2017, Tables V and VI) against the table that is fitted to it.

The chip's power is without DRAM. Two numbers are fitted to these 18 powers, so what counts is the
error of a layer that was left out of the fit. The shares of power, taken as those of AlexNet's
convolutions together, divide the constant and take no part in the fit.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sim.reference.calibration import Calibration, calibrate
from sim.reference.tables import FITTED_TABLE, NETWORKS, load_power_shares, load_published
from sim.run import estimate, load_pricing

Tell = Callable[[str, str], None]

SHOWN = {"alexnet": "AlexNet", "vgg16": "VGG16"}


@pytest.fixture(scope="module")
def fit() -> Calibration:
    return calibrate()


def test_the_measured_powers(fit: Calibration) -> None:
    for network, shown in SHOWN.items():
        found = [layer.measured_mw for layer in fit.layers if layer.network == shown]
        powers = [layer.power_mw for layer in load_published(network).layers.values()]
        assert found == pytest.approx(powers)


def test_a_layer_that_is_left_out_is_within_4_percent_on_average(
    fit: Calibration, tell: Tell
) -> None:
    assert fit.left_out_error <= 0.04
    assert fit.fitted_error <= fit.left_out_error
    assert abs(fit.worst.left_out_error) <= 0.08
    tell(
        "power of the chip, each layer left out of the fit",
        f"mean error {100 * fit.left_out_error:.1f} %, worst {fit.worst.network} "
        f"{fit.worst.layer} {100 * fit.worst.left_out_error:+.1f} %",
    )


def test_shares_of_power(fit: Calibration, tell: Tell) -> None:
    for part, share in load_power_shares().items():
        assert fit.shares[part] == pytest.approx(share, abs=0.0001)
        tell(
            "shares of AlexNet's power",
            f"{part} {100 * fit.shares[part]:.1f} %, published {100 * share:.1f} %",
        )


@pytest.mark.parametrize("network", NETWORKS)
def test_power_of_a_network(network: str) -> None:
    published = load_published(network)
    result = estimate(
        network,
        layers=list(published.layers),
        batch=published.batch,
        pricing=load_pricing(FITTED_TABLE),
    )
    energy = result.energy
    assert energy is not None
    assert energy.chip_power_w is not None
    assert float(energy.chip_power_w) * 1e3 == pytest.approx(published.total("power_mw"), rel=0.025)
