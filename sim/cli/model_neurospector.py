"""`eyeriss-sim model neurospector`: its analyzer and its optimizer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sim.cli.options import HelpWithoutArguments, OneOf
from sim.cli.output import Target, keep_apart, write_found

if TYPE_CHECKING:
    from sim.models.neurospector.analyze import Analysis

Command = TypeVar("Command", bound=Callable[..., object])

SCHEMA, VERSION = "eyeriss-sim/neurospector", 1


@click.group(invoke_without_command=True)
@click.pass_context
def neurospector(ctx: click.Context) -> None:
    """Read NeuroSpector's files, compute its figures, and search as it does or exactly.

    Figures are its own to the digit, with its quirks, which docs/neurospector.md lists by number.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _file_options(command: Command) -> Command:
    """Add `--accelerator --network`."""
    for name, what in (("network", "its layers"), ("accelerator", "the accelerator")):
        option = click.option(
            f"--{name}", required=True, metavar="FILE", help=f"NeuroSpector's .cfg of {what}."
        )
        command = option(command)
    return command


def _output_options(command: Command) -> Command:
    """Add `--explain --original --json --quiet`."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="No text."),
        click.option(
            "--json",
            "json_file",
            metavar="FILE",
            help="Write every figure; - is stdout, which then gets no text.",
        ),
        click.option(
            "--original",
            metavar="DIR",
            help="Write what the tool would there: its standard output as stdout.txt, and its "
            "result files.",
        ),
        click.option(
            "--explain",
            is_flag=True,
            help="Name the quirks that the figures contain, and what the files say in vain.",
        ),
    ):
        command = option(command)
    return command


@neurospector.command(cls=HelpWithoutArguments, short_help="Figures of a scheduling table.")
@_file_options
@click.option("--table", required=True, metavar="FILE", help="Its .cfg of a scheduling table, or "
              "a result file (.txt) with a printed one.")  # fmt: skip
@click.option(
    "--version",
    type=OneOf(["1.5", "1.6"]),
    default="1.5",
    show_default=True,
    help="1.5, the release, or 1.6, the development branch.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1 << 16),
    metavar="N",
    help="The batch of every layer, of version 1.6.  [default: the file's]",
)
@_output_options
def analyze(
    accelerator: str,
    network: str,
    table: str,
    version: str,
    batch_size: int | None,
    explain: bool,
    original: str | None,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Compute every figure that NeuroSpector's analyzer prints for a table, digit by digit.

    A table that breaks rules is refused with each rule, its value and its limit, and exit code 2.

    \b
    Example:
      eyeriss-sim model neurospector analyze --accelerator eyeriss.cfg --network resnet50.cfg \\
        --table table.cfg --explain
    """
    from sim.models.neurospector.analyze import IllegalTableError
    from sim.models.neurospector.analyze import analyze as run

    if batch_size is not None and version == "1.5":
        raise click.UsageError("--batch-size is an option of version 1.6; add --version 1.6")
    target = _target(json_file, (accelerator, network, table))
    began = time.monotonic()
    try:
        found = run(accelerator, network, table, version=version, batch=batch_size)
    except IllegalTableError as error:
        _write_original(original, {"stdout.txt": error.original}, (accelerator, network, table))
        raise
    text = found.original()
    ended = _runtime(time.monotonic() - began)
    _write_original(original, {"stdout.txt": text + ended}, (accelerator, network, table))

    def data() -> dict[str, Any]:
        return {"schema": SCHEMA, "version": VERSION, "analyzer": version, **found.to_dict()}

    def render(**_: Any) -> str:
        return text + (_explained(found) if explain else "")

    write_found(data, render, target, quiet=quiet)


def _target(json_file: str | None, read: tuple[str, ...]) -> Target | None:
    keep_apart({"--json": json_file}, read)
    if json_file is None:
        return None
    target = Target(json_file)
    target.check()
    return target


def _runtime(seconds: float) -> str:
    from sim.models.neurospector.text import runtime_line

    return runtime_line(seconds)


def _write_original(folder: str | None, files: Mapping[str, str], read: tuple[str, ...]) -> None:
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    names = {name: str(Path(folder) / name) for name in files}
    for name in names.values():
        keep_apart({"--original": name}, read)
    for name, text in files.items():
        Target(names[name]).write(text)


def _explained(found: Analysis) -> str:
    lines = ["", "Quirks in these figures (docs/neurospector.md):"]
    lines += [f"  {quirk.name}: {quirk.text}" for quirk in found.quirks()]
    if found.notes:
        lines += ["Read otherwise than it looks:", *[f"  {note}" for note in found.notes]]
    return "\n".join(lines) + "\n"
