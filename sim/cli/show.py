"""`eyeriss-sim show`: what a network, a chip, an energy table, a mapping or a result file holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from sim.cli.options import Selection, selection_options, set_option
from sim.cli.output import stdout_width, write_stdout

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hw_models.energy import EnergyTable
    from hw_models.spec import Hardware
    from sim.account.result import RefusedLayer
    from sim.dataflow.base import Plan
    from workloads.layer import Layer
    from workloads.network import Network


@click.group(invoke_without_command=True)
@click.pass_context
def show(ctx: click.Context) -> None:
    """Print what a network, a hardware description, an energy table, a mapping or a result holds.

    Without a command: the names of what is shipped.
    """
    if ctx.invoked_subcommand is None:
        write_stdout(_shipped("network") + _shipped("hw") + _shipped("energy"))


@show.command("network", short_help="Layers of a network.")
@click.argument("name", required=False, metavar="[NAME|FILE]")
def show_network(name: str | None) -> None:
    """Print the layers of a network; without a name, the shipped networks."""
    if name is None:
        write_stdout(_shipped("network"))
        return
    from workloads.network import load_network

    write_stdout(network_text(load_network(name), stdout_width()))


@show.command("hw", short_help="Every field of a chip, with unit and source.")
@click.argument("name", required=False, metavar="[NAME|FILE]")
@set_option
def show_hw(name: str | None, settings: tuple[str, ...]) -> None:
    """Print every field of a hardware description; without a name, the shipped ones."""
    if name is None and not settings:
        write_stdout(_shipped("hw"))
        return
    from hw_models.load import load_hardware

    write_stdout(hardware_text(load_hardware(name or "eyeriss_v1", settings), stdout_width()))


@show.command("energy", short_help="Every price of an energy table.")
@click.argument("name", required=False, metavar="[NAME|FILE]")
def show_energy(name: str | None) -> None:
    """Print every price of an energy table; without a name, the shipped tables."""
    if name is None:
        write_stdout(_shipped("energy"))
        return
    from hw_models.energy import load_energy_table

    write_stdout(energy_text(load_energy_table(name), stdout_width()))


@show.command("schema", short_help="JSON Schema of a result file.")
def show_schema() -> None:
    """Print the JSON Schema of a result file, which `run --json` and `estimate --json` write."""
    from sim.result.document import shipped_schema

    write_stdout(shipped_schema())


@show.command("mapping", short_help="How layers stand on the array, or why not.")
@selection_options
@click.option("--nest", is_flag=True, help="Write each mapping as a loop nest, too.")
def show_mapping(selection: Selection, nest: bool) -> None:
    """Print how each layer of NETWORK (alexnet by default) is mapped, or the rules that forbid it.

    Exit code 2 where a layer that --layer names is refused, or every layer.
    """
    from sim.run import make_plans

    network, batch, hw = selection.load()
    plans, refused, notes = make_plans(network, batch, hw, selection.mapping)
    write_stdout(
        mapping_text(
            network,
            batch,
            hw,
            plans=plans,
            refused=refused,
            notes=notes,
            width=stdout_width(),
            nests=nest,
        )
    )
    if refused and (selection.layers or not plans):
        raise click.exceptions.Exit(2)


def _shipped(kind: str) -> str:
    from hw_models.energy import shipped_energy_tables
    from hw_models.load import shipped_hardware
    from workloads.network import shipped_networks

    what, names = {
        "network": ("Networks", shipped_networks()),
        "hw": ("Hardware", shipped_hardware()),
        "energy": ("Energy tables", shipped_energy_tables()),
    }[kind]
    return f"{what} (eyeriss-sim show {kind} NAME):\n" + "".join(f"  {name}\n" for name in names)


def network_text(network: Network, width: int) -> str:
    """Return a network as a table of its layers."""
    from sim.report.tables import count, table, wrap

    heads = [
        "\nlayer", "\ntype", "\nifmap", "\ndepth", "\nfilters", "filter\nsize", "\nstride",
        "\npad", "\ngroups", "\nofmap", "MACs\nan image",
    ]  # fmt: skip
    rows: list[list[str] | None] = [
        [
            layer.name,
            "dw" if layer.kind == "depthwise" else layer.kind,
            _size(layer.H, layer.W),
            str(layer.G * layer.C),
            str(layer.M),
            _size(layer.R, layer.S),
            _size(layer.U, layer.V),
            _padding(layer),
            str(layer.G),
            _size(layer.E, layer.F),
            count(layer.macs_per_image),
        ]
        for layer in network.layers
    ]
    macs = sum(layer.macs_per_image for layer in network.layers)
    filters = sum(layer.filter_words for layer in network.layers)
    layers = len(network.layers)
    lines = [
        f"{network.name}: {layers} layer{'s' if layers != 1 else ''}, "
        f"batch {network.batch} by default",
        *(wrap(f"Source: {network.source}", width) if network.source else ()),
        "",
        *table(heads, rows, width, left=2),
        *wrap(
            f"In all {count(macs)} MACs an image and {count(filters)} filter words. Sizes are rows "
            "x columns, one number where both are the same; depth is channels, over all groups as "
            "filters are; dw is depthwise.",
            width,
            "  ",
        ),
    ]
    return "\n".join(lines) + "\n"


def _size(rows: int, columns: int) -> str:
    return str(rows) if rows == columns else f"{rows}x{columns}"


def _padding(layer: Layer) -> str:
    sides = (layer.pad_top, layer.pad_bottom, layer.pad_left, layer.pad_right)
    if len(set(sides)) == 1:
        return str(sides[0])
    return ",".join(map(str, sides))


def hardware_text(hw: Hardware, width: int) -> str:
    """Return a hardware description: every field with its value and what it is."""
    from sim.report.tables import wrap

    lines = [f"{hw.name}: {hw.array.rows} x {hw.array.columns} = {hw.pes} PEs"]
    if hw.description:
        lines += wrap(hw.description, width)
    for source in hw.sources:
        lines += wrap(f"Source: {source}", width)
    lines += ["", *_fields(hw, width, skip=("name", "description", "sources"))]
    lines += [
        "",
        *wrap(
            "[P] published, [R] reproduced from published tables, [I] inferred, [F] free. Change "
            "any field with --set SECTION.FIELD=VALUE.",
            width,
        ),
    ]
    return "\n".join(lines) + "\n"


def energy_text(prices: EnergyTable, width: int) -> str:
    """Return an energy table: where it comes from, every price, and what it has no price for."""
    from sim.report.tables import wrap

    unit = "the energy of a MAC" if prices.unit == "normalised" else prices.unit
    lines = [
        f"{prices.name}: prices in {unit}, for words of {prices.word_bits} bit",
        *wrap(prices.technology, width),
    ]
    for source in prices.sources:
        lines += wrap(f"Source: {source}", width)
    if prices.notes:
        lines += wrap(prices.notes, width)
    own = ("name", "unit", "technology", "sources", "notes", "word_bits")
    lines += ["", *_fields(prices, width, skip=own), ""]
    lines += wrap(
        "null: the table has no price; what it would be for is named in results and left out of "
        "their sums. 0: no cost, or one that another price contains. A glb price of a kind of data "
        "that is null is the common one, a null read_repeated is read.",
        width,
    )
    return "\n".join(lines) + "\n"


def _fields(section: BaseModel, width: int, skip: tuple[str, ...] = ()) -> Iterator[str]:
    import textwrap

    from pydantic import BaseModel

    for name, field in type(section).model_fields.items():
        if name in skip:
            continue
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield f"{name}: {field.description}"
            yield from (f"  {line}" for line in _fields(value, width - 2))
            continue
        label = f"{name} = {_value(value)}"
        described = textwrap.wrap(field.description or "", width - 36)
        if len(label) > 34:
            yield label
        else:
            yield f"{label:<36}{described.pop(0) if described else ''}".rstrip()
        yield from (" " * 36 + line for line in described)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def mapping_text(
    network: Network,
    batch: int,
    hw: Hardware,
    *,
    plans: Sequence[Plan],
    refused: list[RefusedLayer],
    notes: list[str],
    width: int = 80,
    nests: bool = False,
) -> str:
    """Return how every layer is mapped and where it is on the array, or the rules that forbid it.

    With `nests` each mapping is also written as a loop nest.
    """
    from sim.dataflow.base import DEFAULT_DATAFLOW, find_dataflow
    from sim.report.tables import wrap

    array = hw.array
    names = {layer.name for layer in network.layers}
    noted = {name: text for name, _, text in (note.rpartition(": ") for note in notes)}
    of_all = [note for note in notes if note.rpartition(": ")[0] not in names]
    used = [plan.dataflow for plan in plans] or [DEFAULT_DATAFLOW]
    dataflows = {name: find_dataflow(name) for name in used}
    legends = [dataflow.legend for dataflow in dataflows.values()]
    blocks = [
        [
            f"{network.name}, batch {batch}, on {hw.name} ({array.rows} x {array.columns} PEs)",
            *(line for legend in legends for line in wrap(legend, width)),
            *(line for note in of_all for line in wrap(f"Note: {note}.", width)),
        ]
    ]
    laid_out = {plan.layer.name: plan for plan in plans}
    reasons = {layer.name: layer.reasons for layer in refused}
    drawn: dict[object, str] = {}
    for layer in network.layers:
        lines = []
        if layer.name in reasons:
            lines.append(f"{layer.name}: refused")
            for reason in reasons[layer.name]:
                lines += wrap(reason, width, "  ")
        else:
            plan = laid_out[layer.name]
            dataflow = dataflows[plan.dataflow]
            factors = " ".join(f"{name}={value}" for name, value in plan.mapping.to_dict().items())
            lines.append(f"{layer.name}: {factors} ({plan.mapping_source})")
            lines += wrap(dataflow.facts(plan), width, "  ")
            if layer.name in noted:
                lines += wrap(f"Note: {noted[layer.name]}.", width, "  ")
            if plan.placement in drawn:
                lines.append(f"  Placed as {drawn[plan.placement]}.")
            else:
                drawn[plan.placement] = layer.name
                lines += dataflow.drawing(plan.placement, width)
            if nests:
                lines += [
                    "  Loop nest:",
                    *(f"  {line}" for line in str(dataflow.to_nest(plan)).split("\n")),
                ]
        blocks.append(lines)
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"
