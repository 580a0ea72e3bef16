"""`eyeriss-sim model accelergy`: action counts priced with an energy reference table."""

from __future__ import annotations

from typing import Any

import click

from sim.cli.options import HelpWithoutArguments
from sim.cli.output import Target, keep_apart, write_found

SCHEMA, VERSION = "eyeriss-sim/accelergy", 1


@click.command(cls=HelpWithoutArguments)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="Write the energies; - is stdout, which then gets no text.",
)
@click.option(
    "--original",
    "original_file",
    metavar="FILE",
    help="Write energy_estimation.yaml as Accelergy does.",
)
@click.option("-q", "--quiet", is_flag=True, help="No text.")
def accelergy(
    files: tuple[str, ...], json_file: str | None, original_file: str | None, quiet: bool
) -> None:
    """Price action counts with an energy reference table, as Accelergy does.

    Files are merged by their top keys; together they hold one ERT and one action_counts. Nothing is
    estimated, so no plug-in is asked: the sums are Accelergy's to the last digit.

    \b
    Example:
      eyeriss-sim model accelergy ERT.yaml action_counts.yaml --json energy.json
    """
    from sim.models.accelergy import price, read_files

    keep_apart({"--json": json_file, "--original": original_file}, files)
    json, original = (
        Target(name) if name is not None else None for name in (json_file, original_file)
    )
    read = read_files(files)
    for target in (json, original):
        if target is not None:
            target.check()
    found = price(read)

    def text(width: int, color: bool) -> str:
        from sim.report.tables import sections_text, table, wrap

        total = found.total_pj
        chips = {name.partition(".")[0] for name, _ in found.components}
        chip = f"{chips.pop()}." if len(chips) == 1 else ""
        rows: list[list[str] | None] = [
            [
                name.removeprefix(chip),
                f"{energy:,.2f}",
                f"{100 * energy / total:.1f}" if total else "",
            ]
            for name, energy in found.components
        ]
        rows += [None, ["all", f"{total:,.2f}", ""]]
        of = f" of {chip.rstrip('.')}" if chip else ""
        sections = [[f"Energy{of}", *table(["component", "pJ", "%"], rows, width)]]
        if found.notes:
            sections.append(
                ["Notes", *[line for note in found.notes for line in wrap(note, width)]]
            )
        return sections_text(sections, color)

    def data() -> dict[str, Any]:
        return {"schema": SCHEMA, "version": VERSION, **found.to_dict()}

    if original is not None:
        original.write(found.original())
    write_found(data, text, json, quiet=quiet)
