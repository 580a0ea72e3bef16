"""`eyeriss-sim model first-order`: the energy estimator of 2022, from shapes alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sim.cli.options import HelpWithoutArguments, layer_option, network_argument
from sim.cli.output import Target, keep_apart, write_found

if TYPE_CHECKING:
    from sim.models.first_order import FirstOrderResult


@click.command(cls=HelpWithoutArguments)
@network_argument
@layer_option
@click.option(
    "--array",
    nargs=2,
    type=click.IntRange(1, 1024),
    default=(12, 14),  # sim.models.first_order.ARRAY, whose import would slow the help
    metavar="ROWS COLUMNS",
    help="PEs.  [default: 12 14]",
)
@click.option(
    "--precision",
    metavar="NAME|FILE",
    help="Bits and pruning of the layers that this YAML file names (docs/energy.md). "
    "alexnet_pruned is shipped.  [default: 16 bit, nothing pruned]",
)
@click.option(
    "--plots",
    "folder",
    metavar="DIR",
    help="Draw its author's five charts as PNG there, of the chosen layers. Needs Matplotlib.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write every figure in full; - is stdout, which then gets no text.",
)
@click.option("-q", "--quiet", is_flag=True, help="No text.")
def first_order(
    network: str,
    layers: tuple[str, ...],
    array: tuple[int, int],
    precision: str | None,
    folder: str | None,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Estimate the energy of one image from shapes alone, as the energy estimator of 2022 does.

    NETWORK is a shipped network, a YAML file or alexnet_ungrouped, its author's example, whose
    pruning and bits are --precision alexnet_pruned. Groups are ignored, every memory is as large as
    it needs to be, and prices are its own; `eyeriss-sim audit` compares it with the machine.

    \b
    Examples:
      eyeriss-sim model first-order alexnet_ungrouped --precision alexnet_pruned
      eyeriss-sim model first-order vgg16 --array 24 28 --plots charts
      eyeriss-sim model first-order mynet.yaml --layer 'CONV*' --json -
    """
    from sim.report.text.first_order import render_first_order

    keep_apart({"--json": json_file}, (network, precision))
    target = None if json_file is None else Target(json_file)
    result = _estimate(network, layers, array, precision)
    charts = {} if folder is None else _chart_targets(Path(folder))
    for file in (target, *charts.values()):
        if file is not None:
            file.check()
    if charts:
        from sim.report.plots.first_order import first_order_charts

        for name, picture in first_order_charts(result).items():
            charts[name].write_bytes(picture)
    write_found(result.to_dict, partial(render_first_order, result), target, quiet=quiet)


def _estimate(
    name: str, wanted: tuple[str, ...], array: tuple[int, int], precision: str | None
) -> FirstOrderResult:
    from sim.models.first_order import estimate_network, find_network
    from workloads.precision import load_precisions

    whole = find_network(name)
    chosen = whole.only(wanted) if wanted else whole
    # Looked up in all layers: a precision file may name those that are not selected.
    precisions = {} if precision is None else load_precisions(precision, whole)
    kept = {layer.name for layer in chosen.layers}
    return estimate_network(
        chosen, {layer: given for layer, given in precisions.items() if layer in kept}, array
    )


def _chart_targets(folder: Path) -> dict[str, Target]:
    from sim.report.plots.figures import require_matplotlib
    from sim.report.plots.first_order import CHARTS

    require_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    return {name: Target(str(folder / f"{name}.png")) for name in CHARTS}
