"""What an ONNX model holds: the layers that multiply, and a line for everything else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml


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
