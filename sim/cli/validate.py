"""`eyeriss-sim validate`: the simulation against published tables, and against a public RTL."""

from __future__ import annotations

from functools import partial

import click

from sim.cli.options import set_option
from sim.cli.output import Target, keep_apart, write_found


@click.command()
@click.argument("networks", nargs=-1, metavar="[alexnet|vgg16]... | rtl")
@set_option
@click.option(
    "--hw",
    default=None,
    metavar="NAME|FILE",
    help="Hardware: a shipped one or a YAML file.  [default: eyeriss_v1; of rtl: eyeriss_rtl]",
)
@click.option(
    "--energy",
    "energy_table",
    default=None,
    metavar="NAME|FILE",
    help="Energy table in pJ for the power: a shipped one or a YAML file.  "
    "[default: eyeriss_65nm_calibrated]",
)
@click.option(
    "--passes",
    "passes_file",
    metavar="FILE",
    help="With rtl: measured passes in place of the shipped ones, a file like "
    "sim/reference/data/rtl_passes.yaml.",
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
    hw: str | None,
    energy_table: str | None,
    passes_file: str | None,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Simulate the measured layers and compare every published figure.

    Without a name, both networks. Marks in the table say which figures are published, inferred or
    assumed. With rtl, single passes of a public RTL re-implementation, in cycles. The exit code is
    0 whatever the differences.

    \b
    Examples:
      eyeriss-sim validate
      eyeriss-sim validate alexnet --json validation.json
      eyeriss-sim validate vgg16 --set schedule.charge_full_strip=true
      eyeriss-sim validate rtl
      eyeriss-sim validate rtl --set noc.psum_order=chain
    """
    names = [name.casefold() for name in networks]
    if "rtl" in names:
        if len(names) > 1:
            raise click.UsageError("rtl is compared alone: leave the networks out")
        if energy_table is not None:
            raise click.UsageError("--energy has no part in cycles: leave it out with rtl")
    elif passes_file is not None:
        raise click.UsageError("--passes are passes of the RTL: say validate rtl")
    keep_apart({"--json": json_file}, (hw, energy_table, passes_file))
    target = None if json_file is None else Target(json_file)
    if target is not None:
        target.check()
    if names == ["rtl"]:
        from sim.reference.rtl import compare_with_rtl
        from sim.reference.tables import load_rtl_passes
        from sim.report.text.rtl import render_rtl

        passes = load_rtl_passes(passes_file)
        compared = compare_with_rtl(passes, hw=hw or "eyeriss_rtl", settings=settings)
        write_found(compared.to_dict, partial(render_rtl, compared), target, quiet=quiet)
        return
    from sim.reference.tables import FITTED_TABLE, NETWORKS
    from sim.reference.validation import validate
    from sim.report.text.validation import render_validation
    from sim.run import load_pricing

    found = validate(
        names or NETWORKS,
        hw=hw or "eyeriss_v1",
        settings=settings,
        pricing=load_pricing(energy_table or FITTED_TABLE),
    )
    write_found(found.to_dict, partial(render_validation, found), target, quiet=quiet)
