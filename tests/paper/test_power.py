"""Power of the chip (JSSC 2017, Tables V and VI) against the table that is fitted to it.

The chip's power is without DRAM. The prices are fitted to these 18 powers, so what counts is the
error of a layer that was left out of the fit. The shares of power are observations of the fit, too,
taken as those of AlexNet's convolutions together.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sim.check.calibration import TABLE_NAME, Calibration, calibrate
from sim.run import estimate, load_pricing

Tell = Callable[[str, str], None]

MEASURED_MW = {
    "AlexNet": [332, 288, 266, 235, 236],
    "VGG16": [247, 218, 242, 231, 254, 235, 233, 278, 261, 240, 258, 236, 230],
}
NETWORK_MW = {"alexnet": 278, "vgg16": 236}
SHARES = {"PE array": 0.778, "NoC": 0.156, "GLB": 0.027}


@pytest.fixture(scope="module")
def fit() -> Calibration:
    return calibrate()


def test_the_measured_powers(fit: Calibration) -> None:
    for network, powers in MEASURED_MW.items():
        found = [layer.measured_mw for layer in fit.layers if layer.network == network]
        assert found == pytest.approx(powers)


def test_a_layer_that_is_left_out_is_within_10_percent_on_average(
    fit: Calibration, tell: Tell
) -> None:
    assert fit.left_out_error <= 0.10
    assert fit.fitted_error <= fit.left_out_error
    # These layers are off by more than the mean may be; any other would be news.
    far = {layer.layer for layer in fit.layers if abs(layer.left_out_error) > 0.10}
    assert far == {"CONV1", "CONV4", "CONV5", "CONV1-1"}
    assert fit.worst.layer == "CONV1-1"
    assert abs(fit.worst.left_out_error) <= 0.22
    tell(
        "power of the chip, each layer left out of the fit",
        f"mean error {100 * fit.left_out_error:.1f} %, worst {fit.worst.network} "
        f"{fit.worst.layer} {100 * fit.worst.left_out_error:+.1f} %",
    )


def test_shares_of_power(fit: Calibration, tell: Tell) -> None:
    for part, share in SHARES.items():
        assert fit.shares[part] == pytest.approx(share, abs=0.01)
        tell(
            "shares of AlexNet's power",
            f"{part} {100 * fit.shares[part]:.1f} %, published {100 * share:.1f} %",
        )


@pytest.mark.parametrize(("network", "batch"), [("alexnet", 4), ("vgg16", 3)])
def test_power_of_a_network(network: str, batch: int) -> None:
    shown = {"alexnet": "AlexNet", "vgg16": "VGG16"}[network]
    layers = [layer.layer for layer in calibrate().layers if layer.network == shown]
    result = estimate(network, layers=layers, batch=batch, pricing=load_pricing(TABLE_NAME))
    energy = result.energy
    assert energy is not None
    assert energy.chip_power_w is not None
    assert float(energy.chip_power_w) * 1e3 == pytest.approx(NETWORK_MW[network], rel=0.025)
