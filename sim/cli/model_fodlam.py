"""`eyeriss-sim model fodlam`: FODLAM of 2017, look-up and scaling of measured layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from sim.cli.options import HelpWithoutArguments, layer_option, network_argument
from sim.cli.output import Target, keep_apart, write_found

if TYPE_CHECKING:
    from sim.models.fodlam import FodlamResult


@click.command(cls=HelpWithoutArguments)
@network_argument
@layer_option
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the original's output and every layer; - is stdout, which then gets no text.",
)
@click.option("-q", "--quiet", is_flag=True, help="No text.")
def fodlam(network: str, layers: tuple[str, ...], json_file: str | None, quiet: bool) -> None:
    """Estimate energy and latency from published figures alone, as FODLAM of 2017 does.

    NETWORK is a shipped network, a YAML file, or a JSON file with `layers` and one of `net` and
    `netfile`, as FODLAM has it. Layers of AlexNet and VGG-16 are looked up: convolutions at what
    the Eyeriss chip took, fully connected layers at what EIE took. Others are scaled by MACs.

    \b
    Examples:
      eyeriss-sim model fodlam vgg16
      eyeriss-sim model fodlam mynet.yaml --layer 'CONV*' --json -
      eyeriss-sim model fodlam config.json
    """
    from sim.models.fodlam import diagnose
    from sim.report.text.fodlam import render_fodlam

    keep_apart({"--json": json_file}, (network,))
    target = None if json_file is None else Target(json_file)
    result = _estimate(network, layers)
    if target is not None:
        target.check()
    diagnosis = diagnose()
    write_found(
        lambda: {**result.to_dict(), "diagnosis": diagnosis},
        partial(render_fodlam, result, diagnosis),
        target,
        quiet=quiet,
    )


def _estimate(network: str, layers: tuple[str, ...]) -> FodlamResult:
    from sim.models.fodlam import estimate_config, estimate_network
    from workloads.network import load_network

    if not network.casefold().endswith(".json"):
        found = load_network(network)
        return estimate_network(found.only(layers) if layers else found)
    if layers:
        raise click.UsageError("--layer has no meaning with a JSON file, which names its layers")
    return estimate_config(network)
