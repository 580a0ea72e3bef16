"""The fit of prices to the chip: what goes in, what comes out, and the shipped file."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import lsq_linear

import hw_models.energy
from hw_models.energy import load_energy_table
from sim.cli import main
from sim.reference.calibration import (
    GROUPS,
    SHARES,
    calibrate,
    observations,
    table_text,
)
from sim.reference.tables import FITTED_TABLE
from sim.run import estimate, load_pricing
from vocabulary import ACTIONS
from workloads.inputs.faults import InputError

SHIPPED = Path(hw_models.energy.__file__).parent / "data" / "energy" / f"{FITTED_TABLE}.yaml"


def test_the_command_writes_the_shipped_table(tmp_path: Path) -> None:
    file = tmp_path / "table.yaml"
    assert main(["calibrate", "--quiet", "-o", str(file)]) == 0
    assert file.read_bytes() == SHIPPED.read_bytes()


def test_the_shipped_table_holds_the_fitted_prices() -> None:
    table, prices = load_energy_table(FITTED_TABLE), calibrate().prices
    assert table.mac.active == prices["mac.active"]
    assert table.spad.filter.read == prices["spad.filter.read"]
    assert table.price(ACTIONS["glb.psum.write"].prices) == prices["glb.write"]
    assert table.noc.local_word == prices["noc.local_word"]
    assert (table.static.pe, table.static.rest) == (prices["static.pe"], prices["static.rest"])
    assert all(price > 0 for price in prices.values())


def test_a_group_without_effect_on_the_ratios_of_its_source() -> None:
    source, prices = load_energy_table("timeloop_65nm_8bit"), calibrate().prices
    # 8-bit words there, 16-bit here: a MAC follows both operands, an access its word.
    mac = Fraction(str(prices["mac.active"])) / Fraction(str(source.mac.active))
    spad = Fraction(str(prices["spad.filter.read"])) / Fraction(str(source.spad.filter.read))
    assert float(mac / spad) == pytest.approx(2, rel=1e-3)  # four digits
    assert prices["glb.read"] / prices["glb.write"] == pytest.approx(
        (source.glb.read or 0) / (source.glb.write or 1), rel=1e-3
    )


def test_observations_are_measured_energies_at_the_published_time() -> None:
    found = {(layer.network, layer.layer): layer for layer in observations()}
    assert len(found) == 18
    conv1 = found["AlexNet", "CONV1"]
    assert conv1.measured_pj == pytest.approx(0.332 * 0.0209 * 1e12)  # 332 mW, 20.9 ms
    assert conv1.cycles == 4_180_000  # 20.9 ms at 200 MHz
    assert conv1.power_mw == pytest.approx(332)
    (result,) = estimate("alexnet", layers=["CONV1"]).layers
    assert conv1.entries == result.entries
    assert conv1.simulated_cycles == result.total_cycles
    # Zero gating comes from the published zero fractions.
    assert found["VGG16", "CONV5-3"].entries["mac.gated"] > 0


def test_features_are_counts_times_ratios() -> None:
    layer = observations()[1]
    features = dict(zip((group.name for group in GROUPS), layer.features, strict=True))
    e = layer.entries
    assert features["NoC"] == sum(
        e[name]
        for name in (
            "noc.gin_ifmap.deliveries",
            "noc.gin_filter.deliveries",
            "noc.gin_psum.deliveries",
            "noc.gon_psum.words",
            "noc.local_psum.words",
        )
    )
    assert features["PE cycles"] == 168 * layer.cycles
    assert features["rest"] == layer.cycles


def test_the_fit_is_the_least_squares_one() -> None:
    """Against another solver, with the rows written out here."""
    layers = observations()
    rows = [[value / layer.measured_pj for value in layer.features] for layer in layers]
    alexnet = [layer for layer in layers if layer.network == "AlexNet"]
    whole = sum(layer.measured_pj for layer in alexnet)
    for part, share in SHARES.items():
        rows.append(
            [
                sum(layer.features[place] for layer in alexnet) / (share * whole)
                if group.part == part
                else 0.0
                for place, group in enumerate(GROUPS)
            ]
        )
    matrix = np.array(rows)
    size = matrix.max(axis=0)
    other = lsq_linear(matrix / size, np.ones(len(rows)), bounds=(0, np.inf), tol=1e-14).x / size
    assert list(calibrate().scales.values()) == pytest.approx(list(other), rel=1e-5)


def test_shares_of_what_is_published_add_up() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert sum(calibrate().shares.values()) == pytest.approx(1)
    assert {group.part for group in GROUPS} == set(SHARES)


def test_the_power_in_a_run_is_what_estimate_prints() -> None:
    result = estimate("alexnet", layers=["CONV3"], pricing=load_pricing(FITTED_TABLE))
    energy = result.layers[0].energy
    assert energy is not None
    (fitted,) = (layer for layer in calibrate().layers if layer.layer == "CONV3")
    assert float(energy.chip_power_w or 0) * 1e3 == pytest.approx(fitted.run_mw)
    assert set(energy.unpriced) == {"dram.filter.read", "dram.ifmap.read", "dram.ofmap.write"}
    assert energy.average_power_w == energy.chip_power_w


def test_the_text_ends_as_it_began() -> None:
    assert table_text(calibrate()) == table_text(calibrate())


def test_without_scipy_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(InputError, match="needs SciPy, which is not installed"):
        calibrate()
    assert main(["calibrate"]) == 2
    assert capsys.readouterr().err == (
        "error: calibrate: needs SciPy, which is not installed: "
        "pip install 'eyeriss-sim[calibrate]'\n"
    )


def test_the_text_and_the_fit_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert main(["calibrate"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "worst VGG16 CONV1-1, -21.2 %" in " ".join(text.split())
    assert main(["calibrate", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["table"] == FITTED_TABLE
    assert found["worst"] == "CONV1-1"
    assert len(found["layers"]) == 18
    assert main(["calibrate", "--json", "-", "-o", "-"]) == 2
    assert "cannot both be stdout" in capsys.readouterr().err
