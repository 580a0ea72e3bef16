"""`eyeriss-sim estimate`: the machine's closed form in place of the simulation."""

from __future__ import annotations

import click

from sim.cli.options import (
    HelpWithoutArguments,
    Prices,
    Selection,
    pricing_options,
    selection_options,
)
from sim.cli.output import Target, keep_apart, write_result
from sim.cli.pages import Pages, Plots, page_options
from sim.cli.plans import lay_out

_MOVED = {"first-order": "first-order", "published": "fodlam"}
"""Values of the option `--model` of before -> the command that has the model now."""


def _refuse_model(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    """Name the command that has replaced `--model`."""
    if value is None or ctx.resilient_parsing:
        return
    if value in _MOVED:
        message = f"--model {value} is a command of its own: eyeriss-sim model {_MOVED[value]}"
    else:
        message = (
            "--model is no option of estimate, which is the machine's closed form; other models "
            "are commands: eyeriss-sim model"
        )
    raise click.UsageError(message)


@click.command(cls=HelpWithoutArguments)
@selection_options
@pricing_options
@click.option("--model", hidden=True, is_eager=True, expose_value=False, callback=_refuse_model)
@page_options
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the result file; - is stdout, which then gets no summary.",
)
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
def estimate(
    selection: Selection,
    prices: Prices,
    plots: Plots | None,
    report_file: str | None,
    csv_folder: str | None,
    verbose: bool,
    brief: bool,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Estimate the figures of `run` analytically, and name what bounds each layer.

    NETWORK is a shipped network or a YAML file, alexnet by default. Counts are exact and cycles are
    close; `eyeriss-sim check` compares both with the simulation.

    \b
    Examples:
      eyeriss-sim estimate alexnet
      eyeriss-sim estimate vgg16 --batch 1 --set array.rows=24 --mapping auto --json result.json
      eyeriss-sim estimate alexnet --energy eyeriss_65nm_calibrated --precision alexnet_pruned
    """
    from sim.run import predict

    keep_apart({"--json": json_file, "--report": report_file}, (*selection.files, *prices.files))
    target = None if json_file is None else Target(json_file)
    pages = Pages.of(report_file, plots, verbose, brief, csv_folder)
    pricing = prices.load(selection)
    prepared = lay_out(selection, "estimated")
    pages.check(prepared, target)
    result = predict(prepared, pricing=pricing)
    write_result(result, target, quiet=quiet, brief=brief, legends=verbose)
    pages.write(result, summary=not quiet and not (target is not None and target.is_stdout))
