"""`eyeriss-sim map`: the best mapping of each layer, with a proof."""

from __future__ import annotations

import click

from sim.cli.options import (
    HelpWithoutArguments,
    Prices,
    Selection,
    layer_options,
    pricing_options,
)
from sim.cli.output import Target, keep_apart, stdout_width, write_stdout

MOST_TOP = 100


@click.command("map", cls=HelpWithoutArguments)
@layer_options
@pricing_options
@click.option(
    "--objective",
    default="latency",
    show_default=True,
    metavar="TERM[*TERM..]",
    help="energy, latency (total), processing, dram (bits on the link), edp, or a product as "
    "energy^2*latency.",
)
@click.option("--fix", "fixed", metavar="e=13,..", help="Search only mappings with these factors.")
@click.option(
    "--top",
    type=click.IntRange(1, MOST_TOP),
    default=1,
    show_default=True,
    help="Best mappings to show of each layer.",
)
@click.option(
    "--time-limit",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop all searches after that time, and tell the gap that is left.  [default: none]",
)
@click.option(
    "--simulate",
    is_flag=True,
    help="Simulate the best mapping and all others whose bound is below it, so that the proof is "
    "that of the engine.",
)
@click.option(
    "-o", "--output", metavar="FILE", help="Write a mapping file for --mapping; - is stdout."
)
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
def map(
    selection: Selection,
    prices: Prices,
    objective: str,
    fixed: str | None,
    top: int,
    seconds: float | None,
    simulate: bool,
    output: str | None,
    quiet: bool,
) -> None:
    """Find the best mapping of each layer and prove that no legal one is better.

    NETWORK is a shipped network or a file; alexnet where only options are given. All legal
    mappings are searched, none is left out; what is not evaluated has a bound that says why.

    \b
    Examples:
      eyeriss-sim map alexnet --objective energy
      eyeriss-sim map vgg16 --layer CONV1-2 --top 5
      eyeriss-sim map alexnet --layer 'CONV*' -o best.yaml
      eyeriss-sim run alexnet --layer 'CONV*' --mapping best.yaml
    """
    from sim.account.result import RefusedLayer
    from sim.cli.output import color_on_stdout
    from sim.mapper.network import LayerMapping, map_layers, read_fixed
    from sim.mapper.objectives import Objective
    from sim.report.text.mapper import mapping_file, render_mappings

    aim = Objective.read(objective)
    factors = read_fixed(fixed)
    keep_apart({"--output": output}, (*selection.files, *prices.files))
    target = None if output is None else Target(output)
    if target is not None:
        target.check()
    pricing = prices.load(selection)
    network, batch, hw = selection.load()
    found = list(
        map_layers(
            network.layers,
            batch,
            hw,
            aim,
            pricing,
            top=top,
            fixed=factors,
            seconds=seconds,
            by_engine=simulate,
        )
    )
    mapped = [layer for layer in found if isinstance(layer, LayerMapping)]
    refused = [layer for layer in found if isinstance(layer, RefusedLayer)]
    for layer in refused:
        for reason in layer.reasons:
            click.echo(f"refused: {layer.name}: {reason}", err=True)
    if refused and (selection.layers or not mapped):
        click.echo("error: no mapping of a layer that was asked for; nothing was written", err=True)
        raise click.exceptions.Exit(2)
    if target is not None:
        target.write(mapping_file(network.name, batch, aim, mapped))
    if not quiet and not (target is not None and target.is_stdout):
        unit = pricing.table.unit
        write_stdout(
            render_mappings(
                mapped, refused, aim, hw, unit, width=stdout_width(), color=color_on_stdout()
            )
        )
