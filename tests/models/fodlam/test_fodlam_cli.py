"""`eyeriss-sim model fodlam`: look-up, scaling, the original's input, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Capture, data, error, out, row, section


class TestFodlam:
    def test_look_up_to_nine_digits(self, capsys: Capture) -> None:
        found = data(capsys, "model", "fodlam", "vgg16")
        assert found["conv"]["energy"] == pytest.approx(1.0162585, abs=1e-9)
        assert found["conv"]["latency"] == pytest.approx(4.3094, abs=1e-9)
        assert found["fc"]["energy"] == pytest.approx(9.157180384e-05, rel=1e-9)
        assert found["fc"]["latency"] == pytest.approx(7.438888889e-05, rel=1e-9)
        assert found["per_image"]["conv"]["energy"] == pytest.approx(1.0162585 / 3)
        assert set(found["diagnosis"]) == {"as_published", "per_image"}

    def test_the_originals_input(self, capsys: Capture, tmp_path: Path) -> None:
        file = tmp_path / "config.json"
        file.write_text('{"net": "VGG16", "layers": ["CONV1_1", "FC8"]}')
        found = data(capsys, "model", "fodlam", str(file))
        assert [layer["name"] for layer in found["layers"]] == ["CONV1-1", "FC8"]
        assert list(found)[:3] == ["conv", "fc", "total"]
        file.write_text('{"netfile": "mobilenet_v1", "layers": ["CONV1"]}')
        found = data(capsys, "model", "fodlam", str(file))
        assert found["layers"][0]["way"] == "scaled"

    def test_batch_and_image_told_apart(self, capsys: Capture) -> None:
        text = out(capsys, "model", "fodlam", "alexnet")
        assert max(map(len, text.splitlines())) <= 80
        cells = row(section(text, "Energy and latency"), "CONV1")
        assert cells == ["conv", "105,415,200", "4", "6.9388", "20.9", "1.7347", "5.225"]
        assert "Diagnosis: cost per MAC of the published layers" in text
        assert "measured on 1 and 4 images" in text
        text = out(capsys, "model", "fodlam", "lenet5")
        assert row(section(text, "Energy and latency"), "C3")[2] == "-"

    def test_layers(self, capsys: Capture) -> None:
        found = data(capsys, "model", "fodlam", "alexnet", "--layer", "fc6")
        assert [layer["name"] for layer in found["layers"]] == ["FC6"]

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["alexnet", "--batch", "1"], "error: No such option '--batch'."),
            (["alexnet", "--set", "array.rows=24"], "error: No such option '--set'"),
            (["alexnet", "--layer", "CONV9"], "error: alexnet: no layer 'CONV9'"),
            (["a.json", "--layer", "x"], "--layer has no meaning with a JSON file"),
            (["/absent.json"], "error: /absent.json: "),
        ],
    )
    def test_mistakes(self, args: list[str], words: str, capsys: Capture) -> None:
        assert words in error(capsys, "model", "fodlam", *args)
