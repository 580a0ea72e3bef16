"""`eyeriss-sim export`: our mappings as files of other tools."""

from __future__ import annotations

import click

from sim.cli.lazy import LazyGroup

TOOLS = {"timeloop": ("sim.cli.export_timeloop", "Write mappings as files of Timeloop.")}
"""Name -> module with an attribute of that name, and its line in the list."""


@click.group(cls=LazyGroup, known=TOOLS, invoke_without_command=True)
@click.pass_context
def export(ctx: click.Context) -> None:
    """Write mappings as files of other tools."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
