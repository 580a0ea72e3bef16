"""`eyeriss-sim import`: an ONNX model as a network file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from sim.cli.options import HelpWithoutArguments
from sim.cli.output import Target, keep_apart

if TYPE_CHECKING:
    _ShapeType = click.ParamType[tuple[str, tuple[int, ...]]]
else:
    _ShapeType = click.ParamType  # generic from 8.4 on only


class _Shape(_ShapeType):
    """`NAME=N,C,H,W`: an input and its whole shape."""

    name = "shape"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """Return name and sizes."""
        name, _, sizes = value.rpartition("=")
        if not name or not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9}){0,15}", sizes):
            self.fail(
                f"'{value}' is not NAME=SIZE,.. with whole numbers: x=1,3,224,224", param, ctx
            )
        return name, tuple(map(int, sizes.split(",")))


@click.command("import", cls=HelpWithoutArguments)
@click.argument("model", metavar="MODEL.onnx")
@click.option(
    "--shape",
    "shapes",
    metavar="NAME=N,C,H,W",
    multiple=True,
    type=_Shape(),
    help="The whole shape of an input, images first, in place of the model's; may be repeated.",
)
@click.option(
    "-o", "--output", metavar="FILE.yaml", default="-", help="The network file.  [default: stdout]"
)
@click.option(
    "--precision",
    "precision_file",
    metavar="FILE.yaml",
    help="Write also the bits of weights and activations of each layer, for run --precision.",
)
def import_(
    model: str,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    output: str,
    precision_file: str | None,
) -> None:
    """Write the layers of an ONNX model as a network file.

    Any command takes a model in place of a NETWORK, too; the file is for editing layers, adding
    zero fractions, and for models whose input sizes are not fixed. What is no layer is listed in
    comments, with the words that it would move. Weights are not read.

    \b
    Examples:
      eyeriss-sim import resnet50.onnx -o resnet50.yaml
      eyeriss-sim import detector.onnx --shape x=1,3,640,640 -o detector.yaml
      eyeriss-sim import quantised.onnx -o net.yaml --precision bits.yaml
    """
    from workloads.network import network_from_model
    from workloads.onnx_file import read_onnx

    keep_apart({"-o": output, "--precision": precision_file}, (model,))
    targets = {name: Target(name) for name in (output, precision_file) if name is not None}
    for target in targets.values():
        target.check()
    imported = read_onnx(model, dict(shapes))
    network_from_model(imported, model)  # a layer that no network can have is refused now
    targets[output].write(imported.to_yaml())
    if precision_file is not None:
        targets[precision_file].write(imported.precision_yaml())
