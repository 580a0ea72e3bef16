"""The options that say what is simulated, the same for every command that simulates something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.account.result import Pricing
    from workloads.inputs.faults import Fault
    from workloads.network import Network

Command = TypeVar("Command", bound=Callable[..., object])

if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # generic from 8.2 on only


class OneOf(_Choice):
    """A choice; an unknown value is refused with the nearest one named."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the choice."""
        if value not in self.choices:
            from workloads.inputs.words import unknown_name

            self.fail(unknown_name(self.name, value, self.choices), param, ctx)
        return str(value)


class HelpWithoutArguments(click.Command):
    """A command that shows its help where it is given nothing at all."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help where there are no arguments, else parse them."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)


@dataclass(frozen=True)
class Selection:
    """What the user wants simulated, in the user's words; `load` looks it up."""

    network: str
    layers: tuple[str, ...]
    batch: int | None
    hw: str
    settings: tuple[str, ...]
    mapping: str | None

    @property
    def files(self) -> tuple[str | None, ...]:
        """The values that may name a file."""
        return self.network, self.hw, self.mapping

    def load(self, find: Callable[[str], Network] | None = None) -> tuple[Network, int, Hardware]:
        """Return the network with the selected layers only, the batch and the chip.

        `find` looks the network up in place of `load_network`.

        Raises:
            InputError: with the faults of network, layers and hardware together.

        """
        from hw_models.load import load_hardware
        from sim.errors import InputError
        from sim.run import resolve
        from workloads.network import load_network

        faults: list[Fault] = []
        network: Network | None = None
        hw: Hardware | None = None
        try:
            network = (find or load_network)(self.network)
            network.select(self.layers)
        except InputError as error:
            faults += error.faults
        try:
            hw = load_hardware(self.hw, self.settings)
        except InputError as error:
            faults += error.faults
        if faults or network is None or hw is None:
            raise InputError(*faults)
        return resolve(network, self.layers, self.batch, hw)


@dataclass(frozen=True)
class Prices:
    """What the user says of prices, in the user's words; `load` looks it up."""

    table: str
    precision: str | None

    @property
    def files(self) -> tuple[str | None, ...]:
        """The values that may name a file."""
        return self.table, self.precision

    def load(self, selection: Selection) -> Pricing:
        """Return the table, and bits and pruning of the network's layers.

        Raises:
            InputError: with the faults of the files.

        """
        from sim.run import load_pricing
        from workloads.network import load_network

        network = load_network(selection.network) if self.precision is not None else None
        return load_pricing(self.table, self.precision, network)


set_option = click.option(
    "--set",
    "settings",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Change a field of the hardware, as in array.rows=24; may be repeated.",
)
"""`--set`, handed over as `settings`."""


layer_option = click.option(
    "--layer",
    "layers",
    metavar="NAME,..",
    multiple=True,
    help="Layers, in any case: CONV1,CONV2 or 'CONV*'; may be repeated.  [default: all layers]",
)
"""`--layer`, handed over as `layers`."""

network_argument = click.argument("network", default="alexnet", metavar="[NETWORK]")
"""NETWORK, handed over as `network`."""


def selection_options(command: Command) -> Callable[..., Any]:
    """Add NETWORK, `--layer --batch --hw --set --mapping`, handed over as one `Selection`."""
    return click.option(
        "--mapping",
        metavar="NAME|FILE|m=..,..",
        help="published (auto where a layer has none), alternative (a second published one), "
        "auto (the best that a search finds), a YAML file, or all factors, as in "
        "m=64,n=4,e=13,p=16,q=3,r=2,t=2; f=.. beside them cuts ofmap columns.  [default: "
        "published on the chip it was published for, auto where array, spads or banks differ]",
    )(layer_options(command))


def layer_options(command: Command) -> Callable[..., Any]:
    """Add NETWORK, `--layer --batch --hw --set`, handed over as one `Selection`."""

    @wraps(command)
    def collect(
        *,
        network: str,
        layers: tuple[str, ...],
        batch: int | None,
        hw: str,
        settings: tuple[str, ...],
        mapping: str | None = None,
        **others: object,
    ) -> object:
        return command(Selection(network, layers, batch, hw, settings, mapping), **others)

    options = (
        set_option,
        click.option(
            "--hw",
            default="eyeriss_v1",
            show_default=True,
            metavar="NAME|FILE",
            help="Hardware: a shipped one or a YAML file.",
        ),
        click.option(
            "--batch", type=int, metavar="N", help="Images.  [default: the network's own batch]"
        ),
        layer_option,
        network_argument,
    )
    decorated: Callable[..., Any] = collect
    for option in options:
        decorated = option(decorated)
    return decorated


def pricing_options(command: Command) -> Callable[..., Any]:
    """Add `--energy --precision`, handed over as one `Prices`."""

    @wraps(command)
    def collect(
        *arguments: object, energy_table: str, precision: str | None, **others: object
    ) -> object:
        return command(*arguments, prices=Prices(energy_table, precision), **others)

    decorated: Callable[..., Any] = collect
    for option in (
        click.option(
            "--precision",
            metavar="NAME|FILE",
            help="Price bits and pruning of the layers that this YAML file names (docs/energy.md); "
            "counts and cycles stay. alexnet_pruned is shipped.  [default: every word in full]",
        ),
        click.option(
            "--energy",
            "energy_table",
            default="isca2016",
            show_default=True,
            metavar="NAME|FILE",
            help="Energy table: a shipped one (eyeriss-sim show energy) or a YAML file.",
        ),
    ):
        decorated = option(decorated)
    return decorated
