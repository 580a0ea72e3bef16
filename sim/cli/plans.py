"""From what the user selected to plans, or to the reasons why the chip refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.cli.options import Selection
    from sim.run import NetworkPlan
    from workloads.network import Network


def lay_out(
    selection: Selection,
    done: str = "simulated",
    find: Callable[[str], Network] | None = None,
) -> NetworkPlan:
    """Look up the selection and lay it out; refused layers are reported on stderr.

    `find` looks the network up in place of `load_network`.

    Raises:
        InputError: something in the selection is wrong.
        Exit: with code 2, where a layer that was named is refused, or every layer; nothing was
            `done` then.

    """
    from sim.run import prepare

    network, batch, hw = selection.load(find)
    prepared = prepare(network, batch=batch, hw=hw, mapping=selection.mapping)
    for layer in prepared.refused:
        for reason in layer.reasons:
            click.echo(f"refused: {layer.name}: {reason}", err=True)
    if prepared.refused and (selection.layers or not prepared.plans):
        which = "layers that you named" if prepared.plans else "every layer"
        click.echo(
            f"error: {hw.name} refuses {which}; nothing was {done}: try another --mapping, --hw or "
            "--set",
            err=True,
        )
        raise click.exceptions.Exit(2)
    return prepared
