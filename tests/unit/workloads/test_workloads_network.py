"""Network files: the shipped ones against published counts, and every refusal of a user's."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from workloads.inputs.document import Document, parse_document
from workloads.inputs.faults import InputError
from workloads.layer import Layer, layer_from_dict, layer_to_dict
from workloads.network import (
    MAX_LAYERS,
    Network,
    load_network,
    network_from_document,
    shipped_networks,
)


def parse(text: str) -> Network:
    return network_from_document(parse_document(text, "n.yaml"))


def parse_layer(entry: str) -> Layer:
    return parse(f"network: n\nlayers:\n- {{name: L, {entry}}}\n").layers[0]


def refusal(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return str(caught.value).splitlines()


KNOWN = (
    "alexnet", "bert_base_layer", "efficientnet_b0", "lenet5", "mobilenet_v1", "mobilenet_v2",
    "mobilenet_v3_large", "resnet18", "resnet50", "squeezenet", "vgg16", "vit_b16_block",
)  # fmt: skip


# --- the shipped networks ---------------------------------------------------------------------


def test_the_shipped_networks_have_names_sources_and_layers() -> None:
    assert shipped_networks() == KNOWN
    for name in shipped_networks():
        network = load_network(name)
        assert network.name == name
        assert network.source  # a network without a citation proves nothing
        assert load_network(name.upper()) == network


@pytest.mark.parametrize(
    ("layer", "mmacs", "zero_fraction", "shape"),
    [
        # JSSC 2017, Table V: MACs in millions for a batch of 4, zeros in the ifmap.
        # shape is (G, M, C, H, R, U, E)
        ("CONV1", 421.6, 0.0001, (1, 96, 3, 227, 11, 4, 55)),
        ("CONV2", 895.7, 0.387, (2, 256, 48, 27, 5, 1, 27)),
        ("CONV3", 598.1, 0.725, (1, 384, 256, 13, 3, 1, 13)),
        ("CONV4", 448.6, 0.793, (2, 384, 192, 13, 3, 1, 13)),
        ("CONV5", 299.0, 0.776, (2, 256, 192, 13, 3, 1, 13)),
    ],
)
def test_alexnet_is_that_of_table_v(
    layer: str, mmacs: float, zero_fraction: float, shape: tuple[int, ...]
) -> None:
    network = load_network("alexnet")
    found = network.layer(layer)
    # 0.1: the table rounds CONV2 (895.8) down
    assert found.macs(network.batch) / 1e6 == pytest.approx(mmacs, abs=0.1)
    assert (found.ifmap_zero_fraction, found.zero_fraction_source) == (zero_fraction, "published")
    assert shape == (found.G, found.M, found.C, found.H, found.R, found.U, found.E)


@pytest.mark.parametrize(
    ("layer", "gmacs", "zero_fraction"),
    [
        # JSSC 2017, Table VI, batch of 3
        ("CONV1-1", 0.26, 0.016),
        ("CONV1-2", 5.55, 0.477),
        ("CONV2-1", 2.77, 0.248),
        ("CONV2-2", 5.55, 0.387),
        ("CONV3-1", 2.77, 0.397),
        ("CONV3-2", 5.55, 0.581),
        ("CONV3-3", 5.55, 0.587),
        ("CONV4-1", 2.77, 0.643),
        ("CONV4-2", 5.55, 0.747),
        ("CONV4-3", 5.55, 0.854),
        ("CONV5-1", 1.39, 0.794),
        ("CONV5-2", 1.39, 0.874),
        ("CONV5-3", 1.39, 0.885),
    ],
)
def test_vgg16_is_that_of_table_vi(layer: str, gmacs: float, zero_fraction: float) -> None:
    network = load_network("vgg16")
    found = network.layer(layer)
    assert round(found.macs(network.batch) / 1e9, 2) == gmacs
    assert (found.ifmap_zero_fraction, found.zero_fraction_source) == (zero_fraction, "published")


@pytest.mark.parametrize(
    ("network", "kinds", "macs", "weights"),
    [
        # MACs of one image and weights without biases, exact; published roundings where known
        ("alexnet", ("conv",), 665_784_864, 2_332_704),
        ("alexnet", ("fc",), 58_621_952, 58_621_952),
        ("vgg16", ("conv",), 15_346_630_656, 14_710_464),
        ("vgg16", ("fc",), 123_633_664, 123_633_664),
        # "3.8 x 10^9 FLOPs" (He et al., Table 1); 25.6 M parameters with biases and batch norm
        ("resnet50", ("conv", "fc"), 3_857_973_248, 25_502_912),
        # 569 M mult-adds, 4.2 M parameters (Howard et al., Table 4)
        ("mobilenet_v1", ("conv", "depthwise", "fc"), 568_740_352, 4_209_088),
        # LeCun et al. count 156, 1516 and 48120 trainable parameters in C1, C3 (sparse) and C5
        ("lenet5", ("conv",), 117_600 + 240_000 + 48_000, 150 + 2_400 + 48_000),
    ],
)
def test_totals_of_a_network(network: str, kinds: tuple[str, ...], macs: int, weights: int) -> None:
    chosen = [layer for layer in load_network(network).layers if layer.kind in kinds]
    assert sum(layer.macs_per_image for layer in chosen) == macs
    assert sum(layer.filter_words for layer in chosen) == weights


@pytest.mark.parametrize("name", shipped_networks())
def test_each_layer_takes_what_an_earlier_one_makes(name: str) -> None:
    """Channels and sizes chain, up to the pooling between layers and ResNet's shortcuts."""
    layers = load_network(name).layers
    for index, layer in enumerate(layers[1:], 1):
        makers = layers[max(0, index - 4) : index]
        assert any(
            maker.M == layer.G * layer.C and maker.E >= layer.H and maker.F >= layer.W
            for maker in (*makers, *concatenated(makers))
        ), layer.name


def concatenated(makers: Sequence[Layer]) -> list[Layer]:
    """Ofmaps side by side: those of the two expand layers of a fire module."""
    return [
        replace(b, M=a.M + b.M)
        for a, b in pairwise(makers)
        if (a.C, a.H) == (b.C, b.H) and a.kind == b.kind == "conv"
    ]


@pytest.mark.parametrize(
    ("network", "macs", "parameters", "of_norm"),
    [
        # (published MACs, parameters with biases and the two of each normalised channel): the
        # papers' and, to the last one, those that torchvision prints for its models
        ("mobilenet_v2", 300e6, 3_504_872, 2),
        ("mobilenet_v3_large", 219e6, 5_483_032, 2),
        ("efficientnet_b0", 0.39e9, 5_288_548, 2),
        ("resnet18", 1.8e9, 11_689_512, 2),
        ("squeezenet", 0.82e9, 1_248_424, 1),
    ],
)
def test_networks_of_today_have_the_published_sizes(
    network: str, macs: float, parameters: int, of_norm: int
) -> None:
    layers = load_network(network).layers
    assert sum(layer.macs_per_image for layer in layers) == pytest.approx(macs, rel=0.015)
    offsets = sum(layer.M * (1 if layer.kind == "fc" else of_norm) for layer in layers)
    assert sum(layer.filter_words for layer in layers) + offsets == parameters


@pytest.mark.parametrize(
    ("network", "tokens", "macs"),
    [
        # 17.56 x 10^9 of ViT-B/16 without its patches, by block
        ("vit_b16_block", 197, (17.56e9 - 0.116e9) / 12),
        # 7.1 million weights, and attention over 128 others, twice, a token
        ("bert_base_layer", 128, 128 * (7_077_888 + 2 * 128 * 768)),
    ],
)
def test_a_block_of_a_transformer(network: str, tokens: int, macs: float) -> None:
    layers = load_network(network).layers
    assert sum(layer.macs_per_image for layer in layers) == pytest.approx(macs, rel=0.005)
    stored = [layer for layer in layers if layer.name not in ("SCORES", "CONTEXT")]
    assert sum(layer.filter_words for layer in stored) == 12 * 768 * 768
    assert {layer.E * layer.F for layer in layers} == {tokens}


def test_resnet50_has_the_strides_of_the_paper() -> None:
    network = load_network("resnet50")
    strided = [layer.name for layer in network.layers if layer.U == 2]
    assert strided == ["CONV1"] + [f"CONV{s}_1{x}" for s in (3, 4, 5) for x in ("a", "proj")]
    assert len(network.layers) == 1 + 3 * (3 + 4 + 6 + 3) + 4 + 1
    assert network.layer("CONV5_3c").E == 7


ASSUMED_OFMAP_ZEROS = {
    # As the networks' files say: half, for a ReLU of sums around zero; CONV3's ifmap, which pooling
    # can only have made denser; the last conv layer's own ifmap.
    ("alexnet", "CONV1"): 0.5,
    ("alexnet", "CONV2"): 0.725,
    ("alexnet", "CONV5"): 0.776,
    ("vgg16", "CONV5-3"): 0.885,
}


def test_ofmap_zero_fractions_are_the_next_layers_and_absent_where_nothing_is_known() -> None:
    for name in ("alexnet", "vgg16"):
        layers = load_network(name).layers
        for layer, following in pairwise(layers):
            assumed = ASSUMED_OFMAP_ZEROS.get((name, layer.name), following.ifmap_zero_fraction)
            assert layer.ofmap_zero_fraction == assumed, layer.name
        for layer in layers:
            known = (layer.ifmap_zero_fraction is None, layer.ofmap_zero_fraction is None)
            assert known == (layer.kind == "fc",) * 2
    for name in ("lenet5", "mobilenet_v1", "resnet50"):
        for layer in load_network(name).layers:
            assert (layer.ifmap_zero_fraction, layer.zero_fraction_source) == (None, None)


# --- finding networks and layers --------------------------------------------------------------


def test_a_users_file_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "network: mine\nlayers: [{name: a, ifmap: 4, channels: 1, filters: 2, filter: 3}]"
    for name in ("mine.yaml", "mine.YML", "mine", "alexnet"):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for found in ("mine.yaml", "./mine.YML", "mine", str(tmp_path / "mine"), "./alexnet"):
        assert load_network(found).name == "mine"
    assert load_network("mine").source == ""
    assert load_network("alexnet").name == "alexnet"  # shipped names come first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "alexnt",
            "no network 'alexnt'; did you mean 'alexnet'? known: " + ", ".join(KNOWN),
        ),
        (
            "",
            "no network ''; known: " + ", ".join(KNOWN),
        ),
        (
            "\0",
            r"no network '\x00'; known: " + ", ".join(KNOWN),
        ),
        (
            "x" * 5000,
            f"no network '{'x' * 56}...; known: {', '.join(KNOWN)}",
        ),
        ("missing.yaml", "missing.yaml: no such file"),
        ("no/such", "no/such: no such file"),
    ],
)
def test_a_network_that_does_not_exist(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_network(name)
    assert str(caught.value) == message


def test_a_product_of_matrices() -> None:
    text = "network: n\nlayers:\n  - {name: FF, type: gemm, M: 6, K: 5, N: 4, batch: 3}\n"
    (layer,) = network_from_document(parse_document(text, "n.yaml")).layers
    assert (layer.kind, layer.G, layer.Mg, layer.C, layer.E, layer.F) == ("gemm", 3, 4, 5, 6, 1)
    assert layer.macs_per_image == 3 * 6 * 5 * 4


def test_faults_of_a_product_stand_at_its_own_keys() -> None:
    text = (
        "network: n\nlayers:\n"
        "  - {name: A, type: gemm, M: 6, K: 5, n: 4}\n"
        "  - {name: B, type: gemm, M: 6, K: 5, N: 60000, batch: 2}\n"
        "  - {name: C, type: gemm, M: 65536, K: 65536, N: 65536}\n"
    )
    with pytest.raises(InputError) as refused:
        network_from_document(parse_document(text, "n.yaml"))
    assert str(refused.value).splitlines()[:3] == [
        "n.yaml:3: layers[0].N: missing; columns of the right matrix and of the product",
        "n.yaml:3: layers[0]: unknown key 'n'; did you mean 'N'?",
        "n.yaml:4: layers[1].N: must be 65536 or less, got 120000",
    ]
    assert "n.yaml:5: layers[2]: macs_per_image: must be" in str(refused.value)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["CONV1,conv3"], "CONV1 CONV3"),
        (["conv*"], "CONV1 CONV2 CONV3 CONV4 CONV5"),
        (["FC?", "CONV[12], CONV1"], "CONV1 CONV2 FC6 FC7 FC8"),
    ],
)
def test_layers_by_lists_and_patterns(names: list[str], chosen: str) -> None:
    network = load_network("alexnet")
    assert " ".join(layer.name for layer in network.select(names)) == chosen
    only = network.only(names)
    assert only.layers == network.select(names)
    assert {*only.left_out, *chosen.split()} == {layer.name for layer in network.layers}


def test_a_layer_whose_name_holds_a_comma_or_a_star_is_chosen_by_it() -> None:
    (conv1, *_) = load_network("alexnet").layers
    named = tuple(replace(conv1, name=name) for name in ("a,b", "a", "a*", "ab", "b"))
    network = Network("mine", 1, named)
    assert [layer.name for layer in network.select(["a,b"])] == ["a,b"]
    assert [layer.name for layer in network.select(["A*"])] == ["a*"]
    assert [layer.name for layer in network.select(["a,ab"])] == ["a", "ab"]


def test_a_pattern_that_chooses_no_layer_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        load_network("alexnet").select(["CONV1,CNV2", "CNV*"])
    first, second = str(refused.value).splitlines()
    assert first.startswith("alexnet: no layer 'CNV2'; did you mean 'CONV2'? known: CONV1")
    assert second.startswith("alexnet: no layer 'CNV*'; did you mean 'CONV")


def test_layers_are_chosen_by_name_in_the_networks_order() -> None:
    network = load_network("alexnet")
    assert network.layer("conv2") is network.layers[1]
    chosen = network.select(["fc6", "CONV2", "Conv2"])
    assert [layer.name for layer in chosen] == ["CONV2", "FC6"]
    assert network.select([]) == ()
    with pytest.raises(InputError) as caught:
        network.select(["CONV1", "CONV22", "nope", "nope"])
    known = "known: CONV1, CONV2, CONV3, CONV4, CONV5, FC6, FC7, FC8"
    assert str(caught.value) == (
        f"alexnet: no layer 'CONV22'; did you mean 'CONV2'? {known}\n"
        f"alexnet: no layer 'nope'; {known}"
    )


def test_layers_as_plain_values_survive_json() -> None:
    for name in shipped_networks():
        layers = load_network(name).layers
        values = json.loads(json.dumps([layer_to_dict(layer) for layer in layers]))
        assert tuple(map(layer_from_dict, values)) == layers


# --- what a file may say ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "symbols"),
    [
        ("ifmap: 6, channels: 4, filters: 8, filter: 3", {"H": 6, "W": 6, "R": 3, "S": 3, "C": 4}),
        ("ifmap: [6, 9], channels: 4, filters: 8, filter: [3, 2]", {"W": 9, "R": 3, "S": 2}),
        ("ifmap: 6, channels: 4, filters: 8, filter: 3, groups: 2", {"C": 2, "M": 8, "Mg": 4}),
        ("ifmap: 6, channels: 4, filters: 8, filter: 3, stride: 2", {"U": 2, "V": 2, "E": 2}),
        ("ifmap: 6, channels: 4, filters: 8, filter: 3, stride: [1, 3]", {"U": 1, "V": 3}),
        (
            "ifmap: 6, channels: 4, filters: 8, filter: 3, padding: 1",
            {"pad_top": 1, "pad_bottom": 1, "pad_left": 1, "pad_right": 1, "E": 6},
        ),
        (
            "ifmap: 6, channels: 4, filters: 8, filter: 3, padding: [1, 2]",
            {"pad_top": 1, "pad_bottom": 1, "pad_left": 2, "pad_right": 2},
        ),
        (
            "ifmap: 6, channels: 4, filters: 8, filter: 3, padding: [1, 2, 3, 4]",
            {"pad_top": 1, "pad_bottom": 2, "pad_left": 3, "pad_right": 4},
        ),
        (
            "type: depthwise, ifmap: 6, channels: 4, filter: 3",
            {"kind": "depthwise", "G": 4, "C": 1, "M": 4},
        ),
        ("type: depthwise, ifmap: 6, channels: 4, filters: 8, filter: 3", {"M": 8, "Mg": 2}),
        (
            "type: fc, ifmap: [6, 2], channels: 4, filters: 8, padding: [1, 0]",
            {"kind": "fc", "R": 8, "S": 2, "E": 1, "F": 1, "macs_per_image": 8 * 4 * 8 * 2},
        ),
        (
            "ifmap: 6, channels: 4, filters: 8, filter: 3, ifmap_zero_fraction: 0.5",
            {"ifmap_zero_fraction": 0.5, "zero_fraction_source": "assumed"},
        ),
    ],
)
def test_an_entry_becomes_a_layer(entry: str, symbols: dict[str, object]) -> None:
    layer = parse_layer(entry)
    assert {symbol: getattr(layer, symbol) for symbol in symbols} == symbols


# --- what it may not say ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ("filter: [7, 1]", ["filter[0]: must not exceed the 5 rows of the padded ifmap, got 7"]),
        ("filter: [1, 7]", ["filter[1]: must not exceed the 5 columns of the padded ifmap, got 7"]),
        ("stride: 0", ["stride: must be 1 or more, got 0"]),
        ("stride: [1, 0]", ["stride[1]: must be 1 or more, got 0"]),
        (
            "stride: 1.5",
            ["stride: must be a whole number or a list of 2 whole numbers, got 1.5"],
        ),
        (
            "stride: [1, true]",
            ["stride: must be a whole number or a list of 2 whole numbers, got [1, true]"],
        ),
        ("padding: -1", ["padding: must be 0 or more, got -1"]),
        ("padding: [0, -1]", ["padding[1]: must be 0 or more, got -1"]),
        ("padding: [0, 0, 0, -1]", ["padding[3]: must be 0 or more, got -1"]),
        (
            "padding: [1, 2, 3]",
            ["padding: must be a whole number or a list of 2 or 4 whole numbers, got [1, 2, 3]"],
        ),
        ("ifmap: [5, -6]", ["ifmap[1]: must be 1 or more, got -6"]),
        ("ifmap: 65537", ["ifmap: must be 65536 or less, got 65537"]),
        ("channels: 0", ["channels: must be 1 or more, got 0"]),
        ("channels: 65537", ["channels: must be 65536 or less, got 65537"]),
        ("channels: 3, groups: 2", ["channels: must be a multiple of the 2 groups, got 3"]),
        ("filters: 3, groups: 2", ["filters: must be a multiple of the 2 groups, got 3"]),
        ("filters: many", ["filters: must be a whole number, got 'many'"]),
        ("filters:", ["filters: missing; number of filters, over all groups"]),
        ("filter:", ["filter: missing; [rows, columns] of a filter, or one number"]),
        ("groups: 0", ["groups: must be 1 or more, got 0"]),
        (
            "type: cnv",
            ["type: must be 'conv', 'depthwise', 'fc' or 'gemm', got 'cnv'; did you mean 'conv'?"],
        ),
        ("type: depthwise, groups: 2", ["groups: must be the 4 channels in depthwise, got 2"]),
        (
            "type: fc",
            [
                "filter: must be the 5 rows of the padded ifmap in fc, got 3",
                "filter: must be the 5 columns of the padded ifmap in fc, got 3",
            ],
        ),
        ("type: fc, filter: null, ifmap: -5", ["ifmap: must be 1 or more, got -5"]),
        (
            "type: fc, filter: null, ifmap: 65536, padding: 1",
            ["filter: must be 65536 or less, got 65538"],
        ),
        (
            "ifmap_zero_fraction: 1.5, ofmap_zero_fraction: -1",
            [
                "ifmap_zero_fraction: must be between 0 and 1, got 1.5",
                "ofmap_zero_fraction: must be between 0 and 1, got -1.0",
            ],
        ),
        ("ifmap_zero_fraction: x", ["ifmap_zero_fraction: must be a number, got 'x'"]),
        (
            "zero_fraction_source: guessed",
            ["zero_fraction_source: must be 'published' or 'assumed', got 'guessed'"],
        ),
        ("name: ''", ["name: must be printable text without spaces around it, got ''"]),
    ],
)
def test_a_layer_entry_that_is_refused(changes: str, messages: list[str]) -> None:
    entry = {"name": "L", "ifmap": "5", "channels": "4", "filters": "4", "filter": "3"}
    for change in changes.replace(", ", "\n").splitlines():
        key, colon, value = change.partition(":")
        if colon:
            entry[key] = value
            last = key
        else:  # the rest of a list
            entry[last] += f", {change}"
    lines = [f"    {key}: {value}".rstrip() for key, value in entry.items()]
    text = "\n".join(["network: n", "layers:", "  -", *lines])
    found = refusal(text)
    assert [fault.split(": layers[0].")[1] for fault in found] == messages
    for fault, message in zip(found, messages, strict=True):
        key = message.partition(":")[0].partition("[")[0]
        # The line of the key, or of the layer where the key is not there to point at.
        assert fault.startswith(f"n.yaml:{4 + list(entry).index(key)}:")


def test_a_layer_too_large_as_a_whole_is_refused_as_a_whole() -> None:
    text = "network: n\nlayers:\n- {name: a, ifmap: 60000, channels: 9000, filters: 100, filter: 1}"
    assert refusal(text) == [
        "n.yaml:3: layers[0]: macs_per_image: must be 10000000000000 or less, got 3240000000000000",
        "n.yaml:3: layers[0]: words: must be 1073741824 or less in the padded ifmap, "
        "got 32400000000000",
        "n.yaml:3: layers[0]: words: must be 1073741824 or less in the ofmap, got 360000000000",
    ]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("- a", ["n.yaml:1: must be a mapping of keys to values, got a list of 1"]),
        (
            "batch: 0",
            [
                "n.yaml:1: network: missing; name of the network",
                "n.yaml:1: batch: must be 1 or more, got 0",
                "n.yaml:1: layers: missing; list of the layers",
            ],
        ),
        (
            "network: n\nlayers: {}\nlyers: 1",
            [
                "n.yaml:2: layers: must be a list, got a mapping",
                "n.yaml:3: unknown key 'lyers'; did you mean 'layers'?",
            ],
        ),
        ("network: n\nlayers: []", ["n.yaml:2: layers: must have 1 or more entries, got 0"]),
        (
            'network: "\\e[31m"\nlayers: [3]',
            [
                r"n.yaml:1: network: must be printable text, got '\x1b[31m'",
                "n.yaml:2: layers[0]: must be a mapping of keys to values, got 3",
            ],
        ),
    ],
)
def test_a_network_file_that_is_refused(text: str, messages: list[str]) -> None:
    assert refusal(text) == messages


def test_all_faults_of_a_file_come_at_once() -> None:
    text = """\
network: n
bach: 2
layers:
  - {name: a, ifmap: 5, channels: 3, filters: 4, filter: 3, strid: 1}
  - name: b
    ifmap: 5
    channels: 3
    filter: 3
    filters: 4
    padding: -1
  - {name: c, ifmap: 5, channels: 3, filters: 4, filter: 3}
  - {ifmap: 5, channels: 3, filters: 4, filter: 3}
  - {name: C, ifmap: 5, channels: 3, filters: 4, filter: 3}
"""
    assert refusal(text) == [
        "n.yaml:2: unknown key 'bach'; did you mean 'batch'?",
        "n.yaml:4: layers[0]: unknown key 'strid'; did you mean 'stride'?",
        "n.yaml:10: layers[1].padding: must be 0 or more, got -1",
        "n.yaml:12: layers[3].name: missing; name of the layer",
        "n.yaml:13: layers[4].name: 'C' is taken by the layer in line 11",
    ]


def test_a_network_of_too_many_layers_is_refused() -> None:
    entries = "".join(
        f"- {{name: l{i}, ifmap: 1, channels: 1, filters: 1, filter: 1}}\n"
        for i in range(MAX_LAYERS + 1)
    )
    assert refusal(f"network: n\nlayers:\n{entries}") == [
        "n.yaml:2: layers: must have 10000 or fewer entries, got 10001"
    ]


# --- a layer's ofmap is another one's ifmap -------------------------------------------------------

JOINED = """\
network: two
layers:
  - {name: A, ifmap: 8, channels: 3, filters: 4, filter: 3, padding: 1OFMAP}
  - {name: B, ifmap: 8, channels: 4, filters: 2, filter: 3, padding: 1, input: aFIRST}
  - {name: C, ifmap: 8, channels: 4, filters: 2, filter: 1, input: ASECOND}
"""


def joined(ofmap: str = "", first: str = "", second: str = "") -> Document:
    text = JOINED.replace("OFMAP", ofmap and f", ofmap_zero_fraction: {ofmap}")
    text = text.replace("FIRST", first and f", ifmap_zero_fraction: {first}")
    text = text.replace("SECOND", second and f", ifmap_zero_fraction: {second}")
    return parse_document(text, "two.yaml")


@pytest.mark.parametrize("given", [("0.4", "", ""), ("", "0.4", ""), ("", "", "0.4")])
def test_one_declared_share_serves_every_side_of_a_tensor(given: tuple[str, str, str]) -> None:
    first, second, third = network_from_document(joined(*given)).layers
    assert first.ofmap_zero_fraction == 0.4
    assert second.ifmap_zero_fraction == third.ifmap_zero_fraction == 0.4
    assert second.zero_fraction_source == "assumed"
    assert (first.ifmap_zero_fraction, second.ofmap_zero_fraction) == (None, None)


def test_without_any_share_nothing_is_known() -> None:
    assert all(
        (layer.ifmap_zero_fraction, layer.ofmap_zero_fraction) == (None, None)
        for layer in network_from_document(joined()).layers
    )


def test_a_tensor_has_one_share_of_zeros() -> None:
    with pytest.raises(InputError) as refusal:
        network_from_document(joined("0.4", "0.5", "0.4"))
    assert str(refusal.value) == (
        "two.yaml:4: layers[1].ifmap_zero_fraction: 0.5 contradicts line 3: ofmap_zero_fraction "
        "0.4 of 'A' is that of the same data"
    )
    with pytest.raises(InputError, match=r"two\.yaml:5: .* contradicts line 4: ifmap_"):
        network_from_document(joined("", "0.5", "0.4"))


def test_an_input_must_be_an_earlier_layers_ofmap_as_it_is() -> None:
    text = JOINED.replace("OFMAP", "").replace("FIRST", "").replace("SECOND", "")
    text = text.replace("name: B, ifmap: 8", "name: B, ifmap: 4").replace("input: A}", "input: D}")
    assert refusal(text) == [
        "n.yaml:4: layers[1].input: the ofmap of 'A' is 4 channels of 8 x 8, the ifmap 4 channels "
        "of 4 x 4: leave 'input' out where anything, such as pooling, stands between the two",
        "n.yaml:5: layers[2].input: no earlier layer 'D'; known: A, B",
    ]
