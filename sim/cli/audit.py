"""`eyeriss-sim audit`: where the first-order estimator counts otherwise, and why."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from sim.cli.options import HelpWithoutArguments, Selection, selection_options
from sim.cli.output import Target, keep_apart, write_found
from sim.cli.plans import lay_out

SCHEMA, VERSION = "eyeriss-sim/audit", 1


@click.command(cls=HelpWithoutArguments)
@selection_options
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write every count and reason; - is stdout, which then gets no text.",
)
@click.option("-q", "--quiet", is_flag=True, help="No text.")
def audit(selection: Selection, json_file: str | None, quiet: bool) -> None:
    """Compare every count of the first-order estimator with the machine's, and give the reasons.

    NETWORK is a shipped network, a YAML file or alexnet_ungrouped, the estimator's own example;
    alexnet where only options are given. Both count for one image, so --batch only says for which
    batch the mapping is made. Exit code 2 where the chip refuses a layer that --layer names, or
    every layer.

    \b
    Examples:
      eyeriss-sim audit alexnet --layer CONV2
      eyeriss-sim audit vgg16 --json audit.json
    """
    from sim.check.audit import audit as compare
    from sim.models.first_order import find_network
    from sim.report.text.audit import render_audit

    keep_apart({"--json": json_file}, selection.files)
    target = None if json_file is None else Target(json_file)
    prepared = lay_out(selection, "audited", find_network)
    if target is not None:
        target.check()
    audits = [compare(plan) for plan in prepared.plans]

    def data() -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "network": prepared.network,
            "hw": prepared.hw.to_dict(),
            "layers": [layer.to_dict() for layer in audits],
            "refused": [layer.to_dict() for layer in prepared.refused],
        }

    write_found(data, partial(render_audit, audits, prepared.network), target, quiet=quiet)
