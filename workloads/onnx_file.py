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

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import printable
from workloads.onnx_model import Model

MAX_FILE_BYTES: Final = 1 << 30
"""Largest model file: ResNet-50 has 0.1 GB, BERT-base 0.44; larger ones keep weights outside."""


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
