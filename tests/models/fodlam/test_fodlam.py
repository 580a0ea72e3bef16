"""FODLAM, the first-order model of 2017: its own published output, to nine digits and more."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sim.models.fodlam import (
    average_cost_per_mac,
    diagnose,
    estimate_config,
    estimate_network,
    look_up,
    measured_layers,
    normalise,
)
from sim.reference.tables import load_published
from workloads.inputs.faults import InputError
from workloads.inputs.words import exact
from workloads.network import load_network

# What the README of cucapra/fodlam prints for config/vgg16.json.
VGG16 = {
    "conv": {"energy": 1.0162585, "latency": 4.3094},
    "fc": {"energy": 9.157180384087789e-05, "latency": 7.438888888888888e-05},
    "total": {"energy": 1.016350071803841, "latency": 4.309474388888889},
}


def config(folder: Path, content: Any, name: str = "config.json") -> str:
    path = folder / name
    path.write_text(json.dumps(content, indent=4))
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(InputError) as refused:
        estimate_config(path)
    return str(refused.value).replace(str(Path(path).parent), "DIR")


def all_layers(network: str) -> list[str]:
    return [layer.name for layer in load_network(network).layers]


def test_vgg16_to_nine_digits() -> None:
    totals = look_up("VGG16", all_layers("vgg16")).totals()
    for kind, figures in VGG16.items():
        for figure, value in figures.items():
            assert f"{totals[kind][figure]:.9e}" == f"{value:.9e}"


def test_vgg16_exactly() -> None:
    # Power times total latency of the 13 layers; the processing latency would give 0.8837712 J.
    conv = look_up("VGG16", all_layers("vgg16")).cost("conv")
    assert (conv.energy_j, conv.latency_s) == (Fraction("1.0162585"), Fraction("4.3094"))


def test_alexnet() -> None:
    # Against the sums of the published columns.
    result = look_up("AlexNet", all_layers("alexnet"))
    assert result.cost("conv").latency_s == Fraction("0.1153")
    layers = load_published("alexnet").layers.values()
    microjoules = sum(exact(layer.power_mw) * exact(layer.total_ms) for layer in layers)
    assert result.cost("conv").energy_j == microjoules / 10**6
    seconds = Fraction("52.4") / 10**6 * Fraction(65, 45)
    assert result.cost("fc").latency_s == seconds
    assert result.cost("fc").energy_j == seconds * Fraction("0.59") * Fraction(65, 45) ** 2


def test_per_image_divides_each_figure_by_its_own_batch() -> None:
    result = look_up("VGG16", all_layers("vgg16"))
    assert result.cost("conv", "per_image").energy_j * 3 == result.cost("conv").energy_j
    assert result.cost("fc", "per_image") == result.cost("fc")
    assert {layer.images for layer in result.layers} == {1, 3}
    assert result.notes == (
        "the figures as published add layers measured on 1 and 3 images; per_image divides each "
        "by its own",
    )
    only = look_up("AlexNet", ["CONV1"])
    assert only.notes == ("the figures as published are for a batch of 4 images",)
    assert look_up("AlexNet", ["FC6"]).notes == ()


def test_process_normalisation() -> None:
    seconds, watts = normalise(Fraction(9), Fraction(81), 45)
    assert (seconds, watts) == (Fraction(13), Fraction(169))
    assert normalise(Fraction(7), Fraction(3), 65) == (Fraction(7), Fraction(3))


def test_macs_are_those_of_the_networks() -> None:
    macs = {(layer.network, layer.name): layer.macs for layer in measured_layers()}
    assert len(macs) == 5 + 3 + 13 + 3
    # As FODLAM's own statistics have them.
    assert macs["AlexNet", "CONV2"] == 223948800
    assert macs["AlexNet", "FC6"] == 37748736
    assert macs["VGG16", "CONV1-1"] == 86704128
    assert macs["VGG16", "FC6"] == 102760448


def test_scaling_by_the_average_of_both_networks() -> None:
    layers = [layer for layer in measured_layers() if layer.kind == "conv"]
    macs = sum(layer.macs for layer in layers)
    average = average_cost_per_mac()["conv"]
    assert average.energy_j == sum(layer.cost.energy_j for layer in layers) / macs
    single = average_cost_per_mac("per_image")["conv"]
    assert single.energy_j == sum(layer.cost.energy_j / layer.images for layer in layers) / macs
    result = estimate_network(load_network("lenet5"))
    first = result.layers[0]
    assert (first.way, first.images) == ("scaled", None)
    assert first.as_published == average.times(first.macs)
    assert first.per_image == single.times(first.macs)
    assert result.notes == (
        "scaled convolutions as published are the cost of a batch of 4 or 3 over the MACs of one "
        "image; per_image is the cost of one",
    )


def test_scaling_both_networks_gives_back_their_sum() -> None:
    scaled = [estimate_network(load_network(n), scaled=True) for n in ("alexnet", "vgg16")]
    looked = [estimate_network(load_network(n)) for n in ("alexnet", "vgg16")]
    assert all(layer.way == "look-up" for result in looked for layer in result.layers)
    for kind in ("conv", "fc"):
        energy = [sum(r.cost(kind).energy_j for r in results) for results in (scaled, looked)]
        assert energy[0] == energy[1]


def test_diagnosis() -> None:
    found = diagnose()
    assert list(found) == ["as_published", "per_image"]
    published, single = found["as_published"], found["per_image"]
    assert published["per_layer"]["energy"]["AlexNet"]["CONV1"] == pytest.approx(
        0.332 * 20.9e-3 / 105415200
    )
    assert single["per_layer"]["latency"]["VGG16"]["CONV1-2"] == pytest.approx(
        910.3e-3 / 3 / 1849688064
    )
    assert published["average"]["energy"]["conv"] == pytest.approx(6.547070294863294e-11)
    assert published["average"]["energy"]["fc"] == single["average"]["energy"]["fc"]


# --- the original's input -------------------------------------------------------------------------


def test_a_built_in_network_from_json(tmp_path: Path) -> None:
    path = config(tmp_path, {"net": "VGG16", "layers": all_layers("vgg16")})
    result = estimate_config(path).to_dict()
    assert result["conv"] == VGG16["conv"]
    assert result["fc"]["energy"] == pytest.approx(VGG16["fc"]["energy"], rel=1e-14)
    assert set(result) == {"conv", "fc", "total", "per_image", "network", "layers", "notes"}


def test_a_netfile_from_json(tmp_path: Path) -> None:
    net = [
        {"name": "data", "type": "Input"},
        {"name": "conv_1", "type": "Convolution", "macs": 1000},
        {"name": "relu", "type": "ReLU", "extra": [1]},
        {"name": "fc2", "type": "InnerProduct", "macs": 10},
        {"name": "dw", "type": "depthwise", "macs": 5},
    ]
    config(tmp_path, net, "net.json")
    path = config(tmp_path, {"netfile": "net.json", "layers": ["CONV-1", "fc2", "dw", "dw"]})
    result = estimate_config(path)
    assert [(layer.name, layer.kind) for layer in result.layers] == [
        ("conv_1", "conv"),
        ("fc2", "fc"),
        ("dw", "conv"),
        ("dw", "conv"),
    ]
    assert result.cost("conv") == average_cost_per_mac()["conv"].times(1010)
    assert result.cost("fc", "per_image") == average_cost_per_mac("per_image")["fc"].times(10)


def test_a_network_of_ours_as_netfile(tmp_path: Path) -> None:
    by_name = config(tmp_path, {"netfile": "alexnet", "layers": ["conv2"]})
    (tmp_path / "mine.yaml").write_text(
        "network: mine\nlayers:\n  - {name: L1, ifmap: 4, channels: 1, filters: 1, filter: 1}\n"
    )
    assert estimate_config(by_name).layers[0].macs == 223948800
    by_file = config(tmp_path, {"netfile": "mine.yaml", "layers": ["L1"]}, "b.json")
    assert estimate_config(by_file).layers[0].macs == 16


def test_refusals(tmp_path: Path) -> None:
    def told(content: Any) -> str:
        return refusal(config(tmp_path, content))

    here = "DIR/config.json"
    assert told({"layers": ["FC6"]}) == (
        f"{here}:1: one of net and netfile names the network; neither is given"
    )
    assert told({"net": "VGG16", "netfile": "a.json", "layers": ["FC6"]}) == (
        f"{here}:1: one of net and netfile names the network; both are given"
    )
    assert told({"net": "VGG19", "layers": ["FC6"]}) == (
        f"{here}:2: net: no network with published figures 'VGG19'; did you mean 'VGG16'? known: "
        "AlexNet, VGG16"
    )
    assert told({"net": "AlexNet", "layers": ["FC6", "FC9"]}) == (
        f"{here}:3: layers: AlexNet has no layer 'FC9'; did you mean 'FC8'? known: CONV1, CONV2, "
        "CONV3, CONV4, CONV5, FC6, FC7, FC8"
    )
    assert told({"net": "AlexNet", "layers": []}) == (
        f"{here}:3: layers: must have 1 or more entries, got 0"
    )
    assert told({"net": "AlexNet"}) == f"{here}:1: layers: missing; list of the names of layers"
    assert told({"net": "AlexNet", "layer": ["FC6"], "layers": ["FC6"]}) == (
        f"{here}:3: unknown key 'layer'; did you mean 'layers'?"
    )
    assert told({"netfile": "nothing.json", "layers": ["a"]}) == "DIR/nothing.json: no such file"
    assert told({"netfile": "resnet", "layers": ["a"]}) == (
        f"{here}:2: netfile: no network 'resnet'; did you mean 'resnet50'? known: alexnet, "
        "bert_base_layer, efficientnet_b0, lenet5, mobilenet_v1, mobilenet_v2, mobilenet_v3_large, "
        "resnet18, resnet50, squeezenet, vgg16, vit_b16_block, or a .json or .yaml file"
    )


def test_refusals_of_a_netfile(tmp_path: Path) -> None:
    net = [
        {"name": "a", "type": "Pooling", "macs": 1},
        {"name": "b", "type": "conv", "macs": 1},
        {"name": "B", "type": "conv", "macs": 2},
    ]
    config(tmp_path, net, "net.json")
    path = config(tmp_path, {"netfile": "net.json", "layers": ["b"]})
    assert refusal(path) == (
        "DIR/net.json:4: [0].type: no layer type with MACs 'Pooling'; known: convolution, conv, "
        "depthwise, innerproduct, fc\n"
        "DIR/net.json:13: [2].name: 'B' is given twice"
    )
    config(tmp_path, [{"name": "a", "type": "conv", "macs": -1}], "net.json")
    assert refusal(path) == "DIR/net.json:5: [0].macs: must be 0 or more, got -1"
    config(tmp_path, [{"type": "conv"}], "net.json")
    assert refusal(path) == "DIR/net.json:2: [0].name: missing; a value is required"
    config(tmp_path, [{"name": "b", "type": "ReLU"}], "net.json")
    assert refusal(path) == ("DIR/config.json:3: layers: net.json has no layer 'b'; known: none")
