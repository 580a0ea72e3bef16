"""`eyeriss-sim model neurospector`: its analyzer and its optimizer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from sim.cli.options import HelpWithoutArguments, OneOf
from sim.cli.output import Target, keep_apart, write_found

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
    from sim.errors import InputError
    from sim.models.neurospector.analyze import IllegalTableError
    from sim.models.neurospector.analyze import analyze as run
    from sim.models.neurospector.summary import explanation

    if batch_size is not None and version == "1.5":
        raise click.UsageError("--batch-size is an option of version 1.6; add --version 1.6")
    read = (accelerator, network, table)
    target = _target(json_file, read)
    began = time.monotonic()
    try:
        found = run(accelerator, network, table, version=version, batch=batch_size)
    except InputError as error:  # the tool says it on stderr
        printed = error.original if isinstance(error, IllegalTableError) else ""
        _write_files(original, {"stdout.txt": printed}, read, "--original")
        raise
    text = found.original()
    ended = _runtime(time.monotonic() - began)
    _write_files(original, {"stdout.txt": text + ended}, read, "--original")

    def data() -> dict[str, Any]:
        return {"schema": SCHEMA, "version": VERSION, "analyzer": version, **found.to_dict()}

    def render(**_: Any) -> str:
        return text + (explanation(found.quirks(), found.notes) if explain else "")

    write_found(data, render, target, quiet=quiet)


@neurospector.command(cls=HelpWithoutArguments, short_help="Search for the best table.")
@_file_options
@click.option(
    "--metric",
    required=True,
    type=OneOf(["energy", "cycle", "edp"]),
    help="The cost to minimise: total pJ, total cycles, or their product (edp, with exact).",
)
@click.option(
    "--search",
    required=True,
    type=OneOf(["bottom-up", "brute-force", "exact"]),
    help="bottom-up and brute-force find what NeuroSpector's searches find; exact proves the "
    "optimum of its cost model.",
)
@click.option(
    "--weights",
    metavar="A,B",
    help="With exact: exponents of energy and cycles, energy^A x cycles^B, in place of --metric's.",
)
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="With exact: so many best tables.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0),
    metavar="S",
    help="With exact: seconds for all layers; then bottom-up is run and the gap printed.",
)
@click.option(
    "--divide-inputs",
    is_flag=True,
    help="With exact: divide input reads as version 1.5 does (quirk Q2).",
)
@click.option(
    "--tables",
    metavar="DIR",
    help="With exact: write the best tables there, as files for the analyzer.",
)
@click.option(
    "--dataflow",
    type=OneOf(["fixed", "flexible"]),
    default="fixed",
    show_default=True,
    help="fixed: the file's; flexible: every combination of IS, WS and OS.",
)
@click.option(
    "--layer", type=int, metavar="N", help="The number of a layer, from 1.  [default: all layers]"
)
@click.option(
    "--multi-chip-partitioning",
    "partition",
    metavar="N,N",
    help="Numbers of layers to run side by side on several chips, with bottom-up.",
)
@click.option(
    "--cross-layer",
    is_flag=True,
    help="Take what a layer hands on to the next one off the totals, with bottom-up.",
)
@_output_options
@click.pass_context
def optimize(
    ctx: click.Context,
    accelerator: str,
    network: str,
    metric: str,
    search: str,
    dataflow: str,
    layer: int | None,
    partition: str | None,
    cross_layer: bool,
    weights: str | None,
    top: int,
    time_limit: float | None,
    divide_inputs: bool,
    tables: str | None,
    explain: bool,
    original: str | None,
    json_file: str | None,
    quiet: bool,
) -> None:
    """Search the scheduling table of each layer that takes the least energy or cycles.

    Exact search counts in 64 bits and without quirk Q2, by which a search could win with input
    reads that are left out; --divide-inputs keeps it.

    \b
    Example:
      eyeriss-sim model neurospector optimize --accelerator eyeriss.cfg --network resnet50.cfg \\
        --metric energy --search exact --layer 1
    """
    from sim.models.neurospector.optimize import optimize as run
    from sim.models.neurospector.optimize import optimize_exact
    from sim.models.neurospector.summary import exact_text, optimization_text

    _check_usage(ctx, search, metric)
    read = (accelerator, network)
    target = _target(json_file, read)
    if search == "exact":
        proofs = optimize_exact(
            accelerator,
            network,
            metric=metric,
            weights=_weights(weights),
            dataflow=dataflow,
            layer=layer,
            top=top,
            time_limit=float("inf") if time_limit is None else time_limit,
            divides_inputs=divide_inputs,
        )
        _write_files(tables, proofs.tables(), read, "--tables")
        data = proofs.to_dict
        render = partial(exact_text, proofs, explain=explain)
    else:
        began = time.monotonic()
        done = run(
            accelerator,
            network,
            metric=metric,
            search=search,
            dataflow=dataflow,
            layer=layer,
            partition=_numbers(partition),
            cross_layer=cross_layer,
        )
        files = done.original()
        files["stdout.txt"] += _runtime(time.monotonic() - began)
        _write_files(original, files, read, "--original")
        data = done.to_dict
        render = partial(optimization_text, done, explain=explain)

    write_found(
        lambda: {"schema": SCHEMA, "version": VERSION, **data()},
        lambda **_: render(),
        target,
        quiet=quiet,
    )


_EXACT = ("weights", "top", "time_limit", "divide_inputs", "tables")
_BOTTOM_UP = ("partition", "cross_layer")
_NAMES = {"partition": "multi-chip-partitioning"}


def _check_usage(ctx: click.Context, search: str, metric: str) -> None:
    """Refuse an option that the search would ignore."""
    foreign = [] if search == "bottom-up" else [(name, "bottom-up") for name in _BOTTOM_UP]
    if search != "exact":
        foreign += [(name, "exact") for name in _EXACT]
        if metric == "edp":
            raise click.UsageError("--metric edp is an option of --search exact")
    for name, owner in foreign:
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            option = _NAMES.get(name, name.replace("_", "-"))
            raise click.UsageError(f"--{option} is an option of --search {owner}")
    if search == "exact" and ctx.params["original"] is not None:
        message = "--original has no meaning with --search exact, which NeuroSpector has not"
        raise click.UsageError(f"{message}; --tables writes the tables")


def _weights(text: str | None) -> tuple[float, float] | None:
    """Return two exponents."""
    if text is None:
        return None
    try:
        energy, cycles = (float(part) for part in text.split(","))
    except ValueError:
        energy = cycles = -1.0
    if not (0 <= energy <= 8 and 0 <= cycles <= 8 and energy + cycles > 0):
        message = "must be two exponents from 0 to 8, not both 0, as in 1,2"
        raise click.UsageError(f"--weights {text[:60]}: {message}")
    return energy, cycles


def _numbers(text: str | None) -> tuple[int, ...]:
    """Return numbers of a comma list."""
    if text is None:
        return ()
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise click.UsageError(
            f"--multi-chip-partitioning {text[:60]}: must be numbers of layers, as in 1,2"
        )
    return tuple(int(part) for part in parts)


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


def _write_files(
    folder: str | None, files: Mapping[str, str], read: tuple[str, ...], option: str
) -> None:
    if folder is None:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    names = {name: str(Path(folder) / name) for name in files}
    for name in names.values():
        keep_apart({option: name}, read)
    for name, text in files.items():
        Target(names[name]).write(text)
