"""Damaged and hostile ONNX models end in words: no traceback, no large memory, no file beside."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.backend import test as onnx_tests

from workloads.inputs.faults import InputError
from workloads.network import load_network

LIGHT = Path(onnx_tests.__file__).parent / "data" / "light"
FLOAT = TensorProto.FLOAT
MOST_GROWTH = 256 << 20  # bytes; the largest model here has 0.2 MB


def model(
    nodes: list[onnx.NodeProto] | None = None,
    ifmap: list[int | str] | None = None,
    weights: list[onnx.TensorProto] | None = None,
    kind: int = FLOAT,
) -> onnx.ModelProto:
    filters = numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "w")
    graph = helper.make_graph(
        nodes or [conv()],
        "g",
        [helper.make_tensor_value_info("x", kind, ifmap or [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", FLOAT, ["?"] * 4)],
        [filters] if weights is None else weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def conv(**attributes: object) -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "w"], ["y"], "c", **attributes)


def stored(location: str) -> onnx.TensorProto:
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[4, 3, 3, 3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def of_dims(*dims: int) -> onnx.TensorProto:
    return TensorProto(name="w", data_type=FLOAT, dims=list(dims))


def cycle() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["b", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Identity", ["a"], ["y"]),
    ]
    return model(nodes)


def itself() -> onnx.ModelProto:
    return model([helper.make_node("Relu", ["y"], ["y"])])


def huge_sizes() -> onnx.ModelProto:
    """A shape that doubles fifty times: 2^50 rows, if anyone made them."""
    nodes = [helper.make_node("Concat", ["x", "x"], ["t0"], axis=2)]
    nodes += [
        helper.make_node("Concat", [f"t{i}", f"t{i}"], [f"t{i + 1}"], axis=2) for i in range(50)
    ]
    nodes += [helper.make_node("Conv", ["t50", "w"], ["y"])]
    return model(nodes)


HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "cycle": (cycle, "which no operator before it gives"),
    "operator that reads itself": (itself, "which no operator before it gives"),
    "missing initialiser": (lambda: model(weights=[]), "which no operator before it gives"),
    "external data above": (lambda: model(weights=[stored("../w.bin")]), "outside of the model's"),
    "external data absolute": (lambda: model(weights=[stored("/etc/passwd")]), "outside of the"),
    "external data of a drive": (lambda: model(weights=[stored("C:\\w.bin")]), "outside of the"),
    "external data nowhere": (lambda: model(weights=[stored("")]), "outside of the model's"),
    "negative size": (lambda: model(weights=[of_dims(4, -3, 3, 3)]), "dimensions"),
    "a thousand dimensions": (lambda: model(weights=[of_dims(*[1] * 1000)]), "dimensions"),
    "a petabyte of weights": (
        lambda: model(weights=[of_dims(1 << 20, 3, 1 << 20, 1 << 20)]),
        "model",
    ),
    "input of 2^40 rows": (lambda: model(ifmap=[1, 3, 1 << 40, 8]), "sizes must be 1 to 65536"),
    "rows that double": (huge_sizes, "must be 65536 or less"),
    "strides as text": (lambda: model([conv(strides="fast")]), "model"),
    "strides negative": (lambda: model([conv(strides=[-1, -1])]), "strides"),
    "three pads": (lambda: model([conv(pads=[1, 1, 1])]), "pads"),
    "groups of a third": (lambda: model([conv(group=2)]), "groups"),
    "groups below zero": (lambda: model([conv(group=-3)]), "groups"),
    "dilated": (lambda: model([conv(dilations=[2, 2])]), "dilated by 2, 2"),
    "filter larger than the ifmap": (
        lambda: model(weights=[of_dims(4, 3, 9, 9)]),
        "model",
    ),
    "filters of two dimensions": (lambda: model(weights=[of_dims(4, 3)]), "model"),
    "text for an ifmap": (lambda: model(kind=TensorProto.STRING), "holds no numbers"),
    "unknown operator": (
        lambda: model([helper.make_node("Teleport", ["x", "w"], ["y"])]),
        "no valid model",
    ),
    "operator of a vendor": (
        lambda: model([helper.make_node("Conv", ["x", "w"], ["y"], domain="ai.vendor")]),
        "model",
    ),
}


def refused(path: Path) -> str:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as raised:
        load_network(str(path))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert grown < MOST_GROWTH
    assert str(raised.value).isprintable() or "\n" in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_is_refused(name: str, tmp_path: Path) -> None:
    make, says = HOSTILE[name]
    path = tmp_path / "m.onnx"
    path.write_bytes(make().SerializeToString())
    assert says in refused(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("seed", range(80))
def test_a_damaged_model_is_read_or_refused(seed: int, tmp_path: Path) -> None:
    """Bytes of a real model changed, cut, or repeated: a network, or words."""
    draw = random.Random(seed)
    raw = bytearray((LIGHT / "light_squeezenet.onnx").read_bytes())
    for _ in range(draw.choice((1, 3, 30))):
        at = draw.randrange(len(raw))
        match draw.randrange(3):
            case 0:
                raw[at] = draw.randrange(256)
            case 1:
                del raw[at : at + draw.randrange(1, 40)]
            case _:
                raw[at:at] = raw[at : at + draw.randrange(1, 40)]
    path = tmp_path / "m.onnx"
    path.write_bytes(raw[: draw.choice((len(raw), draw.randrange(len(raw))))])
    outcome: object = None
    try:
        outcome = load_network(str(path)).layers
    except InputError as error:
        outcome = str(error).startswith(f"{path}: ")
    assert outcome
