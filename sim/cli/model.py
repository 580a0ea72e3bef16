"""`eyeriss-sim model`: models of other tools, each a command or a group in a module of its own.

A model is a folder of `sim/models`, a module `sim/cli/model_NAME.py` with a click command of its
name, and a line in `MODELS`.
"""

from __future__ import annotations

import click

from sim.cli.lazy import LazyGroup

MODELS = {
    "accelergy": ("sim.cli.model_accelergy", "Accelergy: price action counts with its tables."),
    "first-order": (
        "sim.cli.model_first_order",
        "Energy estimator of 2022: count words from shapes alone.",
    ),
    "fodlam": ("sim.cli.model_fodlam", "FODLAM: look up and scale measured layers."),
    "maestro": ("sim.cli.model_maestro", "MAESTRO: evaluate a mapping file of directives."),
    "neurospector": (
        "sim.cli.model_neurospector",
        "NeuroSpector: analyze scheduling tables, search for the best.",
    ),
    "timeloop": ("sim.cli.model_timeloop", "Timeloop: evaluate a mapping of its YAML files."),
}
"""Name -> module with an attribute of that name (`_` for `-`), and its line in the list."""


@click.group(cls=LazyGroup, known=MODELS, invoke_without_command=True)
@click.pass_context
def model(ctx: click.Context) -> None:
    """Run models of other tools, on their own files or on networks.

    They share nothing with the simulated machine.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
