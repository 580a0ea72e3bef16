"""The first-order estimator of 2022 against an independent transcription of its formulas.

`transcribed` below is the estimator's table written out once more, in floats and for square shapes,
as its author has it; nothing of the code under test is used there.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest

from sim.models.first_order import (
    DATA_TYPES,
    LEVELS,
    estimate_layer,
    estimate_network,
    example_network,
    example_precisions,
)
from workloads.inputs.faults import InputError
from workloads.layer import Layer
from workloads.network import load_network, shipped_networks
from workloads.precision import Precision

# name: k, C, M, stride, padding, ifmap size; the size is k for a fully connected layer
SHAPES = {
    "CONV1": (11, 3, 96, 4, 0, 227),
    "CONV2": (5, 96, 256, 1, 2, 27),
    "CONV3": (3, 256, 384, 1, 1, 13),
    "CONV4": (3, 384, 384, 1, 1, 13),
    "CONV5": (3, 384, 256, 1, 1, 13),
    "FC6": (6, 256, 4096, 1, 0, 6),
    "FC7": (1, 4096, 4096, 1, 0, 1),
    "FC8": (1, 4096, 1000, 1, 0, 1),
}
Z = (0.625, 0.375, 0.125, 0.195, 0.121, 0.008, 0.234, 0.4)
QW = (5, 3, 3, 6, 4, 4, 7, 4)
QA = (5, 6, 5, 7, 4, 7, 7, 6)
COST = {"dram": 200, "glb": 6, "noc": 2, "rf": 1}


def transcribed(name: str, z: float, qw: int, qa: int) -> dict[str, float]:
    k, c, m, stride, padding, h = SHAPES[name]
    hp = h + 2 * padding
    o = (hp - k) // stride + 1
    d = 1 - z
    rep, fold = 12 // k, ceil(o / 14)
    w = k**2 * c * m * d
    if name.startswith("FC"):
        weight = (w, w, w, w)
        ifmap = (k**2 * c, k**2 * c, k**2 * c * 14 * rep, k**2 * c * m)
        psum = (m, 2 * (c - 1) * m, (k - 1) * c * m, 2 * (k - 1) * k * c * m)
        macs = w
    else:
        fits = rep >= fold
        weight = (w, w, o * w if fits else rep * 14 * w, w * o**2)
        ifmap = (
            hp**2 * c,
            hp**2 * c * (1 if fits else m),
            (rep // fold) * k * o * hp * c if fits else k * o * hp * c * m,
            k * o * hp * c * m,
        )
        psum = (
            o**2 * m,
            2 * o**2 * (c - 1) * m,
            (k - 1) * o**2 * c * m,
            2 * (k - 1) * k * o**2 * c * m,
        )
        macs = w * o**2
    found = {"macs": macs, "computation": macs * (qw / 16) * (qa / 16)}
    for kind, words, bits in (("weight", weight, qw), ("ifmap", ifmap, qa), ("psum", psum, qa)):
        for level, count in zip(("dram", "glb", "noc", "rf"), words, strict=True):
            found[f"words.{level}.{kind}"] = count
            found[f"energy.{level}.{kind}"] = count * COST[level] * bits / 16
    return found


CASES = {
    "example": dict(zip(SHAPES, zip(Z, QW, QA, strict=True), strict=True)),
    "dense": dict.fromkeys(SHAPES, (0.0, 16, 16)),
}
LAYERS = [(case, name) for case in CASES for name in SHAPES]
close = 1e-14  # the transcription rounds, the estimator does not


def close_to(value: float) -> object:
    return pytest.approx(value, rel=close)


@pytest.mark.parametrize(("case", "name"), LAYERS)
def test_every_intermediate_figure(case: str, name: str) -> None:
    z, qw, qa = CASES[case][name]
    layer = estimate_layer(example_network().layer(name), Precision(z, qw, qa))
    expected = transcribed(name, z, qw, qa)
    assert float(layer.macs) == close_to(expected["macs"])
    assert float(layer.computation) == close_to(expected["computation"])
    energies = layer.energies
    for level in LEVELS:
        for kind in DATA_TYPES:
            words = expected[f"words.{level}.{kind}"]
            assert float(layer.words[level, kind]) == close_to(words)
            assert float(energies[level, kind]) == close_to(expected[f"energy.{level}.{kind}"])


@pytest.mark.parametrize("case", CASES)
def test_totals(case: str) -> None:
    precisions = {name: Precision(*values) for name, values in CASES[case].items()}
    result = estimate_network(example_network(), precisions)
    figures = {name: transcribed(name, *values) for name, values in CASES[case].items()}
    spent = {
        name: sum(v for key, v in f.items() if key.startswith("energy.")) + f["computation"]
        for name, f in figures.items()
    }
    assert float(result.total) == close_to(sum(spent.values()))
    assert {name: float(v) for name, v in result.by_layer.items()} == {
        name: close_to(value) for name, value in spent.items()
    }
    for level in LEVELS:
        own = sum(v for f in figures.values() for k, v in f.items() if f"energy.{level}." in k)
        assert float(result.by_level[level]) == close_to(own)
    for kind in DATA_TYPES:
        own = sum(
            v
            for f in figures.values()
            for k, v in f.items()
            if k.startswith("energy.") and k.endswith(kind)
        )
        assert float(result.by_data_type[kind]) == close_to(own)
    assert float(result.computation) == close_to(sum(f["computation"] for f in figures.values()))


def test_the_totals_by_number() -> None:
    # From `transcribed`, printed once: a change of either side shows.
    pruned = estimate_network(example_network(), example_precisions())
    assert float(pruned.total) == 5178642000.623875
    assert float(estimate_network(example_network()).total) == 19413479256.0


def test_the_shipped_example_is_the_originals() -> None:
    network = example_network()
    assert [layer.name for layer in network.layers] == list(SHAPES)
    for layer in network.layers:
        k, c, m, stride, padding, h = SHAPES[layer.name]
        assert (layer.R, layer.S, layer.C, layer.M, layer.G) == (k, k, c, m, 1)
        assert (layer.U, layer.pad_top, layer.H, layer.W) == (stride, padding, h, h)
    assert example_precisions() == {n: Precision(*v) for n, v in CASES["example"].items()}


def test_every_breakdown_sums_to_the_total_exactly() -> None:
    result = estimate_network(example_network(), example_precisions())
    zero = Fraction()
    assert sum(result.by_data_type.values(), zero) == result.total
    assert sum(result.by_level.values(), zero) + result.computation == result.total
    assert sum(result.by_layer.values(), zero) == result.total


def test_the_five_charts() -> None:
    result = estimate_network(example_network(), example_precisions())
    charts = result.charts()
    assert list(charts) == [
        "layers_by_data_type",
        "layers_by_level",
        "levels",
        "data_types",
        "layers",
    ]
    assert list(charts["layers_by_data_type"]["CONV1"]) == [
        "ifmap",
        "psum",
        "weight",
        "computation",
    ]
    data = float(result.total - result.computation)
    assert sum(charts["levels"].values()) == pytest.approx(data)
    for chart in ("data_types", "layers"):
        assert sum(charts[chart].values()) == pytest.approx(float(result.total))


def test_groups_are_ignored() -> None:
    grouped = load_network("alexnet").layer("CONV2")
    assert grouped.G == 2
    whole = example_network().layer("CONV2")
    assert estimate_layer(grouped).words == estimate_layer(whole).words


@pytest.mark.parametrize("name", shipped_networks())
def test_any_network(name: str) -> None:
    network = load_network(name)
    result = estimate_network(network)
    assert len(result.layers) == len(network.layers)
    assert all(layer.total > 0 for layer in result.layers)
    assert result.to_dict()["network"] == network.name


def test_a_filter_taller_than_the_array_has_no_weights_on_the_noc() -> None:
    tall = Layer(name="tall", M=2, C=3, H=20, W=20, R=13, S=13)
    estimated = estimate_layer(tall)
    assert (estimated.rep, estimated.fold) == (0, 1)
    assert estimated.words["noc", "weight"] == 0
    assert estimated.words["glb", "ifmap"] == 20 * 20 * 3 * 2


def test_an_oblong_layer() -> None:
    oblong = Layer(name="oblong", M=2, C=3, H=9, W=20, R=2, S=5)
    words = estimate_layer(oblong).words
    e, f = 8, 16
    assert words["rf", "weight"] == 2 * 5 * 3 * 2 * e * f
    assert words["dram", "ifmap"] == 9 * 20 * 3
    assert words["rf", "ifmap"] == 2 * e * 20 * 3 * 2
    assert words["noc", "psum"] == (2 - 1) * e * f * 3 * 2
    assert words["rf", "psum"] == 2 * (5 - 1) * 2 * e * f * 3 * 2


def test_a_precision_for_a_layer_that_is_not_there() -> None:
    with pytest.raises(InputError) as refused:
        estimate_network(example_network(), {"conv1": Precision(), "CONV9": Precision()})
    assert str(refused.value) == (
        "alexnet_ungrouped: no layer 'CONV9'; did you mean 'CONV5'? known: CONV1, CONV2, CONV3, "
        "CONV4, CONV5, FC6, FC7, FC8"
    )
