"""`eyeriss-sim model timeloop`: Timeloop's model of a given mapping, on its own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sim.cli.options import HelpWithoutArguments, OneOf
from sim.cli.output import Target, keep_apart, write_found

if TYPE_CHECKING:
    from sim.models.timeloop import Evaluation, Rules

SCHEMA, VERSION = "eyeriss-sim/timeloop", 1


@click.command(cls=HelpWithoutArguments)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--rules",
    type=OneOf(["2025", "3.0"]),
    default="2025",
    show_default=True,
    help="Whose rules: master of 2025, or version 3.0.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write every figure; - is stdout, which then gets no text.",
)
@click.option(
    "--original", "original_file", metavar="FILE", help="Write the statistics as Timeloop does."
)
@click.option("--explain", is_flag=True, help="Say in words what the mapping does.")
@click.option(
    "--as-mapping",
    "mapping_file",
    metavar="FILE",
    help="Write the mapping in our factors, for run --mapping, if it is row stationary.",
)
@click.option(
    "--as-network",
    "network_file",
    metavar="FILE",
    help="Write the problem as a network of one layer, its ifmap with all padding.",
)
@click.option("--name", default="LAYER", show_default=True, help="Name of the layer in both.")
@click.option(
    "--hw",
    default="eyeriss_v1",
    show_default=True,
    metavar="NAME|FILE",
    help="The hardware whose rules the mapping has to keep.",
)
@click.option("-q", "--quiet", is_flag=True, help="No text.")
def timeloop(
    files: tuple[str, ...],
    rules: str,
    json_file: str | None,
    original_file: str | None,
    explain: bool,
    mapping_file: str | None,
    network_file: str | None,
    name: str,
    hw: str,
    quiet: bool,
) -> None:
    """Evaluate a mapping with Timeloop's model, to the digits that it prints.

    Files of versions 0.2 to 0.4 are merged by their top keys: together they hold an architecture, a
    problem, a mapping and, for energies, an ERT. docs/timeloop.md lists what is read, what is
    refused, and where the figures surprise.

    \b
    Examples:
      eyeriss-sim model timeloop arch.yaml problem.yaml mapping.yaml ERT.yaml
      eyeriss-sim model timeloop in.yaml --rules 3.0 --original stats.txt --explain
      eyeriss-sim model timeloop in.yaml --as-network net.yaml --as-mapping map.yaml
    """
    from sim.cli.timeloop_nest import layer_of, mapping_text, network_text
    from sim.models.timeloop import evaluate, read_files, read_prices
    from sim.models.timeloop.convolution import as_convolution
    from sim.models.timeloop.explain import explain as in_words
    from sim.models.timeloop.report import statistics, to_dict

    written = {
        "--json": json_file,
        "--original": original_file,
        "--as-mapping": mapping_file,
        "--as-network": network_file,
    }
    keep_apart(written, files)
    json, original, mapping, network = (
        Target(file) if file is not None else None for file in written.values()
    )
    read = read_files(files)
    chosen: Rules = "3.0" if rules == "3.0" else "2025"
    prices = read_prices(chosen, read.architecture, read.ert, read.art)
    if original is not None and prices is None:
        raise click.UsageError("--original: the statistics need energies; give an ERT")
    for target in (json, original, mapping, network):
        if target is not None:
            target.check()
    evaluation = evaluate(read.problem, read.architecture, read.mapping, prices, chosen)
    notes = list(read.notes)
    if mapping is not None or network is not None:
        convolution = as_convolution(read.problem, read.architecture, read.mapping)
        layer = layer_of(convolution, name, read.problem.node)
        if network is not None:
            network.write(network_text(layer, convolution.sizes["N"]))
        if mapping is not None:
            mapping.write(mapping_text(convolution, layer, hw, read.mapping.node))
            notes += convolution.notes
        quiet = quiet or any(each is not None and each.is_stdout for each in (mapping, network))

    def text(width: int, color: bool) -> str:
        from sim.report.tables import sections_text, wrap

        if prices is None:
            notes.append("Energies are left out: there is no ERT among the files.")
        sections = [_summary(evaluation), _counts(evaluation, width), _networks(evaluation, width)]
        if explain:
            sections.append(
                [
                    "The mapping",
                    *(line for each in in_words(evaluation) for line in wrap(each, width)),
                ]
            )
        if notes:
            sections.append(["Notes", *(line for each in notes for line in wrap(each, width))])
        return sections_text(sections, color)

    def data() -> dict[str, Any]:
        return {"schema": SCHEMA, "version": VERSION, **to_dict(evaluation)}

    if original is not None:
        original.write(statistics(evaluation))
        quiet = quiet or original.is_stdout
    write_found(data, text, json, quiet=quiet)


def _summary(evaluation: Evaluation) -> list[str]:
    energy = evaluation.energy
    lines = [
        f"Timeloop's model, rules of {evaluation.rules}",
        f"  {evaluation.cycles:,} cycles, {evaluation.problem.computes:,} computes, "
        f"{100 * evaluation.utilization:.2f} % of the compute units' cycles",
    ]
    if energy is not None:
        per_compute = energy / evaluation.problem.computes
        lines.append(f"  {energy / 1e6:,.2f} uJ, {per_compute:.3f} pJ a compute")
    slow = [level for level in evaluation.levels if level.slowdown < 1]
    lines += [
        f"  {level.storage.name}: its bandwidth stretches the computes to {level.cycles:,} cycles"
        for level in slow
    ]
    return lines


def _counts(evaluation: Evaluation, width: int) -> list[str]:
    from sim.report.tables import table

    rows: list[list[str] | None] = []
    for level in reversed(evaluation.levels):
        for held in level.held:
            if held.kept:
                energy = held.total_energy
                rows.append(
                    [
                        level.storage.name,
                        held.space,
                        f"{held.instances:,}",
                        f"{held.size:,}",
                        f"{held.reads:,}",
                        f"{held.fills:,}",
                        f"{held.updates:,}",
                        "" if energy is None else f"{energy / 1e6:,.2f}",
                    ]
                )
    unit, energy = evaluation.architecture.compute, evaluation.compute_energy
    price = "" if energy is None else f"{energy / 1e6:,.2f}"
    rows.append([unit.name, "", f"{evaluation.used:,}", "", "", "", "", price])
    heads = ["level", "data", "inst.", "tile", "reads", "fills", "updates", "uJ"]
    if evaluation.energy is None:
        heads, rows = heads[:-1], [row[:-1] for row in rows if row is not None]
    lines = table(heads, rows, width, left=2)
    leak = sum(level.leak for level in evaluation.levels)
    if leak:
        lines.append(f"  Storage leaks {leak / 1e6:,.2f} uJ.")
    return ["Words of an instance; energy of all", *lines]


def _networks(evaluation: Evaluation, width: int) -> list[str]:
    from sim.report.tables import table

    rows = [
        [
            level.storage.name,
            network.space,
            f"{network.fanout}",
            f"{network.multicast}",
            f"{network.ingresses:,.0f}",
            f"{network.traffic.links:,}",
            f"{network.traffic.hops:.2f}",
        ]
        for level in reversed(evaluation.levels)
        for network in level.networks
        if network.fanout > 1 and network.traffic.accesses
    ]
    heads = ["from", "data", "fan-out", "multicast", "ingresses", "links", "hops"]
    lines = table(heads, rows, width, left=2) if rows else ["  none: no level has a fan-out"]
    return ["Words on their way inwards", *lines]
