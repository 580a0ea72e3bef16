"""The options of `run` that record a trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sim.cli.output import Target

if TYPE_CHECKING:
    from sim.run import NetworkPlan, RunObserver, Values

Command = TypeVar("Command", bound=Callable[..., object])


@dataclass(frozen=True)
class Tracing:
    """The part of a run that is recorded, and its file; None where nothing is recorded."""

    file: str | None
    layers: tuple[str, ...]
    window: tuple[int, int] | None
    blocks: tuple[str, ...]

    @classmethod
    def of(
        cls, file: str | None, layers: tuple[str, ...], window: str | None, blocks: str | None
    ) -> Tracing:
        """Make it from the options as they were given.

        Raises:
            click.UsageError: they make no sense, alone or together.

        """
        given = {
            "--trace-layer": bool(layers),
            "--trace-window": window is not None,
            "--trace-blocks": blocks is not None,
        }
        alone = [name for name, there in given.items() if there]
        if file is None and alone:
            raise click.UsageError(f"{alone[0]} needs --trace: without it nothing is recorded")
        if file == "-":
            raise click.UsageError("--trace -: a trace is written to a file")
        from hw_models.vocabulary import BLOCK_GROUPS
        from workloads.inputs.words import unknown_name

        chosen = tuple(part.strip() for part in blocks.split(",")) if blocks is not None else ()
        for part in chosen:
            if part not in BLOCK_GROUPS:
                raise click.UsageError(
                    f"--trace-blocks: {unknown_name('group of blocks', part, BLOCK_GROUPS)}"
                )
        return cls(file, layers, None if window is None else _window(window), chosen)

    def check(self, prepared: NetworkPlan) -> None:
        """Find out whether the layers are there and the file can be written.

        Raises:
            click.UsageError: a layer is not simulated.
            OSError: the file cannot be written.
            InputError: its results would be too large to be read again.

        """
        if self.file is None:
            return
        from sim.run import check_file
        from workloads.inputs.words import unknown_name

        known = [plan.layer.name for plan in prepared.plans]
        chosen = {name.casefold() for name in self.layers}
        for name in self.layers:
            if name.casefold() not in (each.casefold() for each in known):
                raise click.UsageError(f"--trace-layer: {unknown_name('layer', name, known)}")
        check_file(prepared, [name for name in known if name.casefold() in chosen], traced=True)
        Target(self.file).check()

    @contextmanager
    def observers(
        self, prepared: NetworkPlan, values: Values | None
    ) -> Iterator[Sequence[RunObserver]]:
        """Yield the observers of a run; the trace file is complete when the block ends."""
        if self.file is None:
            yield ()
            return
        from sim.recorder import TraceRecorder

        recorder = TraceRecorder(
            self.file,
            prepared,
            values=values,
            layers=self.layers,
            window=self.window,
            blocks=self.blocks,
        )
        try:
            with recorder:
                yield (recorder,)
        finally:
            if recorder.left_behind is not None:
                click.echo(
                    f"note: what was recorded until then is in {recorder.left_behind}; "
                    "`eyeriss-sim trace recover` reads it",
                    err=True,
                )


def _window(text: str) -> tuple[int, int]:
    cycles = re.fullmatch(r"\s*(\d{1,14})\s*:\s*(\d{1,14})\s*", text)
    if cycles is None or int(cycles[1]) >= int(cycles[2]):
        raise click.UsageError(
            f"--trace-window {text}: must be FIRST:LAST in cycles, as in 10000:20000"
        )
    return int(cycles[1]), int(cycles[2])


def trace_options(command: Command) -> Callable[..., Any]:
    """Add `--trace` and what limits it, handed over as one `Tracing`, `tracing`."""

    @wraps(command)
    def collect(
        *before: object,
        trace_file: str | None,
        trace_layers: tuple[str, ...],
        trace_window: str | None,
        trace_blocks: str | None,
        **others: object,
    ) -> object:
        tracing = Tracing.of(trace_file, trace_layers, trace_window, trace_blocks)
        return command(*before, tracing=tracing, **others)

    decorated: Callable[..., Any] = collect
    for option in (
        click.option(
            "--trace-blocks",
            metavar="GROUP,..",
            help="With --trace: only blocks of these groups, of dram, glb, noc and pe.",
        ),
        click.option(
            "--trace-window",
            metavar="A:B",
            help="With --trace: only passes within cycles A to B of each layer.",
        ),
        click.option(
            "--trace-layer",
            "trace_layers",
            metavar="NAME",
            multiple=True,
            help="With --trace: only this layer; may be repeated.",
        ),
        click.option(
            "--trace",
            "trace_file",
            metavar="FILE",
            help="Record every event, for `eyeriss-sim trace`: same result, on one process.",
        ),
    ):
        decorated = option(decorated)
    return decorated
