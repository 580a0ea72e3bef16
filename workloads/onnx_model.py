"""Networks from ONNX models: the layers that multiply, and a line for everything else.

Only shapes are read. Weights never are: large ones are dropped before shapes are inferred, and
external data are not opened, so a model of any size takes the memory of its graph and its file.

Stated rules:

- A network's batch is the first dimension of its first input; one image where that is not fixed.
- What a tensor becomes on its way out of a layer (ReLU and its like, batch normalisation of a
  convolution's ofmap) moves no words of its own; neither does a new shape of the same words.
- Everything else that is no layer here would move its inputs and its output, those that are not
  constants, once; `Model.moved` says how many words of an image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import printable

if TYPE_CHECKING:
    pass

MAX_FILE_BYTES: Final = 1 << 30
"""Largest model file: ResNet-50 has 0.1 GB, BERT-base 0.44; larger ones keep weights outside."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Operators of one kind that are no layers, and the words of an image that they would move."""

    operator: str
    times: int
    words: int


@dataclass(frozen=True)
class Model:
    """What an ONNX file holds, as the data of a network file.

    Attributes:
        data: A network file's content: `network`, `source`, `batch`, `layers`.
        bits: (weights, activations) of each layer, by its name.
        folded: How often operators occur that move no words of their own.
        moved: Operators that are no layers.
        left_out: Layers that cannot be simulated, each with the reason.
    """

    data: dict[str, Any]
    bits: dict[str, tuple[int, int]]
    folded: dict[str, int]
    moved: tuple[Moved, ...]
    left_out: tuple[str, ...]

    def notes(self) -> Iterator[str]:
        """Yield a line for each group of operators that is no layer."""
        if self.folded:
            names = ", ".join(f"{name} {times}" for name, times in sorted(self.folded.items()))
            yield f"move no words of their own: {names}"
        for part in self.moved:
            yield f"not simulated: {part.operator} {part.times}, {part.words:,} words an image"
        yield from (f"left out: {reason}" for reason in self.left_out)

    def to_yaml(self) -> str:
        """Return the network file: the layers, one a line, under the notes as comments."""
        layers = self.data["layers"]
        head = {key: value for key, value in self.data.items() if key != "layers"}
        notes = "".join(f"# {note}\n" for note in self.notes())
        lines = "".join(f"  - {_flow(entry)}\n" for entry in layers)
        return notes + yaml.safe_dump(head, sort_keys=False, width=100) + "layers:\n" + lines

    def precision_yaml(self) -> str:
        """Return the precision file: bits of the weights and activations of each layer."""
        lines = "".join(
            f"  {_flow(name)}: {{weight_bits: {weights}, activation_bits: {activations}}}\n"
            for name, (weights, activations) in self.bits.items()
            if weights and activations
        )
        return f"source: {_flow(self.data['source'])}\nlayers:\n{lines}"


def _flow(data: object) -> str:
    text = yaml.safe_dump(data, default_flow_style=True, sort_keys=False, width=math.inf)
    return text.removesuffix("...\n").strip()


def read_onnx(path: Path | str, shapes: Mapping[str, Sequence[int]] | None = None) -> Model:
    """Read the layers of an ONNX model.

    `shapes` gives whole input shapes by name, batch first, in place of those of the file.

    Raises:
        InputError: the onnx package is missing, the file cannot be read, is no valid model, or an
            input's size is not known.

    """
    name = printable(str(path))

    def refuse(message: str, about: str = "") -> InputError:
        return InputError(Fault(name, None, about, message))

    try:
        from workloads.onnx_graph import model_of  # noqa: PLC0415 - an extra, and slow
    except ImportError:
        raise refuse(
            "is an ONNX model, and reading one needs the onnx package: "
            "pip install 'eyeriss-sim[onnx]'"
        ) from None
    try:
        file = Path(path)
        if not file.is_file():
            raise refuse(
                "is a directory, not a model"
                if file.is_dir()
                else "is not a regular file"
                if file.exists()
                else "no such file"
            )
        if file.stat().st_size > MAX_FILE_BYTES:
            raise refuse(
                f"is larger than the limit of {MAX_FILE_BYTES} bytes; "
                "save its weights as external data, which are not read"
            )
        raw = file.read_bytes()
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise refuse("cannot be read: its name holds a null character") from None
    return model_of(raw, name, dict(shapes or {}))
