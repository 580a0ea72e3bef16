"""Energy on the command line: tables, breakdowns, and the audit."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from command_line import Capture, data, error, out, row, section

from hw_models.energy import shipped_energy_tables
from sim.cli import main
from sim.report.tables import energy_unit, shares
from sim.report.text.summary import render_result
from sim.run import estimate, load_pricing
from workloads.inputs.faults import InputError
from workloads.network import load_network


class TestBreakdown:
    def test_rows_and_columns_are_the_results(self, capsys: Capture) -> None:
        result = estimate("alexnet", layers=["CONV1", "CONV2"])
        text = out(capsys, "estimate", "alexnet", "--layer", "CONV1", "--layer", "CONV2")
        by_level = section(text, "Energy by level, normalised: 1 is the energy of 10^6 MACs")
        by_kind = section(text, "Energy by data type, normalised: 1 is the energy of 10^6 MACs")
        for layer in (*result.layers, None):
            energy = result.energy if layer is None else layer.energy
            assert energy is not None
            name = "all" if layer is None else layer.layer.name
            *levels, static, total = row(by_level, name)
            assert static == "-"  # the default table has no price for it
            values = list(energy.by_level.values())[:-1]
            assert levels == [f"{float(value) / 1e6:,.2f}" for value in values]
            assert total == f"{float(energy.total) / 1e6:,.2f}"
            assert energy.per_mac is not None
            assert energy.energy_delay_product is not None
            parts = list(energy.by_data_type.values())[:-1]
            kinds = [f"{float(value) / 1e6:,.2f}" for value in parts]
            assert row(by_kind, name) == [
                *kinds,
                "-",  # static
                f"{float(energy.per_mac):.2f}",
                f"{float(energy.energy_delay_product):.2e}",
            ]
        said = " ".join(" ".join(by_level).split())
        assert "no price for anything of static, nor for mac.gated (3.467e+08)" in said

    def test_power_where_the_table_knows_it(self, capsys: Capture) -> None:
        args = ["estimate", "alexnet", "--layer", "CONV3", "--energy"]
        text = out(capsys, *args, "nn_dataflow_65nm")
        energy = estimate(
            "alexnet", layers=["CONV3"], pricing=load_pricing("nn_dataflow_65nm")
        ).energy
        assert energy is not None
        assert energy.chip_power_w is not None
        assert energy.average_power_w is not None
        lines = section(text, "Energy by data type, ")
        assert row(lines, "CONV3")[-2] == f"{float(energy.chip_power_w) * 1e3:.1f}"
        said = " ".join(" ".join(lines).split())
        assert f"Average power with DRAM: {float(energy.average_power_w) * 1e3:.1f} mW." in said
        text = out(capsys, *args, "eyeriss_65nm_calibrated")
        assert "with DRAM" not in text
        assert "It has no price for anything of DRAM:" in text
        text = out(capsys, *args, "isca2016")
        assert "Chip: average power" not in text

    def test_a_table_without_gaps_says_so(self, capsys: Capture) -> None:
        # Nothing is gated where no zero fraction is known.
        args = ["--layer", "C3", "--energy", "nn_dataflow_65nm"]
        assert "Everything that was counted has one." in out(capsys, "estimate", "lenet5", *args)

    @pytest.mark.parametrize("name", shipped_energy_tables())
    def test_engine_and_closed_form_agree(self, name: str, capsys: Capture) -> None:
        args = ["lenet5", "--layer", "C3", "--energy", name]
        found = [data(capsys, command, *args)["layers"][0] for command in ("run", "estimate")]
        run, closed = (layer["energy"] for layer in found)
        assert run["table"] == name
        # Only what is per cycle may differ, as the cycles do.
        for part in (run["by_action"], closed["by_action"]):
            for action in [action for action in part if action.startswith("static.")]:
                del part[action]
        assert run["by_action"] == closed["by_action"]
        assert main(["estimate", *args]) == 0
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80

    def test_large_and_small_results_fit(self) -> None:
        for batch in (1, 4096):
            text = render_result(estimate("vgg16", batch=batch, layers=["CONV1-2", "CONV5-3"]))
            assert max(map(len, text.splitlines())) <= 80

    def test_precision_scales_energy_alone(self, capsys: Capture, tmp_path: Path) -> None:
        file = tmp_path / "precision.yaml"
        file.write_text("layers:\n  conv1: {pruned: 0.5, weight_bits: 8}\n")
        args = ["estimate", "alexnet", "--layer", "CONV1"]
        full = data(capsys, *args)["layers"][0]
        less = data(capsys, *args, "--precision", str(file))["layers"][0]
        assert full["accesses"] == less["accesses"]
        assert full["cycles"] == less["cycles"]
        for name in ("spad.filter.read", "glb.filter.read", "dram.filter.read"):
            before, after = (layer["energy"]["by_action"][name] for layer in (full, less))
            assert after == before / 4, name
        assert full["energy"]["by_data_type"]["psum"] == less["energy"]["by_data_type"]["psum"]
        example = data(capsys, *args, "--precision", "alexnet_pruned")["layers"][0]["energy"]
        mac = example["by_action"]["mac.active"]
        whole = full["energy"]["by_action"]["mac.active"]
        assert mac == pytest.approx(whole * 0.375 * 25 / 256)

    def test_precision_scales_what_crosses_the_link_uncoded(
        self, capsys: Capture, tmp_path: Path
    ) -> None:
        network = tmp_path / "n.yaml"
        network.write_text(
            "network: n\nlayers:\n"
            "  - {name: A, ifmap: 16, channels: 4, filters: 8, filter: 3, padding: 1}\n"
            "  - {name: B, ifmap: 16, channels: 8, filters: 8, filter: 3, input: A,\n"
            "     ifmap_zero_fraction: 0.5}\n"
            "  - {name: C, ifmap: 14, channels: 8, filters: 8, filter: 3, input: B}\n"
        )
        file = tmp_path / "precision.yaml"
        file.write_text("layers:\n  A: {activation_bits: 4}\n  B: {activation_bits: 4}\n")
        args = ["estimate", str(network), "--mapping", "auto"]
        full = data(capsys, *args)["layers"]
        less = data(capsys, *args, "--precision", str(file))
        # A's ofmap and B's ifmap are coded, each with the zeros that B declares.
        scaled = {"A": ["dram.ifmap.read"], "B": ["dram.ofmap.write"], "C": []}
        for before, after in zip(full, less["layers"], strict=True):
            assert (before["cycles"], before["dram_bytes"]) == (
                after["cycles"],
                after["dram_bytes"],
            )
            for action in ("dram.ifmap.read", "dram.ofmap.write"):
                part = 4 if action in scaled[before["name"]] else 1
                energies = (layer["energy"]["by_action"][action] for layer in (before, after))
                assert next(energies) == part * next(energies), (before["name"], action)
        assert less["notes"] == [
            "A: --precision scales no time, no bytes, no ofmap coded in DRAM",
            "B: --precision scales no time, no bytes, no ifmap coded in DRAM",
        ]

    def test_precision_leaves_widths_that_it_does_not_give_as_the_chips(
        self, capsys: Capture, tmp_path: Path
    ) -> None:
        file = tmp_path / "precision.yaml"
        file.write_text("layers:\n  C3: {pruned: 0.5}\n")
        args = ["estimate", "lenet5", "--layer", "C3", "--hw", "eyeriss_int8"]
        full, less = (data(capsys, *args, *more)["layers"][0]["energy"]["by_action"]
                      for more in ([], ["--precision", str(file)]))  # fmt: skip
        assert full["spad.ifmap.write"] == less["spad.ifmap.write"]
        assert full["glb.psum.write"] == less["glb.psum.write"]
        assert full["glb.filter.read"] == 2 * less["glb.filter.read"]

    def test_run_takes_the_same_options(self, capsys: Capture, tmp_path: Path) -> None:
        file = tmp_path / "precision.yaml"
        file.write_text("layers:\n  C3: {weight_bits: 8}\n")
        args = ["lenet5", "--layer", "C3", "--energy", "accelergy_45nm", "--precision", str(file)]
        found = [data(capsys, command, *args)["layers"][0] for command in ("run", "estimate")]
        assert found[0]["energy"]["by_level"]["mac"] == found[1]["energy"]["by_level"]["mac"]

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["--energy", "isca2017"], "no shipped energy table 'isca2017'; did you mean"),
            (["--energy", "/absent.yaml"], "error: /absent.yaml: "),
            (["--precision", "/absent.yaml"], "error: /absent.yaml: "),
            (
                ["--precision", "alexnet_pruned"],
                "alexnet_pruned.yaml:6: layers.CONV1: no layer 'CONV1'",
            ),
        ],
    )
    @pytest.mark.parametrize("command", ["run", "estimate"])
    def test_mistakes(self, command: str, args: list[str], words: str, capsys: Capture) -> None:
        assert words in error(capsys, command, "lenet5", *args)

    def test_a_name_that_no_layer_has_is_refused(self) -> None:
        with pytest.raises(InputError, match="no layer 'CONV1'"):
            load_pricing("isca2016", "alexnet_pruned", load_network("lenet5"))
        assert set(load_pricing("isca2016", "alexnet_pruned").pruned) >= {"CONV1", "FC8"}


def test_energy_unit() -> None:
    assert energy_unit(0, "pJ") == ("pJ", 1)
    assert energy_unit(9_999, "pJ") == ("pJ", 1)
    assert energy_unit(10_000, "pJ") == ("nJ", 1e3)
    assert energy_unit(2.5e13, "pJ") == ("J", 1e12)
    assert energy_unit(1e30, "normalised") == ("10^15 MACs", 1e15)


def test_shares() -> None:
    assert shares([Fraction(1), Fraction(3)]) == ["25.0", "75.0"]
    assert shares([Fraction(0)]) == ["-"]


class TestShowEnergy:
    @pytest.mark.parametrize("name", shipped_energy_tables())
    def test_every_table(self, name: str, capsys: Capture) -> None:
        text = out(capsys, "show", "energy", name)
        assert text.startswith(f"{name}: prices in ")
        assert "\nSource: " in text
        assert max(map(len, text.splitlines())) <= 80

    def test_prices(self, capsys: Capture) -> None:
        lines = out(capsys, "show", "energy", "isca2016").splitlines()
        assert any(line.split()[:3] == ["delivery", "=", "2"] for line in lines)
        assert any(line.split()[:3] == ["gated", "=", "null"] for line in lines)

    def test_names(self, capsys: Capture) -> None:
        text = out(capsys, "show", "energy")
        assert text.splitlines()[1:] == [f"  {name}" for name in shipped_energy_tables()]
        assert "no shipped energy table 'isca'" in error(capsys, "show", "energy", "isca")


class TestAudit:
    def test_every_count_of_every_layer(self, capsys: Capture) -> None:
        found = data(capsys, "audit", "alexnet")
        assert (found["schema"], found["version"]) == ("eyeriss-sim/audit", 1)
        assert [layer["layer"] for layer in found["layers"]] == [
            layer.name for layer in load_network("alexnet").layers
        ]
        for layer in found["layers"]:
            assert len(layer["lines"]) == 13
            for line in layer["lines"]:
                product = 1.0
                for reason in line["reasons"]:
                    product *= reason["factor"] or 1
                if line["ratio"] is not None and line["estimator"]:
                    assert product == pytest.approx(line["ratio"])

    def test_in_words(self, capsys: Capture) -> None:
        text = out(capsys, "audit", "alexnet", "--layer", "CONV2")
        assert max(map(len, text.splitlines())) <= 80
        lines = section(text, "CONV2 (m=64 n=1 e=27 p=16 q=2 r=1 t=1)")
        assert row(lines, "glb.ifmap") == ["92,256", "738,048", "8"]
        assert row(lines, "dram.psum") == ["186,624", "186,624", "equal"]
        said = " ".join(" ".join(lines).split())
        assert "the estimator ignores the 2 groups" in said
        assert "1 of 13 counts agree" in text

    def test_files_quiet_and_the_estimators_own_network(
        self, capsys: Capture, tmp_path: Path
    ) -> None:
        file = tmp_path / "audit.json"
        args = ["audit", "alexnet_ungrouped", "--layer", "CONV4", "-q", "--json", str(file)]
        assert out(capsys, *args) == ""
        (layer,) = json.loads(file.read_text())["layers"]
        (macs,) = (line for line in layer["lines"] if line["count"] == "computation")
        assert macs["ratio"] == 1  # no groups to be ignored

    def test_a_layer_that_the_chip_refuses(self, capsys: Capture) -> None:
        found = error(capsys, "audit", "lenet5", "--layer", "C1", "--set", "array.rows=4")
        assert "nothing was audited" in found
        assert "no network 'x'" in error(capsys, "audit", "x")

    def test_help_where_nothing_is_given(self, capsys: Capture) -> None:
        assert out(capsys, "audit").startswith("Usage: eyeriss-sim audit [OPTIONS] [NETWORK]\n")
