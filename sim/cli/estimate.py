"""`eyeriss-sim estimate`: closed forms in place of the simulation.

The machine's own, in the words of `run`, or one of two first-order models beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sim.cli.options import (
    HelpWithoutArguments,
    OneOf,
    Prices,
    Selection,
    pricing_options,
    selection_options,
)
from sim.cli.output import Target, keep_apart, write_found, write_result
from sim.cli.pages import Pages, Plots, page_options
from sim.cli.plans import lay_out

if TYPE_CHECKING:
    from sim.analytic.first_order import FirstOrderResult
    from sim.analytic.published import PublishedResult

CLOSED_FORM, FIRST_ORDER, PUBLISHED = MODELS = ("closed-form", "first-order", "published")

_MEANINGLESS = {
    CLOSED_FORM: {},
    FIRST_ORDER: {
        "report_file": "its figures are in no page",
        "plot_names": "it has five charts of its own",
        "plot_layers": "its charts have all layers",
        "verbose": "it knows no passes",
        "brief": "its table is brief",
        "batch": "the first-order model knows one image",
        "mapping": "the first-order model knows no mapping",
        "energy_table": "the first-order model has its own prices",
    },
    PUBLISHED: {
        "report_file": "its figures are in no page",
        "verbose": "it knows no passes",
        "brief": "its table is brief",
        "batch": "published figures are for their own batch, told per batch and per image",
        "mapping": "published figures have their own mapping",
        "hw": "published figures are those of Eyeriss and EIE",
        "settings": "published figures are those of Eyeriss and EIE",
        "energy_table": "published figures are energies already",
        "precision": "published figures are for 16 bit",
        "plots": "there is nothing to draw",
        "plot_names": "there is nothing to draw",
        "plot_layers": "there is nothing to draw",
    },
}
_OPTIONS = {"energy_table": "--energy", "settings": "--set", "report_file": "--report",
            "plot_names": "--plot", "plot_layers": "--plot-layer"}  # fmt: skip


@click.command(cls=HelpWithoutArguments)
@selection_options
@pricing_options
@click.option(
    "--model",
    type=OneOf(MODELS),
    default=CLOSED_FORM,
    show_default=True,
    help="closed-form: the simulated machine; first-order: the energy estimator of 2022 from "
    "shapes alone, whose --plots are five charts as PNG; published: FODLAM of 2017, look-up and "
    "scaling of measured layers.",
)
@page_options
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the result file; - is stdout, which then gets no summary.",
)
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
@click.pass_context
def estimate(
    ctx: click.Context,
    selection: Selection,
    prices: Prices,
    model: str,
    plots: Plots | None,
    report_file: str | None,
    verbose: bool,
    brief: bool,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Tell in closed form what `run` finds by simulation, and which station bounds each layer.

    NETWORK is a shipped network or a YAML file; alexnet where only options are given. Counts are
    exact, cycles close to exact: `eyeriss-sim check` holds both against the simulation.

    With --model first-order NETWORK may be alexnet_ungrouped too, its author's example, whose
    pruning and bits are --precision alexnet_pruned. With --model published it may be a JSON file
    with `layers` and one of `net` and `netfile`, as FODLAM has it.

    \b
    Examples:
      eyeriss-sim estimate alexnet
      eyeriss-sim estimate vgg16 --batch 1 --set array.rows=24 --mapping auto --json result.json
      eyeriss-sim estimate alexnet --energy eyeriss_65nm_calibrated --precision alexnet_pruned
      eyeriss-sim estimate alexnet_ungrouped --model first-order --precision alexnet_pruned
      eyeriss-sim estimate vgg16 --model published --json -
    """
    _check_usage(ctx, model)
    keep_apart({"--json": json_file, "--report": report_file}, (*selection.files, *prices.files))
    target = None if json_file is None else Target(json_file)
    if model == FIRST_ORDER:
        _first_order(selection, prices, plots, target, quiet=quiet)
    elif model == PUBLISHED:
        _published(selection, target, quiet=quiet)
    else:
        from sim.run import predict

        pages = Pages.of(report_file, plots, verbose, brief)
        pricing = prices.load(selection)
        prepared = lay_out(selection, "estimated")
        pages.check(prepared, target)
        result = predict(prepared, pricing=pricing)
        write_result(result, target, quiet=quiet, brief=brief, legends=verbose)
        pages.write(result, summary=not quiet and not (target is not None and target.is_stdout))


def _check_usage(ctx: click.Context, model: str) -> None:
    """Refuse an option that the model would ignore."""
    default = click.core.ParameterSource.DEFAULT
    for name, reason in _MEANINGLESS[model].items():
        if ctx.get_parameter_source(name) is not default:
            option = _OPTIONS.get(name, f"--{name}")
            raise click.UsageError(f"{option} has no meaning with --model {model}: {reason}")


def _first_order(
    selection: Selection, prices: Prices, plots: Plots | None, target: Target | None, *, quiet: bool
) -> None:
    from dataclasses import replace

    from sim.analytic.first_order import (
        FirstOrderResult,
        estimate_network,
        find_network,
        load_precisions,
    )

    network, _, hw = selection.load(find_network)
    whole = replace(network, layers=find_network(selection.network).layers)
    precisions = None if prices.precision is None else load_precisions(prices.precision, whole)
    # All layers, so that a precision file may name those that are not selected.
    every = estimate_network(whole, precisions, (hw.array.rows, hw.array.columns))
    chosen = {layer.name for layer in network.layers}
    result = FirstOrderResult(
        every.network, tuple(layer for layer in every.layers if layer.layer.name in chosen)
    )
    charts = {} if plots is None else _chart_targets(plots.folder)
    for file in (target, *charts.values()):
        if file is not None:
            file.check()
    if charts:
        _write_charts(result, charts)

    def render(**how: Any) -> str:
        from sim.report.models import render_first_order

        return render_first_order(result, **how)

    write_found(result.to_dict, render, target, quiet=quiet)


def _chart_targets(folder: Path) -> dict[str, Target]:
    from sim.report.charts import CHARTS

    folder.mkdir(parents=True, exist_ok=True)
    return {name: Target(str(folder / f"{name}.png")) for name in CHARTS}


def _write_charts(result: FirstOrderResult, targets: dict[str, Target]) -> None:
    from sim.report.charts import first_order_charts

    for name, picture in first_order_charts(result).items():
        targets[name].write_bytes(picture)


def _published(selection: Selection, target: Target | None, *, quiet: bool) -> None:
    from sim.analytic.published import diagnose

    result = _published_result(selection)
    if target is not None:
        target.check()

    def render(**how: Any) -> str:
        from sim.report.models import render_published

        return render_published(result, diagnose(), **how)

    write_found(lambda: {**result.to_dict(), "diagnosis": diagnose()}, render, target, quiet=quiet)


def _published_result(selection: Selection) -> PublishedResult:
    from sim.analytic.published import estimate_config, estimate_published

    if not selection.network.casefold().endswith(".json"):
        return estimate_published(selection.load()[0])
    if selection.layers:
        raise click.UsageError("--layer has no meaning with a JSON file, which names its layers")
    return estimate_config(selection.network)
