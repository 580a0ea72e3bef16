"""`eyeriss-sim model maestro`: MAESTRO's cost model on its own mapping files."""

from __future__ import annotations

from typing import Any

import click

from sim.cli.options import HelpWithoutArguments
from sim.cli.output import Target, keep_apart, write_found

SCHEMA, VERSION = "eyeriss-sim/maestro", 1
_LARGEST = 2**31 - 1  # the tool's integers
_COUNT = click.IntRange(1, _LARGEST)


@click.command(cls=HelpWithoutArguments)
@click.argument("file", metavar="FILE.m")
@click.option("--num_pes", type=_COUNT, default=7, show_default=True, help="PEs in all.")
@click.option(
    "--noc_bw_cstr",
    type=_COUNT,
    default=_LARGEST,
    metavar="N",
    help="Elements a cycle of the network, on every level.  [default: no bound]",
)
@click.option("--noc_hops", type=_COUNT, default=1, show_default=True, help="Hops of a transfer.")
@click.option(
    "--noc_hop_latency",
    type=click.IntRange(0, 1_000_000),
    default=0,
    show_default=True,
    help="Cycles of a hop.",
)
@click.option(
    "--num_simd_lanes", type=_COUNT, default=1, show_default=True, help="MACs a PE, a cycle."
)
@click.option(
    "--offchip_bw_cstr",
    type=_COUNT,
    default=70000,
    show_default=True,
    help="Elements a cycle of the off-chip link.",
)
@click.option(
    "--l1_size_cstr", type=_COUNT, metavar="N", help="Warn of a larger L1; no figure changes."
)
@click.option(
    "--l2_size_cstr", type=_COUNT, metavar="N", help="Warn of a larger L2; no figure changes."
)
@click.option(
    "--HW_file",
    "hw_file",
    metavar="FILE",
    help="A hardware file of MAESTRO; replaces all of the above but --num_simd_lanes.",
)
@click.option("--csv", "csv_file", metavar="FILE", help="Write the tool's CSV; - is stdout.")
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the same figures with names; - is stdout, which then gets no text.",
)
@click.option("--explain", is_flag=True, help="Say in words what the directives do.")
@click.option("-q", "--quiet", is_flag=True, help="No text.")
def maestro(
    file: str,
    num_pes: int,
    noc_bw_cstr: int,
    noc_hops: int,
    noc_hop_latency: int,
    num_simd_lanes: int,
    offchip_bw_cstr: int,
    l1_size_cstr: int | None,
    l2_size_cstr: int | None,
    hw_file: str | None,
    csv_file: str | None,
    json_file: str | None,
    explain: bool,
    quiet: bool,
) -> None:
    """Evaluate a mapping file with MAESTRO's cost model, to the digits that it prints.

    Options are the tool's own. Files on which it crashes are refused with line and reason, exit
    code 2. docs/maestro.md lists what its figures mean and where it surprises.

    \b
    Examples:
      eyeriss-sim model maestro conv3.m --num_pes=168 --noc_bw_cstr=14 --noc_hop_latency=1
      eyeriss-sim model maestro conv3.m --num_pes=168 --csv conv3.csv --explain
    """
    from sim.models.maestro import Hardware, evaluate, read_hardware, read_network
    from sim.models.maestro.explain import explain as in_words
    from sim.models.maestro.report import csv_text, screen_text

    keep_apart({"--csv": csv_file, "--json": json_file}, [file, *([hw_file] if hw_file else [])])
    targets = [Target(name) if name is not None else None for name in (csv_file, json_file)]
    hardware = Hardware(
        num_pes, noc_bw_cstr, noc_hops * noc_hop_latency, num_simd_lanes, offchip_bw_cstr
    )
    rooms = {"l1_size_cstr": l1_size_cstr, "l2_size_cstr": l2_size_cstr}
    if hw_file is not None:
        hardware, named = read_hardware(hw_file, num_simd_lanes)
        rooms.update(named)
    network = read_network(file)
    for target in targets:
        if target is not None:
            target.check()
    reports = evaluate(network, hardware)

    def text(width: int, color: bool) -> str:
        del width, color  # the tool's own layout
        words = "".join(
            "\n".join(
                [f"{report.layer.name}:", *in_words(report.nest, report.layer.type, hardware.pes)]
            )
            + "\n\n"
            for report in reports
            if explain
        )
        return words + screen_text(reports, rooms["l1_size_cstr"], rooms["l2_size_cstr"])

    def data() -> dict[str, Any]:
        before = [0, *(report.l1_accesses for report in reports)]
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "network": network.name,
            "hw": hardware._asdict(),
            "layers": [report.to_dict(l1) for report, l1 in zip(reports, before, strict=False)],
        }

    csv, json = targets
    if csv is not None:
        csv.write(csv_text(reports))
        quiet = quiet or csv.is_stdout
    write_found(data, text, json, quiet=quiet)
