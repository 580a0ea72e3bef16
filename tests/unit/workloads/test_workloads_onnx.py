"""ONNX models become networks: third-party files whole, small ones operator by operator."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.backend import test as onnx_tests

from sim.cli import main
from workloads.inputs.faults import InputError
from workloads.network import Network, load_network
from workloads.onnx_file import read_onnx

LIGHT = Path(onnx_tests.__file__).parent / "data" / "light"
FLOAT = TensorProto.FLOAT


def macs_by_inference(path: Path) -> int:
    """Products of one image by onnx's own shapes: ofmap words times the words of a filter."""
    model = shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
    }
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type == "Gemm":
            total += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][1]
    return total


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("bvlc_alexnet", 8),
        ("densenet121", 121),
        ("inception_v1", 58),
        ("inception_v2", 70),
        ("resnet50", 54),
        ("shufflenet", 50),
        ("squeezenet", 26),
        ("vgg19", 19),
        ("zfnet512", 8),
    ],
)
def test_the_models_that_onnx_ships_import_whole(name: str, layers: int) -> None:
    path = LIGHT / f"light_{name}.onnx"
    network = load_network(str(path))
    assert len(network.layers) == layers
    assert sum(layer.macs_per_image for layer in network.layers) == macs_by_inference(path)
    assert not any(note.startswith("left out") for note in network.notes)
    # Every operator that sees an image is a layer, or in a note.
    model = read_onnx(path)
    noted = sum(model.folded.values()) + sum(part.times for part in model.moved)
    graph = onnx.load(path).graph
    seen = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    operators = 0
    for node in graph.node:
        if seen & set(node.input):
            seen.update(node.output)
            operators += 1
    assert layers + noted == operators


def test_vgg19_has_the_parameters_that_its_authors_give() -> None:
    network = load_network(str(LIGHT / "light_vgg19.onnx"))
    weights = sum(layer.filter_words for layer in network.layers)
    biases = sum(layer.M for layer in network.layers)
    assert weights + biases == 143_667_240  # Simonyan and Zisserman 2015, Table 2: 144 million


# --- single operators -----------------------------------------------------------------------------


def saved(
    folder: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    weights: dict[str, np.ndarray],
) -> Path:
    produced = {name for node in nodes for name in node.output}
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, ["?"] * 4) for name in sorted(produced - read)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def words(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def network_of(folder: Path, *args: object) -> Network:
    return load_network(str(saved(folder, *args)))  # type: ignore[arg-type]


def test_a_convolution_keeps_groups_strides_and_uneven_padding(tmp_path: Path) -> None:
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], "c", group=2, strides=[2, 1], pads=[1, 0, 2, 3]
    )
    (layer,) = network_of(tmp_path, [node], {"x": [1, 6, 9, 12]}, {"w": words(8, 3, 3, 5)}).layers
    assert (layer.name, layer.G, layer.C, layer.M) == ("c", 2, 3, 8)
    assert (layer.H, layer.W, layer.R, layer.S, layer.U, layer.V) == (9, 12, 3, 5, 2, 1)
    assert (layer.pad_top, layer.pad_left, layer.pad_bottom, layer.pad_right) == (1, 0, 2, 3)


@pytest.mark.parametrize(
    ("auto", "stride", "pads"),
    [
        ("SAME_UPPER", 1, (1, 2, 1, 2)),
        ("SAME_LOWER", 1, (2, 1, 2, 1)),
        ("SAME_UPPER", 2, (1, 1, 1, 1)),
        ("VALID", 1, (0, 0, 0, 0)),
    ],
)
def test_auto_pad_is_that_of_the_operators_definition(
    tmp_path: Path, auto: str, stride: int, pads: tuple[int, ...]
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=auto, strides=[stride, stride])
    (layer,) = network_of(tmp_path, [node], {"x": [1, 3, 8, 8]}, {"w": words(4, 3, 4, 4)}).layers
    assert (layer.pad_top, layer.pad_bottom, layer.pad_left, layer.pad_right) == pads
    if auto != "VALID":
        assert (layer.E, layer.F) == (8 // stride, 8 // stride)


def test_depthwise_and_rows_of_one_dimension(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], "wise", group=6),
        helper.make_node("Conv", ["y", "v"], ["z"], "point"),
    ]
    wise, point = network_of(
        tmp_path, nodes, {"x": [2, 6, 40]}, {"w": words(6, 1, 5), "v": words(3, 6, 1)}
    ).layers
    assert (wise.kind, wise.G, wise.H, wise.W, wise.R, wise.S, wise.F) == (
        "depthwise",
        6,
        1,
        40,
        1,
        5,
        36,
    )
    assert (point.kind, point.C, point.M, point.F) == ("conv", 6, 3, 36)


def test_a_product_behind_a_flattened_ofmap_covers_that_ofmap(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["y"], "fc", transB=1),
    ]
    network = network_of(tmp_path, nodes, {"x": [5, 8, 3, 4]}, {"w": words(10, 96)})
    (layer,) = network.layers
    assert network.batch == 5
    assert (layer.kind, layer.C, layer.H, layer.W, layer.R, layer.S, layer.M) == (
        "fc",
        8,
        3,
        4,
        3,
        4,
        10,
    )


def test_rows_of_a_sequence_are_the_pixels_of_a_product(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], "project")
    (layer,) = network_of(tmp_path, [node], {"x": [2, 128, 768]}, {"w": words(768, 64)}).layers
    assert (layer.kind, layer.H * layer.W, layer.C, layer.M) == ("gemm", 128, 768, 64)


def test_the_products_of_attention_have_matrices_of_their_own(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["k"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["q", "t"], ["s"], "scores"),
        helper.make_node("Softmax", ["s"], ["p"]),
        helper.make_node("MatMul", ["p", "v"], ["y"], "context"),
    ]
    shape: list[int | str] = [1, 12, 128, 64]
    network = network_of(tmp_path, nodes, {"q": shape, "k": shape, "v": shape}, {})
    scores, context = network.layers
    assert (scores.G, scores.H * scores.W, scores.C, scores.Mg) == (12, 128, 64, 128)
    assert (context.G, context.H * context.W, context.C, context.Mg) == (12, 128, 128, 64)
    moved = 2 * 12 * 128 * 64, 2 * 12 * 128 * 128
    assert network.notes == (
        f"not simulated: Softmax 1, {moved[1]:,} words an image",
        f"not simulated: Transpose 1, {moved[0]:,} words an image",
    )


def test_quantised_layers_tell_their_widths(tmp_path: Path) -> None:
    scale, zero = np.float32(0.1), np.uint8(0)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node(
            "QLinearConv", ["q", "s", "z", "w", "s", "wz", "s", "z"], ["a"], "integer"
        ),
        helper.make_node("DequantizeLinear", ["a", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["v", "s", "wz"], ["f"]),
        helper.make_node("Conv", ["d", "f"], ["y"], "between"),
    ]
    weights = {
        "s": np.array(scale), "z": np.array(zero), "wz": np.array(np.int8(0)),
        "w": np.zeros((4, 3, 3, 3), np.int8), "v": np.zeros((2, 4, 1, 1), np.int8),
    }  # fmt: skip
    model = read_onnx(saved(tmp_path, nodes, {"x": [1, 3, 8, 8]}, weights))
    assert model.bits == {"integer": (8, 8), "between": (8, 8)}
    assert "integer: {weight_bits: 8, activation_bits: 8}" in model.precision_yaml()


def test_a_normalised_sum_is_no_part_of_an_ofmap(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "first"),
        helper.make_node("Mul", ["a", "c"], ["b"]),
        helper.make_node("Relu", ["b"], ["r"]),
        helper.make_node("Add", ["r", "x"], ["s"]),
        helper.make_node("Mul", ["s", "c"], ["m"]),
        helper.make_node("Conv", ["m", "w"], ["y"], "second"),
    ]
    weights = {"w": words(3, 3, 1, 1), "c": words(1)}
    model = read_onnx(saved(tmp_path, nodes, {"x": [1, 3, 4, 4]}, weights))
    assert model.folded == {"Mul": 1, "Relu": 1}
    assert [(part.operator, part.times, part.words) for part in model.moved] == [
        ("Add", 1, 144),
        ("Mul", 1, 96),
    ]


def test_sizes_that_a_graph_computes_are_followed(tmp_path: Path) -> None:
    """A reshape to half of the rows, by way of Shape, Slice, Cast and Div in floats."""
    constants = {
        "zero": np.array([0], np.int64), "two": np.array([2], np.int64),
        "three": np.array([3], np.int64), "half": np.array([2.0], np.float32),
        "rest": np.array([-1], np.int64), "w": words(5, 3, 1, 1),
    }  # fmt: skip
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "two"], ["front"]),
        helper.make_node("Slice", ["shape", "two", "three"], ["rows"]),
        helper.make_node("Cast", ["rows"], ["real"], to=FLOAT),
        helper.make_node("Div", ["real", "half"], ["less"]),
        helper.make_node("Cast", ["less"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Concat", ["front", "whole", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["r"]),
        helper.make_node("Conv", ["r", "w"], ["y"], "c"),
    ]
    (layer,) = network_of(tmp_path, nodes, {"x": [1, 3, 8, 6]}, constants).layers
    assert (layer.H, layer.W) == (4, 12)


def test_an_open_size_is_asked_for_and_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], "c")
    saved(tmp_path, [node], {"x": ["n", 3, "h", 16]}, {"w": words(4, 3, 3, 3)})
    monkeypatch.chdir(tmp_path)
    assert main(["run", "net.onnx"]) == 2
    assert capsys.readouterr().err == (
        "error: net.onnx: 'x': has the shape 1,3,?,16, sizes must be 1 to 65536: give it with "
        "`import --shape x=1,3,?,16`, a number for each ?\n"
    )
    assert main(["import", "net.onnx", "--shape", "x=2,3,10,16", "-o", "net.yaml"]) == 0
    network = load_network("net.yaml")
    assert (network.batch, network.layers[0].E, network.layers[0].F) == (2, 8, 14)
    assert main(["import", "net.onnx", "--shape", "y=2,3,10,16"]) == 2
    assert "no input 'y'; known: x" in capsys.readouterr().err


def test_a_model_runs_as_its_network_file_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "c", pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("ConvTranspose", ["b", "t"], ["y"], "up"),
    ]
    saved(tmp_path, nodes, {"x": [1, 3, 8, 8]}, {"w": words(4, 3, 3, 3), "t": words(4, 2, 2, 2)})
    monkeypatch.chdir(tmp_path)
    assert main(["import", "net.onnx", "-o", "net.yaml"]) == 0
    assert main(["run", "net.onnx", "-q", "--json", "model.json"]) == 0
    assert main(["run", "net.yaml", "-q", "--json", "file.json"]) == 0
    capsys.readouterr()
    model, file = (Path(f"{name}.json").read_text() for name in ("model", "file"))
    notes = [
        "not simulated: MaxPool 1, 320 words an image",
        "left out: up: ConvTranspose has no layer type",
    ]
    for note in notes:
        assert note in model
        assert note in Path("net.yaml").read_text()
        model = model.replace(f'"{note}", ', "").replace(f'"{note}"', "")
    assert "".join(model.split()).replace("light", "") == "".join(file.split())


def test_without_the_package_a_model_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "workloads.onnx_graph", None)
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"pip install 'eyeriss-sim\[onnx\]'"):
        load_network(str(tmp_path / "m.onnx"))
