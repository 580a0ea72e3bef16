"""Bits and pruning of layers: what a file may say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from workloads.inputs.faults import InputError
from workloads.precision import Precision, load_precisions


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pruned": 1.1}, "pruned must be between 0 and 1, got 1.1"),
        ({"pruned": float("nan")}, "pruned must be between 0 and 1, got nan"),
        ({"weight_bits": 0}, "weight_bits must be 1 to 64, got 0"),
        ({"activation_bits": 65}, "activation_bits must be 1 to 64, got 65"),
    ],
)
def test_a_precision_that_cannot_be(given: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Precision(**given)  # type: ignore[arg-type]


def test_precisions_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("layers:\n  CONV1: {pruned: 0.5, weight_bits: 8}\n  FC6: {}\n")
    assert load_precisions(str(path)) == {"CONV1": Precision(0.5, 8, 16), "FC6": Precision()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: x\n", "1: layers: missing; layer name -> {pruned, weight_bits, activation_bits}"),
        (
            "layers:\n  A: {bits: 3}\n",
            "2: layers.A: unknown key 'bits'; known: activation_bits, pruned, weight_bits",
        ),
        ("layers:\n  A: {weight_bits: 0}\n", "2: layers.A.weight_bits: must be 1 or more, got 0"),
        ("layers:\n  A: {pruned: 2}\n", "2: layers.A.pruned: must be 1.0 or less, got 2"),
    ],
)
def test_refusals_of_a_precision_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        load_precisions(str(path))
    assert str(refused.value) == f"{path}:{message}"
