"""The command line: `eyeriss-sim COMMAND ...`, one file a command.

A command is a click command in a module of this package, and a line in `COMMANDS`; its module is
imported when the command runs or its own help is asked. Commands raise what goes wrong; `main` is
the one place that turns it into words and an exit code. They import numpy, pydantic, rich and simpy
inside their functions, so that every help is quick.

Exit codes: 0 done, 1 a check failed, 2 a mistake in what the user gave, 3 a defect of the
simulator, 130 interrupted, 141 nobody reads the output any more.

A wrong value is a line on stderr (`error: --set array.rows=0: must be 1 or more, got 0`) and a 2:

>>> main(["check", "lenet5", "--set", "array.rows=0"])
2
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

import click

from sim.cli.lazy import LazyGroup

COMMANDS = {
    "run": ("sim.cli.run", "Simulate layers of a network event by event."),
    "estimate": ("sim.cli.estimate", "Estimate the same figures analytically."),
    "map": ("sim.cli.mapping", "Find the best mapping of each layer, and prove it."),
    "check": ("sim.cli.check", "Compare the simulation with the analytical model."),
    "validate": (
        "sim.cli.validate",
        "Compare the simulation with the published tables of the chip.",
    ),
    "audit": ("sim.cli.audit", "Explain where the first-order estimator counts otherwise."),
    "calibrate": ("sim.cli.calibrate", "Fit an energy table to the chip's measured power."),
    "infer": ("sim.cli.infer", "Find the mappings that two published columns leave."),
    "report": ("sim.cli.report", "Write result files and traces as a page."),
    "trace": ("sim.cli.trace", "Replay, compare and export recorded runs."),
    "model": ("sim.cli.model", "Run models of other tools, on their own files or on networks."),
    "import": ("sim.cli.import_", "Write an ONNX model as a network file."),
    "export": ("sim.cli.export", "Write mappings and results as files of other tools."),
    "show": ("sim.cli.show", "Print what a network, chip, energy table or mapping holds."),
}
"""Name -> module with an attribute of that name, and the line in the list of commands."""

USAGE, DEFECT, INTERRUPTED, BROKEN_PIPE = 2, 3, 130, 141
LONGEST_LINE = 6000  # characters of an error: the longest path, and what is wrong with it


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"eyeriss-sim {version('eyeriss-sim')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    known=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`eyeriss-sim COMMAND --help` tells all about a command.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Simulate the Eyeriss v1 CNN accelerator, cycle by cycle.

    Start with `eyeriss-sim run alexnet --layer CONV1`.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; raises nothing.

    No traceback is printed, but of a defect under `python -X dev`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name out of a file may not be in the encoding
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _invoke(sys.argv[1:] if args is None else list(args))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BaseException as error:
        try:
            code = _explain(error)
        except BrokenPipeError:
            code = BROKEN_PIPE
        except OSError:  # stderr itself cannot be written: the exit code is all that is left
            code = USAGE
    _abandon_broken_streams()
    return code


def _invoke(args: list[str]) -> int:
    for argument in args:
        if "\0" in argument:  # from another program; a shell cannot
            raise click.UsageError(f"{argument[:60]!r}: an argument cannot hold a null character")
    # Not `cli.main`: it has words and exit codes of its own for Ctrl-C and a broken pipe.
    with cli.make_context("eyeriss-sim", args) as context:
        cli.invoke(context)
    return 0


def _explain(error: BaseException) -> int:
    """Say on stderr what went wrong; the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if isinstance(error, click.ClickException):
        if isinstance(error, click.UsageError) and error.ctx is not None:
            command = error.ctx.command_path
            click.echo(f"{error.ctx.get_usage()}\nTry '{command} --help' for help.\n", err=True)
        _tell(f"error: {_words(error)}")
        return USAGE
    if isinstance(error, OSError):
        place = error.filename or error.filename2
        reason = error.strerror or str(error) or type(error).__name__
        if isinstance(error, FileNotFoundError) and not _has_working_directory():
            reason = "the working directory is no longer there; change to one that is"
        _tell(f"error: {f'{place}: ' if place else ''}{reason}")
        return USAGE

    from sim.errors import InputError, SimulationError, WorkerKilledError

    if isinstance(error, InputError):
        for fault in error.faults:
            _tell(f"error: {fault}")
        return USAGE
    if isinstance(error, WorkerKilledError):
        click.echo(f"error: {error}", err=True)
        return USAGE
    if isinstance(error, SimulationError):
        text = str(error)
    elif isinstance(error, MemoryError):
        click.echo("error: not enough memory for this simulation", err=True)
        return USAGE
    elif isinstance(error, Exception):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        file = Path(frame.filename)
        text = f"{type(error).__name__}: {error} ({file.parent.name}/{file.name}:{frame.lineno})"
        if sys.flags.dev_mode:
            traceback.print_exception(error)
    else:
        raise error
    _tell(f"internal error: {text}")
    click.echo(
        "This is a defect of the simulator, not of what you gave it; please report it with the "
        "command that led to it.",
        err=True,
    )
    return DEFECT


def _tell(text: str) -> None:
    """Write lines to stderr.

    What a file or an argument says in them cannot steer the terminal, and of what is as long as a
    book only the beginning and the end are written.
    """
    from workloads.inputs.words import printable

    for line in map(printable, text.split("\n")):
        whole = len(line) <= LONGEST_LINE
        click.echo(line if whole else f"{line[:LONGEST_LINE]} ... {line[-200:]}", err=True)


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _words(error: click.ClickException) -> str:
    """Return the message; with one near name, where click would list several or none."""
    from workloads.inputs.words import closest

    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return error.format_message()
    known = [name for parameter in error.ctx.command.params for name in parameter.opts]
    near = closest(error.option_name, [name for name in known if name.startswith("--")])
    hint = f" Did you mean '{near}'?" if near else ""
    return f"No such option '{error.option_name}'.{hint}"


def _abandon_broken_streams() -> None:
    """Let the interpreter's last flush find no stream that cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
