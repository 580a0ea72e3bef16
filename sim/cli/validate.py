"""`eyeriss-sim validate`: the simulation against every cell of the chip's published tables."""

from __future__ import annotations

from functools import partial

import click

from sim.cli.options import set_option
from sim.cli.output import Target, keep_apart, write_found


@click.command()
@click.argument("networks", nargs=-1, metavar="[alexnet|vgg16]...")
@set_option
@click.option(
    "--hw",
    default="eyeriss_v1",
    show_default=True,
    metavar="NAME|FILE",
    help="Hardware: a shipped one or a YAML file.",
)
@click.option(
    "--energy",
    "energy_table",
    default="eyeriss_65nm_calibrated",
    show_default=True,
    metavar="NAME|FILE",
    help="Energy table in pJ for the power: a shipped one or a YAML file.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write all cells as JSON; - is stdout, which then gets no table.",
)
@click.option("-q", "--quiet", is_flag=True, help="No table.")
def validate(
    networks: tuple[str, ...],
    settings: tuple[str, ...],
    hw: str,
    energy_table: str,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Simulate the measured layers and compare every published figure.

    Without a name, both networks. Marks in the table say which figures are published, inferred or
    assumed. The exit code is 0 whatever the differences.

    \b
    Examples:
      eyeriss-sim validate
      eyeriss-sim validate alexnet --json validation.json
      eyeriss-sim validate vgg16 --set schedule.charge_full_strip=true
    """
    from sim.reference.tables import NETWORKS
    from sim.reference.validation import validate
    from sim.report.text.validation import render_validation
    from sim.run import load_pricing

    keep_apart({"--json": json_file}, (hw, energy_table))
    target = None if json_file is None else Target(json_file)
    if target is not None:
        target.check()
    found = validate(
        [name.casefold() for name in networks] or NETWORKS,
        hw=hw,
        settings=settings,
        pricing=load_pricing(energy_table),
    )
    write_found(found.to_dict, partial(render_validation, found), target, quiet=quiet)
