"""Progress of a simulation on stderr, and how long it will still take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.base import PassShape, Plan

LayerProgress = Callable[[str, int, int, int], None]


def progress_wanted(quiet: bool) -> bool:
    """Return whether a progress bar is seen: stderr is a terminal and `quiet` is not set."""
    return not quiet and sys.stderr is not None and sys.stderr.isatty()


class Estimate:
    """How much of the work is done, and the time that the rest takes.

    A pass is simulated once for each distinct shape, so passes done say little about the time; the
    work of a layer is the windows and words of its distinct shapes, of all passes where every one
    is simulated.
    """

    def __init__(self, plans: Sequence[Plan], every_pass: bool) -> None:
        self._every_pass = every_pass
        self._shapes = {plan.layer.name: len(plan.classes) for plan in plans}
        self._work = {
            plan.layer.name: sum(
                _work(shape, plan.hw) * (times if every_pass else 1)
                for shape, times in plan.classes.items()
            )
            for plan in plans
        }
        self._share: dict[str, float] = {}

    def update(self, layer: str, done: int, total: int, simulated: int) -> float:
        """Note how far a layer is; the share of all work that is done."""
        if done == total:
            share = 1.0
        elif self._every_pass:
            share = done / total
        else:  # the pass just reported is the one that starts now
            share = min((simulated - 1) / self._shapes[layer], 0.95)
        self._share[layer] = max(share, self._share.get(layer, 0.0))
        done_work = sum(self._work[name] * part for name, part in self._share.items())
        return done_work / sum(self._work.values())


def seconds_left(elapsed: float, share: float) -> float | None:
    """Return the seconds that the rest takes at the pace so far; None before any is done."""
    return elapsed / share * (1 - share) if share > 0.01 else None


def _work(shape: PassShape, hw: Hardware) -> int:
    # An event is a burst, a psum beat or an ifmap multicast.
    size = shape.size(hw)
    return size.bursts * size.pes + shape.psum_words // 4 + shape.ifmap_words


@contextmanager
def layer_progress(plans: Sequence[Plan], *, every_pass: bool) -> Iterator[LayerProgress]:
    """Draw a bar on stderr while the block runs; yields what `sim.run.run` is to call."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    estimate = Estimate(plans, every_pass)
    started = time.monotonic()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[passes]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        first = plans[0].layer.name if plans else ""
        task = progress.add_task(first, total=1.0, passes="", left="")

        def report(layer: str, done: int, total: int, simulated: int) -> None:
            share = estimate.update(layer, done, total, simulated)
            left = seconds_left(time.monotonic() - started, share)
            progress.update(
                task,
                description=layer,
                completed=share,
                passes=f"pass {done:,} of {total:,}, {simulated:,} simulated",
                left="" if left is None else f"{duration(left)} left",
            )

        yield report


def duration(seconds: float) -> str:
    """Return 75 as `1:15`, with hours before that where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
