"""The fit of prices to the chip: what goes in, what comes out, and the shipped file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import lsq_linear

import hw_models.energy
from hw_models.energy import load_energy_table
from hw_models.vocabulary import ACTIONS
from sim.cli import main
from sim.reference import calibration
from sim.reference.calibration import (
    GROUPS,
    SHARES,
    calibrate,
    observations,
    table_text,
)
from sim.reference.tables import FITTED_TABLE
from sim.run import estimate, load_pricing

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
    assert table.noc.local_word == prices["noc.local_word"] == 1
    for part in ("pe", "noc", "glb", "rest"):
        assert getattr(table.static, part) == prices[f"static.{part}"]
    assert all(price > 0 for price in prices.values())


def test_the_glb_has_the_published_price_and_the_mac_divides_as_in_its_source() -> None:
    source, prices = load_energy_table("timeloop_65nm_8bit"), calibrate().prices
    # 8-bit words there, 16-bit here: a MAC follows both operands, an access its word.
    assert prices["glb.read"] == pytest.approx(2 * (source.glb.read or 0), rel=1e-3)
    assert prices["glb.write"] == pytest.approx(2 * (source.glb.write or 0), rel=1e-3)
    spads = [source.spad.ifmap.read, source.spad.filter.read]
    spads += [source.spad.psum.read, source.spad.psum.write]
    expected = 2 * (source.mac.active or 0) / sum(price or 0 for price in spads)
    assert prices["mac.active"] / prices["spad.filter.read"] == pytest.approx(expected, rel=1e-3)


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
    assert features["constant"] == layer.cycles
    # A gated MAC costs nothing, and reads no filter.
    assert e["spad.filter.read"] == e["mac.active"]
    assert features["MAC"] == pytest.approx(e["mac.active"])


def test_the_fit_is_the_least_squares_one() -> None:
    """Against another solver, with the rows written out here."""
    layers = observations()
    names = [group.name for group in GROUPS]
    rows = np.array([[value / layer.measured_pj for value in layer.features] for layer in layers])
    fitted = [names.index("constant"), names.index("MAC")]
    given = rows[:, [names.index("GLB"), names.index("NoC")]].sum(axis=1)
    other = lsq_linear(rows[:, fitted], 1 - given, tol=1e-14).x
    scales = calibrate().scales
    assert [scales["constant"], scales["MAC"]] == pytest.approx(list(other), rel=1e-5)
    assert scales["GLB"] == scales["NoC"] == 1
    assert calibrate().constant_mw == pytest.approx(204, abs=0.5)
    assert scales["MAC"] == pytest.approx(6.1, abs=0.05)


@pytest.mark.parametrize("price", [0.5, 2.0])
def test_the_chosen_price_of_the_noc_hardly_matters(
    price: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "NOC_PJ", price)
    monkeypatch.setattr(calibration, "GROUPS", calibration._groups())
    observations.cache_clear()
    try:
        assert calibrate().left_out_error == pytest.approx(0.0384, abs=0.001)
    finally:
        observations.cache_clear()


def test_shares_of_what_is_published_add_up() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert sum(calibrate().shares.values()) == pytest.approx(1)


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


def test_the_text_and_the_fit_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert main(["calibrate"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "worst AlexNet CONV5, +7.9 %" in " ".join(text.split())
    assert main(["calibrate", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["table"] == FITTED_TABLE
    assert found["worst"] == "CONV5"
    assert len(found["layers"]) == 18
    assert main(["calibrate", "--json", "-", "-o", "-"]) == 2
    assert "cannot both be stdout" in capsys.readouterr().err
