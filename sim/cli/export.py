"""`eyeriss-sim export`: our mappings and results as files of other tools."""

from __future__ import annotations

import click

from sim.cli.lazy import LazyGroup

TOOLS = {
    "accelergy": ("sim.cli.export_accelergy", "Write a result as action counts of Accelergy."),
    "timeloop": ("sim.cli.export_timeloop", "Write mappings as files of Timeloop."),
}
"""Name -> module with an attribute of that name, and its line in the list."""


@click.group(cls=LazyGroup, known=TOOLS, invoke_without_command=True)
@click.pass_context
def export(ctx: click.Context) -> None:
    """Write mappings and results as files of other tools."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
