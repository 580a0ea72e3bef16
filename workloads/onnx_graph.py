"""The graph of an ONNX model: its layers, and what every other operator moves.

Imports onnx, which is an extra: import it through `workloads.onnx_file` alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy
import onnx
from onnx import TensorProto, ValueInfoProto, checker, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from workloads.inputs.faults import MAX_FAULTS, Fault, InputError
from workloads.inputs.words import path_part, printable, shown, unknown_name
from workloads.layer import MAX_SIZE
from workloads.onnx_model import Model, Moved

MAX_NODES: Final = 200_000
MAX_RANK: Final = 16

_LARGE_WORDS: Final = 4096
"""Constants above this are weights, not shapes: only their own shape is needed."""

_MOST_ROUNDS: Final = 64  # of inference: one for each size that depends on another inferred one

Shape: TypeAlias = tuple[int, ...]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SIZE_OPERATORS: Final = _names(
    "Add Cast Ceil Concat Div Equal Floor Gather Identity Max Min Mod Mul Neg ReduceProd Reshape "
    "Round Slice Split Sqrt Squeeze Sub Unsqueeze Where"
)
RESHAPES: Final = _names(
    "Cast Dropout Expand Flatten Identity Reshape Shape Size Squeeze Unsqueeze"
)
"""Operators that give the same words in another shape."""

FOLDED: Final = _names(
    "Abs Celu Clip DequantizeLinear Elu Erf Gelu HardSigmoid HardSwish LeakyRelu Mish Neg PRelu "
    "QuantizeLinear DynamicQuantizeLinear Relu Selu Sigmoid Softplus Softsign Sqrt Tanh "
    "ThresholdedRelu"
)
"""Operators of one tensor, word by word: applied to an ofmap as it leaves."""

_CONVOLUTIONS: Final = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3)}
_PRODUCTS: Final = {
    "Gemm": (0, 1), "MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3),
}  # fmt: skip
"""Where an operator has its left (ifmap) and right (filter) operand among its inputs."""

_MULTIPLIES: Final = _names(
    "ConvTranspose DeformConv Einsum Attention MultiHeadAttention GRU LSTM RNN QGemm FusedConv "
    "FusedGemm FusedMatMul QAttention If Loop Scan"
)
"""Operators that multiply, too, or may: a layer that is missing from the network."""


def model_of(raw: bytes, file: str, shapes: dict[str, Sequence[int]]) -> Model:
    """Return the layers of a model's bytes; `file` is the name that faults carry."""

    def refuse(message: str) -> InputError:
        return InputError(Fault(file, None, "", message))

    def refuse_all(problems: Iterable[tuple[str, str]]) -> None:
        faults = [Fault(file, None, about, message) for about, message in problems]
        if faults:
            raise InputError(*faults[:MAX_FAULTS])

    try:
        model = onnx.ModelProto.FromString(raw)
    except Exception:  # protobuf's DecodeError, which is not part of onnx
        raise refuse("is not an ONNX model") from None
    if not model.graph.node:
        raise refuse("is not an ONNX model: it has no graph")
    if len(model.graph.node) > MAX_NODES:
        raise refuse(f"has {len(model.graph.node)} operators, limit {MAX_NODES}")
    refuse_all(_faults(model.graph))
    constants = _drop_weights(model.graph)
    try:
        checker.check_model(model)
    except Exception as error:  # several types, whose texts name the operator
        raise refuse(f"is no valid model: {_first_line(error)}") from None
    refuse_all(_set_inputs(model.graph, constants, shapes))
    try:
        model = _with_shapes(model)
    except Exception as error:
        raise refuse(f"is no valid model: {_first_line(error)}") from None
    return _Reader(model, file, constants).model()


def _first_line(error: Exception) -> str:
    line = next((text for text in map(str.strip, str(error).splitlines()) if text), "unknown")
    return printable(line)[:200]


def _faults(graph: onnx.GraphProto) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with tensors and names, before any library works on them."""
    tensors = list(graph.initializer)
    tensors += [entry.t for node in graph.node for entry in node.attribute if entry.HasField("t")]
    for tensor in tensors:
        if len(tensor.dims) > MAX_RANK or any(size < 0 for size in tensor.dims):
            yield (
                shown(tensor.name),
                f"a tensor of {len(tensor.dims)} dimensions {list(tensor.dims)[:8]}",
            )
        for entry in tensor.external_data:
            if entry.key == "location" and _outside(entry.value):
                yield (
                    shown(tensor.name),
                    (f"external data {shown(entry.value)} are outside of the model's folder"),
                )
    known = {value.name for value in (*graph.input, *graph.initializer)} | {""}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    for node in graph.node:
        lacking = [name for name in node.input if name not in known]
        if lacking:
            yield (
                shown(node.name or node.op_type),
                (f"{node.op_type} reads {shown(lacking[0])}, which no operator before it gives"),
            )
        known.update(node.output)


def _outside(location: str) -> bool:
    parts = location.replace("\\", "/").split("/")
    return not location or "\0" in location or parts[0] == "" or ".." in parts or ":" in parts[0]


def _drop_weights(graph: onnx.GraphProto) -> set[str]:
    """Make inputs of large constants, and return the names of all constants that are stored.

    Inference copies the model, and needs no more than their shapes.
    """
    given = {value.name for value in graph.input}
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {tensor.values.name for tensor in graph.sparse_initializer}

    def declare(name: str, tensor: onnx.TensorProto) -> None:
        if name not in given:
            value = helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))
            graph.input.append(value)

    small = []
    for tensor in graph.initializer:
        external = tensor.data_location == TensorProto.EXTERNAL
        if external or math.prod(tensor.dims) > _LARGE_WORDS:
            declare(tensor.name, tensor)
        else:
            small.append(tensor)
    del graph.initializer[:]
    graph.initializer.extend(small)
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant" and len(node.output) == 1:
            constants.add(node.output[0])
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if value is not None and math.prod(value.dims) > _LARGE_WORDS:
                declare(node.output[0], value)
                continue
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return constants


def _set_inputs(
    graph: onnx.GraphProto, constants: set[str], shapes: dict[str, Sequence[int]]
) -> Iterator[tuple[str, str]]:
    """Fix the shape of every input; yield those whose sizes are not known, and unknown names."""
    names = []
    for value in graph.input:
        if value.name in constants:
            continue
        names.append(value.name)
        if not value.type.HasField("tensor_type"):
            yield shown(value.name), "is an input that is no tensor"
            continue
        dims = value.type.tensor_type.shape.dim
        sizes = [dim.dim_value for dim in dims]
        if value.name in shapes:
            sizes = list(shapes.pop(value.name))
            if dims and len(sizes) != len(dims):
                yield shown(value.name), f"has {len(dims)} dimensions, {len(sizes)} are given"
        elif sizes and sizes[0] <= 0:
            sizes[0] = 1
        if not all(0 < size <= MAX_SIZE for size in sizes):
            written = ",".join(str(size) if size > 0 else "?" for size in sizes)
            yield (
                shown(value.name),
                (
                    f"has the shape {written}, sizes must be 1 to {MAX_SIZE}: give it with "
                    f"`import --shape {printable(value.name)}={written}`, a number for each ?"
                ),
            )
            continue
        del dims[:]
        for size in sizes:
            dims.add().dim_value = size
    for name in shapes:
        yield shown(name), unknown_name("input", name, names)
    # What an exporter wrote of other tensors may be of another batch.
    del graph.value_info[:]
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")


def _with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with the shapes of all tensors that can be inferred.

    Inference follows sizes through a graph that computes them only in part (onnx 1.23: no casts, no
    floats). So what is computed from known sizes alone is computed, by onnx's own reference, put in
    its place as a constant, and inference is asked again until nothing more is known.
    """
    for _ in range(_MOST_ROUNDS):
        model = shape_inference.infer_shapes(model, data_prop=True)
        if not _compute_sizes(model):
            break
        del model.graph.value_info[:]
    return model


def _compute_sizes(model: onnx.ModelProto) -> int:
    """Replace operators that compute sizes by what they give; return how many those are."""
    graph = model.graph
    known: dict[str, Any] = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if not tensor.external_data
    }
    shapes = {}
    for value in (*graph.input, *graph.value_info):
        tensor = value.type.tensor_type
        sizes = [dim.dim_value for dim in tensor.shape.dim]
        if tensor.HasField("shape") and all(size > 0 for size in sizes):
            shapes[value.name] = sizes
    left = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            known[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute:
            known[node.output[0]] = numpy.array(shapes[node.input[0]], numpy.int64)
        elif _of_sizes(node, known):
            known[node.output[0]] = _computed(node, known, model.opset_import)
        else:
            left.append(node)
            continue
        graph.initializer.append(numpy_helper.from_array(known[node.output[0]], node.output[0]))
    replaced = len(graph.node) - len(left)
    del graph.node[:]
    graph.node.extend(left)
    return replaced


def _of_sizes(node: onnx.NodeProto, known: Mapping[str, Any]) -> bool:
    """Return whether an operator computes few numbers from few known ones."""
    return (
        node.op_type in _SIZE_OPERATORS
        and len(node.output) == 1
        and all(name in known and known[name].size <= MAX_RANK for name in node.input if name)
    )


def _computed(node: onnx.NodeProto, known: Mapping[str, Any], opsets: Any) -> Any:
    """Return the output of one operator by onnx's reference implementation."""
    inputs = {name: known[name] for name in node.input if name}
    single = helper.make_graph(
        [node],
        "sizes",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in inputs.items()
        ],
        [ValueInfoProto(name=node.output[0])],
    )
    (result,) = ReferenceEvaluator(helper.make_model(single, opset_imports=opsets)).run(
        None, inputs
    )
    return result


class _UnknownLayerError(Exception):
    """A layer that cannot be simulated, and why."""


class _Reader:
    """The operators of a model whose shapes are inferred, one after the other."""

    def __init__(self, model: onnx.ModelProto, file: str, constants: set[str]) -> None:
        self.file, self.graph = file, model.graph
        self.producer = printable(" ".join((model.producer_name, model.producer_version)).strip())
        # What `_compute_sizes` has put in its place is constant, too.
        self.constants = constants | {tensor.name for tensor in self.graph.initializer}
        self.shapes: dict[str, Shape] = {}
        self.types: dict[str, int] = {}
        for value in (*self.graph.input, *self.graph.value_info, *self.graph.output):
            tensor = value.type.tensor_type
            self.types[value.name] = tensor.elem_type
            if tensor.HasField("shape"):
                self.shapes[value.name] = tuple(
                    dim.dim_value if dim.HasField("dim_value") else 0 for dim in tensor.shape.dim
                )
        for tensor in self.graph.initializer:
            self.shapes[tensor.name] = tuple(tensor.dims)
            self.types[tensor.name] = tensor.data_type
        self.makers: dict[str, onnx.NodeProto] = {}
        inputs = [value.name for value in self.graph.input if value.name not in constants]
        first = self.shapes.get(inputs[0], ()) if inputs else ()
        self.batch = first[0] if first else 1
        self.entries: list[dict[str, Any]] = []
        self.bits: dict[str, tuple[int, int]] = {}
        self.taken: set[str] = set()
        self.ofmaps: set[str] = set()

    def model(self) -> Model:
        """Return what the operators are."""
        folded: Counter[str] = Counter()
        times: Counter[str] = Counter()
        words: Counter[str] = Counter()
        left_out: list[str] = []
        for node in self.graph.node:
            for output in node.output:
                self.makers[output] = node
            if all(name in self.constants for name in node.input if name) and (
                node.input or node.op_type in ("Constant", "ConstantOfShape")
            ):
                self.constants.update(node.output)  # computed once, before any image
                continue
            kind = printable(node.op_type)
            try:
                if self._layer(node):
                    continue
                if kind in _MULTIPLIES or kind.startswith("Fused"):
                    raise _UnknownLayerError(f"{kind} has no layer type")
            except _UnknownLayerError as reason:
                left_out.append(f"{self._name(node)}: {reason}")
                continue
            if kind in RESHAPES or kind in FOLDED or self._folds(node):
                folded[kind] += 1
            else:
                times[kind] += 1
                words[kind] += self._words(node)
        if not self.entries:
            reasons = "".join(f"; {reason}" for reason in left_out[:3])
            raise InputError(
                Fault(self.file, None, "", f"has no layer that can be simulated{reasons}")
            )
        data = {
            "network": path_part(Path(self.file).stem, set()),
            "source": f"ONNX model by {self.producer}" if self.producer else "ONNX model",
            "batch": self.batch,
            "layers": self.entries,
        }
        moved = tuple(Moved(kind, times[kind], words[kind]) for kind in sorted(times))
        return Model(data, self.bits, dict(folded), moved, tuple(left_out))

    def _layer(self, node: onnx.NodeProto) -> bool:
        """Add the layer that an operator is; False where it is not a layer."""
        if node.domain not in ("", "ai.onnx"):
            return False
        if node.op_type in _CONVOLUTIONS:
            left, right = (self._input(node, i) for i in _CONVOLUTIONS[node.op_type])
            entry = self._convolution(node, left, right)
        elif node.op_type in _PRODUCTS:
            left, right = (self._input(node, i) for i in _PRODUCTS[node.op_type])
            entry = self._product(node, left, right)
        else:
            return False
        bits = self._width(right), self._width(left)
        name = self._name(node)
        self.entries.append({"name": name, **entry})
        self.bits[name] = bits
        self.ofmaps.update(node.output)
        return True

    def _input(self, node: onnx.NodeProto, index: int) -> str:
        if index >= len(node.input) or not node.input[index]:
            raise _UnknownLayerError(f"{node.op_type} has no input {index}")
        return str(node.input[index])

    def _shape(self, name: str) -> Shape:
        shape = self.shapes.get(name)
        if shape is None or not all(size > 0 for size in shape):
            raise _UnknownLayerError(f"the shape of {shown(name)} cannot be inferred")
        return shape

    def _name(self, node: onnx.NodeProto) -> str:
        """Return a name that no layer has yet, of the operator, its output, or its type."""
        wanted = node.name or (node.output[0] if node.output else "") or node.op_type
        return path_part(str(wanted), self.taken)

    def _attributes(self, node: onnx.NodeProto) -> dict[str, Any]:
        return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}

    def _convolution(self, node: onnx.NodeProto, left: str, right: str) -> dict[str, Any]:
        ifmap, filters = self._shape(left), self._shape(right)
        given = self._attributes(node)
        axes = len(ifmap) - 2
        if axes not in (1, 2) or len(filters) != axes + 2:
            raise _UnknownLayerError(
                f"a convolution over {axes} dimensions, 1 and 2 can be simulated"
            )
        if ifmap[0] != self.batch:
            raise _UnknownLayerError(f"its ifmap has {ifmap[0]} images, the network {self.batch}")
        taps = filters[2:]
        strides = _numbers(given, "strides", axes, 1)
        dilations = _numbers(given, "dilations", axes, 1)
        if any(dilation > 1 for dilation in dilations):
            raise _UnknownLayerError(f"dilated by {_joined(dilations)}")
        begin, end = self._padding(given, ifmap[2:], taps, strides)
        groups = given.get("group", 1)
        if not isinstance(groups, int) or groups < 1 or filters[1] * groups != ifmap[1]:
            raise _UnknownLayerError(
                f"{ifmap[1]} channels in {groups} groups, with filters of {filters[1]}"
            )
        rows = (ifmap[2], taps[0], strides[0], begin[0], end[0]) if axes == 2 else (1, 1, 1, 0, 0)
        height, filter_rows, stride, top, bottom = rows
        entry: dict[str, Any] = {
            "ifmap": [height, ifmap[-1]],
            "channels": ifmap[1],
            "filters": filters[0],
            "filter": [filter_rows, taps[-1]],
        }
        if groups > 1 and groups == ifmap[1]:
            entry = {"type": "depthwise", **entry}
        elif groups > 1:
            entry["groups"] = groups
        if (stride, strides[-1]) != (1, 1):
            entry["stride"] = [stride, strides[-1]]
        if any((top, bottom, begin[-1], end[-1])):
            entry["padding"] = [top, bottom, begin[-1], end[-1]]
        return entry

    def _padding(
        self, given: Mapping[str, Any], sizes: Shape, taps: Shape, strides: Sequence[int]
    ) -> tuple[Shape, Shape]:
        """Return the zeros before and behind each dimension."""
        auto = given.get("auto_pad", b"NOTSET")
        if auto in (b"NOTSET", b""):
            pads = _numbers(given, "pads", 2 * len(sizes), 0)
            return pads[: len(sizes)], pads[len(sizes) :]
        if auto == b"VALID":
            return (0,) * len(sizes), (0,) * len(sizes)
        if auto not in (b"SAME_UPPER", b"SAME_LOWER"):
            raise _UnknownLayerError(f"auto_pad {shown(auto)}")
        whole = [
            max(0, (-(-size // stride) - 1) * stride + tap - size)
            for size, tap, stride in zip(sizes, taps, strides, strict=True)
        ]
        less, more = tuple(pad // 2 for pad in whole), tuple(-(-pad // 2) for pad in whole)
        return (less, more) if auto == b"SAME_UPPER" else (more, less)

    def _product(self, node: onnx.NodeProto, left: str, right: str) -> dict[str, Any]:
        a, b = self._shape(left), self._shape(right)
        if node.op_type == "Gemm":
            given = self._attributes(node)
            a = a[::-1] if given.get("transA") else a
            b = b[::-1] if given.get("transB") else b
        a = (1, *a) if len(a) == 1 else a
        b = (*b, 1) if len(b) == 1 else b
        if a[-1] != b[-2]:
            raise _UnknownLayerError(f"{_joined(a, 'x')} cannot be multiplied by {_joined(b, 'x')}")
        products, columns = math.prod(b[:-2]), b[-1]
        if right in self.constants and products == 1:
            rows = math.prod(a[:-1])
        else:  # each product has matrices of its own
            products = math.prod(_broadcast(a[:-2], b[:-2]))
            rows = a[-2]
            if products % self.batch == 0:
                products //= self.batch
            elif self.batch > 1:
                raise _UnknownLayerError(f"{products} products for {self.batch} images")
            return {"type": "gemm", "M": rows, "K": a[-1], "N": columns, "batch": products}
        if rows % self.batch:
            raise _UnknownLayerError(f"{rows} rows for {self.batch} images")
        rows //= self.batch
        if rows > 1:
            return {"type": "gemm", "M": rows, "K": a[-1], "N": columns}
        channels, height, width = self._before_flattening(left, a[-1])
        return {"type": "fc", "ifmap": [height, width], "channels": channels, "filters": columns}

    def _before_flattening(self, name: str, words: int) -> Shape:
        """Return channels, rows and columns of the ifmap that became a row of `words`."""
        for _ in range(8):
            shape = self.shapes.get(name, ())
            if len(shape) == 4 and math.prod(shape[1:]) == words:
                return shape[1:]
            maker = self.makers.get(name)
            if maker is None or maker.op_type not in RESHAPES | FOLDED or not maker.input:
                break
            name = maker.input[0]
        return (words, 1, 1)

    def _folds(self, node: onnx.NodeProto) -> bool:
        """Return whether the operator scales or shifts an ofmap by constants as it leaves."""
        if node.op_type not in ("BatchNormalization", "Add", "Sub", "Mul", "Div", "Sum", "Pow"):
            return False
        moving = [name for name in node.input if name and name not in self.constants]
        return len(moving) == 1 and self._of_ofmap(moving[0])

    def _of_ofmap(self, name: str) -> bool:
        """Return whether a tensor is an ofmap, after operators that fold into it at most."""
        while name not in self.ofmaps:
            maker = self.makers.get(name)
            if maker is None or not (maker.op_type in FOLDED | RESHAPES or self._folds(maker)):
                return False
            name = next(one for one in maker.input if one and one not in self.constants)
        return True

    def _words(self, node: onnx.NodeProto) -> int:
        """Return the words of an image that an operator reads and writes, once each."""
        tensors = [name for name in node.input if name and name not in self.constants]
        sizes = [self.shapes.get(name, ()) for name in (*tensors, *node.output) if name]
        return sum(math.prod(shape) for shape in sizes if shape) // self.batch

    def _width(self, name: str) -> int:
        """Return the bits of a tensor's words, before they are dequantised."""
        while (maker := self.makers.get(name)) is not None and maker.op_type == "DequantizeLinear":
            name = maker.input[0]
        kind = self.types.get(name, TensorProto.UNDEFINED)
        if kind in (TensorProto.INT4, TensorProto.UINT4):
            return 4
        if kind in (TensorProto.STRING, TensorProto.BOOL, TensorProto.COMPLEX64):
            raise _UnknownLayerError(f"{shown(name)} holds no numbers")
        try:
            return int(helper.tensor_dtype_to_np_dtype(kind).itemsize) * 8
        except (KeyError, TypeError):  # undefined, or newer than this package
            return 0


def _numbers(given: Mapping[str, Any], key: str, count: int, default: int) -> Shape:
    """Return an attribute that is so many whole numbers, none below the default."""
    value = given.get(key)
    if not value:
        return (default,) * count
    if not isinstance(value, list | tuple) or not all(isinstance(one, int) for one in value):
        raise _UnknownLayerError(f"{key} is {shown(value)}, whole numbers are needed")
    if len(value) != count or min(value) < default:
        raise _UnknownLayerError(
            f"{key} is {_joined(value)}, {count} numbers from {default} are needed"
        )
    return tuple(value)


def _joined(sizes: Sequence[int], mark: str = ", ") -> str:
    return mark.join(map(str, sizes))


def _broadcast(a: Shape, b: Shape) -> Shape:
    longest = max(len(a), len(b))
    pairs = zip((1,) * (longest - len(a)) + a, (1,) * (longest - len(b)) + b, strict=True)
    return tuple(max(pair) for pair in pairs)
