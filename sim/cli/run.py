"""`eyeriss-sim run`: simulate, print the summary, write the result file."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click

from sim.cli.arrays import is_archive, read_words, write_ofmaps
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
from sim.cli.progress import layer_progress, progress_wanted
from sim.cli.tracing import Tracing, trace_options

if TYPE_CHECKING:
    from sim.account.result import LayerResult, Result
    from sim.run import NetworkPlan, Values

VALUES_DIFFER = 1
MOST_SEED = 2**63 - 1


@click.command(cls=HelpWithoutArguments)
@selection_options
@pricing_options
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the result file; - is stdout, which then gets no summary.",
)
@click.option(
    "--every-pass",
    is_flag=True,
    help="Simulate also the passes that are equal to an earlier one: same result, far slower.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes to simulate on: same result for any number.",
)
@click.option(
    "--values",
    "with_values",
    is_flag=True,
    help="Move real words and compare every ofmap with NumPy's convolution: same result, but every "
    "pass is simulated, far slower.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MOST_SEED),
    metavar="S",
    help="With --values: draw the words from this seed.  [default: 0]",
)
@click.option(
    "--ifmap",
    "ifmap_file",
    metavar="FILE.npy",
    help="With --values and one layer: its ifmap, (images, channels, rows, columns).",
)
@click.option(
    "--filter",
    "filter_file",
    metavar="FILE.npy",
    help="With --ifmap: its filters, (filters, channels of a group, rows, columns).",
)
@click.option(
    "--ofmap",
    "ofmap_file",
    metavar="FILE",
    help="With --values: write the ofmap before ReLU, (images, filters, rows, columns), to an "
    ".npy file, or those of several layers to an .npz file.",
)
@trace_options
@page_options
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def run(
    selection: Selection,
    prices: Prices,
    json_file: str | None,
    every_pass: bool,
    jobs: int,
    with_values: bool,
    seed: int | None,
    ifmap_file: str | None,
    filter_file: str | None,
    ofmap_file: str | None,
    tracing: Tracing,
    report_file: str | None,
    csv_folder: str | None,
    plots: Plots | None,
    verbose: bool,
    brief: bool,
    quiet: bool,
) -> None:
    """Simulate layers of NETWORK event by event.

    NETWORK is a shipped network or a YAML file, alexnet by default. The exit code is 2 if the chip
    refuses every layer, or one that --layer names (nothing is simulated then), and 1 if an ofmap of
    --values differs from NumPy's convolution.

    \b
    Examples:
      eyeriss-sim run alexnet --layer CONV1
      eyeriss-sim run vgg16 --layer CONV1-2 --batch 1 --json result.json
      eyeriss-sim run lenet5 --hw eyeriss_v1 --set array.rows=24 --mapping auto
      eyeriss-sim run lenet5 --values --seed 7 --ofmap ofmaps.npz
    """
    from sim.run import simulate

    _check_usage(with_values, seed, ifmap_file, filter_file, ofmap_file)
    keep_apart(
        {
            "--json": json_file,
            "--ofmap": ofmap_file,
            "--trace": tracing.file,
            "--report": report_file,
        },
        (*selection.files, *prices.files, ifmap_file, filter_file),
    )
    target = None if json_file is None else Target(json_file)
    ofmap_target = None if ofmap_file is None else Target(ofmap_file)
    pages = Pages.of(report_file, plots, verbose, brief, csv_folder)
    pricing = prices.load(selection)
    prepared = lay_out(selection)
    layers = len(prepared.plans)
    if ofmap_file is not None and not is_archive(ofmap_file) and layers > 1:
        raise click.UsageError(
            f"--ofmap {ofmap_file}: an .npy file holds one ofmap, and {layers} layers are "
            "simulated; name an .npz file, or one layer with --layer"
        )
    values = _values(prepared, seed, ifmap_file, filter_file) if with_values else None
    if ofmap_target is not None:
        ofmap_target.check()
    pages.check(prepared, target)
    tracing.check(prepared)
    progress = (
        layer_progress(prepared.plans, every_pass=every_pass or with_values)
        if progress_wanted(quiet)
        else nullcontext(None)
    )
    with progress as report, tracing.observers(prepared, values) as observers:
        result = simulate(
            prepared,
            every_pass=every_pass,
            values=values,
            pricing=pricing,
            jobs=jobs,
            progress=report,
            told=lambda sentence: click.echo(f"note: {sentence}", err=True),
            observers=observers,
        )
    try:
        if ofmap_file is not None and ofmap_target is not None:
            ofmap_target.write_binary(
                partial(write_ofmaps, layers=result.layers, archive=bool(is_archive(ofmap_file)))
            )
    finally:
        write_result(result, target, quiet=quiet, brief=brief, legends=verbose)
    pages.write(result, summary=not quiet and not (target is not None and target.is_stdout))
    _judge_values(result)


def _check_usage(
    with_values: bool,
    seed: int | None,
    ifmap_file: str | None,
    filter_file: str | None,
    ofmap_file: str | None,
) -> None:
    given = {
        "--seed": seed,
        "--ifmap": ifmap_file,
        "--filter": filter_file,
        "--ofmap": ofmap_file,
    }
    alone = [name for name, value in given.items() if value is not None]
    if alone and not with_values:
        raise click.UsageError(f"{alone[0]} needs --values: without it no real words move")
    if (ifmap_file is None) != (filter_file is None):
        missing = "--ifmap" if ifmap_file is None else "--filter"
        raise click.UsageError(f"{missing} is missing: --ifmap and --filter go together")
    if seed is not None and ifmap_file is not None:
        raise click.UsageError("--seed has nothing to draw: --ifmap and --filter give every word")
    if ofmap_file is not None and is_archive(ofmap_file) is None:
        raise click.UsageError(f"--ofmap {ofmap_file}: the name must end in .npy or .npz")


def _values(
    prepared: NetworkPlan, seed: int | None, ifmap_file: str | None, filter_file: str | None
) -> Values:
    from sim.run import Values

    if ifmap_file is None or filter_file is None:
        return Values(seed=seed or 0)
    layers = len(prepared.plans)
    if layers != 1:
        raise click.UsageError(
            f"--ifmap and --filter are the words of one layer, and {layers} layers are "
            "simulated; name one with --layer"
        )
    layer, widths = prepared.plans[0].layer, prepared.hw.word_bits
    of_ifmap = (prepared.batch, layer.G * layer.C, layer.readings[0].H, layer.readings[0].W)
    of_filters = (layer.M, layer.C, layer.R, layer.S)
    return Values(
        ifmap=read_words("--ifmap", ifmap_file, of_ifmap, widths.range_of("ifmap")),
        filters=read_words("--filter", filter_file, of_filters, widths.range_of("filter")),
    )


def _judge_values(result: Result) -> None:
    """Leave with exit code 1 where an ofmap is not NumPy's."""
    wrong = [
        layer
        for layer in result.layers
        if layer.values is not None and (layer.values.wrong or layer.values.gated_off)
    ]
    for layer in wrong:
        click.echo(f"error: {_verdict(layer)}", err=True)
    if wrong:
        raise click.exceptions.Exit(VALUES_DIFFER)


def _verdict(layer: LayerResult) -> str:
    assert layer.values is not None
    if not layer.values.wrong:
        return (
            f"{layer.layer.name}: the machine gated {layer.values.gated_off:+} MACs against the "
            "products that have a zero ifmap word; this is a defect of the simulator"
        )
    return (
        f"{layer.layer.name}: {layer.values.wrong} of {layer.values.ofmap.size} elements of the "
        "ofmap differ from NumPy's convolution; this is a defect of the simulator"
    )
