"""How time and memory grow with layer, array and network: run by `make bench`.

Writes docs/growth.md and its plot; nothing here passes or fails. Each point is measured in a
process of its own: the processor time of a whole `sim.run.run`, laying out included, the best of
several, in T (`measured.py`); and the peak memory of the first of them, above what interpreter and
imports take. Where time is a power of the work, the logarithms of both lie on a straight line,
whose slope is the exponent: 1 where time grows as the work does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import simpy
from measured import (
    DOCS,
    MET,
    MISSED,
    REPEATS,
    bare_timeouts,
    best,
    cpu_seconds,
    machine_line,
    markdown,
    peak_mb,
    say,
)

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.engine.dram import PrefetchState
from sim.engine.machine import Machine, PassOutcome
from sim.engine.passes import pass_machine
from sim.plan.make import make_plan
from sim.run import run
from workloads.layer import Layer
from workloads.network import Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = DOCS / "growth.md"
PLOT = DOCS / "img" / "growth.svg"
BAR = 1.1  # linear, and what measurements of one series scatter
LONG_SECONDS = 4.0  # what takes longer is measured twice only

ARRAYS = {  # rows, columns -> PE sets of 3 rows by channel and by filter, which fill the rows
    (12, 14): (2, 2),
    (24, 28): (2, 4),
    (32, 32): (2, 5),
    (48, 56): (4, 4),
    (64, 64): (3, 7),
    (96, 112): (4, 8),
    (128, 128): (6, 7),
}
COLORS = ("#0072b2", "#d55e00", "#009e73")  # of Okabe and Ito


@dataclass(frozen=True)
class Told:
    """What a run was: its layers and PEs, passes and events in all, and those really simulated."""

    layers: int
    pes: int
    passes: int
    events: int
    passes_simulated: int
    events_simulated: int


@dataclass(frozen=True)
class Point:
    """A measured size of a series; `mb` is memory above interpreter and imports."""

    told: Told
    seconds: float
    T: float
    mb: float

    @property
    def in_T(self) -> float:  # noqa: N802
        """The time in T."""
        return self.seconds / self.T


# --- what grows -----------------------------------------------------------------------------------


def conv(name: str, M: int, C: int, H: int, W: int, R: int) -> Layer:
    """A layer whose filters are square, and whose ofmap is as large as its ifmap."""
    pad = R // 2
    return Layer(
        name=name, M=M, C=C, H=H, W=W, R=R, S=R,
        pad_top=pad, pad_bottom=pad, pad_left=pad, pad_right=pad,
    )  # fmt: skip


@contextmanager
def noted() -> Iterator[list[int]]:
    """The events of each pass that is really simulated meanwhile."""
    events: list[int] = []
    simulate = Machine.run

    def simulate_noted(machine: Machine) -> PassOutcome:
        outcome = simulate(machine)
        events.append(outcome.events)
        return outcome

    with patch.object(Machine, "run", simulate_noted):
        yield events


def layers_run(
    layers: Sequence[Layer],
    mapping: str,
    hw: Hardware | str = "eyeriss_v1",
    *,
    every_pass: bool = False,
) -> Told:
    network = Network("grown", 1, tuple(layers))
    with noted() as events:
        result = run(network, hw=hw, mapping=mapping, every_pass=every_pass)
    assert len(result.layers) == len(layers), result.refused[:1]
    return Told(
        layers=len(layers),
        pes=result.hw.pes,
        passes=sum(layer.passes for layer in result.layers),
        events=sum(layer.events for layer in result.layers),
        passes_simulated=len(events),
        events_simulated=sum(events),
    )


def longer_pass(place: int) -> Callable[[], Told]:
    """One pass on 168 PEs, of twice as many ofmap columns each time, as far as the GLB holds."""
    layer = conv("wide", M=8, C=4, H=14, W=4 << place, R=3)
    return partial(layers_run, [layer], "m=8,n=1,e=14,p=8,q=1,r=4,t=1")


def more_passes(place: int) -> Callable[[], Told]:
    """Twice as many channels each time: passes on 168 PEs, each of them simulated."""
    layer = conv("deep", M=16, C=8 << place, H=14, W=14, R=3)
    return partial(layers_run, [layer], "m=16,n=1,e=14,p=8,q=4,r=2,t=2", every_pass=True)


def reused_passes(place: int) -> Callable[[], Told]:
    """Passes on 4 PEs and of 81 events or fewer, four times as many each time."""
    layer = conv("fine", M=32 << place, C=32 << place, H=4, W=4, R=1)
    return partial(layers_run, [layer], "m=32,n=1,e=4,p=1,q=1,r=1,t=1")


def array_layer(place: int) -> tuple[Layer, str, Hardware]:
    """A layer of two passes that fill the array, its mapping, and the chip.

    Each PE has the same work on any array. The GLB grows with the array, so that it holds them.
    """
    (rows, columns), (r, t) = list(ARRAYS.items())[place]
    layer = conv("full", M=8 * t, C=6 * r, H=columns, W=14, R=3)
    banks = 25 * rows * columns // 168
    settings = (f"array.rows={rows}", f"array.columns={columns}", f"glb.banks={banks}")
    mapping = f"m={8 * t},n=1,e={columns},p=8,q=3,r={r},t={t}"
    return layer, mapping, load_hardware("eyeriss_v1", settings)


def larger_array(place: int) -> Callable[[], Told]:
    layer, mapping, hw = array_layer(place)
    return partial(layers_run, [layer], mapping, hw)


class SharedQueue(simpy.Environment):
    """One queue for several machines: to run one of them only starts its processes."""

    class Started(Exception):  # noqa: N818 - no error
        pass

    def run(self, until: object = None) -> None:
        raise SharedQueue.Started

    def run_all(self) -> None:
        super().run()


def crowd(place: int) -> Callable[[], Told]:
    """The first pass on 12 x 14 PEs, by many machines that have nothing to do with each other."""
    machines = 4**place
    layer, mapping, hw = array_layer(0)
    shape = next(iter(make_plan(layer, 1, hw, parse_mapping(mapping)).classes))
    events = machines * pass_machine(shape, hw, PrefetchState()).run().events

    def run_all() -> Told:
        queue = SharedQueue()
        arrays = []
        for _ in range(machines):
            arrays.append(pass_machine(shape, hw, PrefetchState(), environment=lambda: queue))
            with suppress(SharedQueue.Started):
                arrays[-1].run()
        queue.run_all()
        return Told(1, hw.pes * machines, machines, events, machines, events)

    return run_all


def bare_processes(place: int) -> Callable[[], Told]:
    """No machine: as many processes as an array has PEs, which do nothing but wait, 100 times."""
    rows, columns = list(ARRAYS)[place]
    pes, rounds = rows * columns, 100

    def run_all() -> Told:
        bare_timeouts(pes, rounds)
        return Told(0, pes, 1, pes * rounds, 1, pes * rounds)

    return run_all


def distinct_layers(place: int) -> Callable[[], Told]:
    """Layers of one pass on 36 PEs or fewer, no two of them equal: four times as many each time."""
    layers = [
        conv(f"L{n}", M=8 - n // 16 % 4, C=6 - n // 64 % 4, H=4, W=16 + n % 16, R=3)
        for n in range(4**place)
    ]
    return partial(layers_run, layers, "m=8,n=1,e=4,p=8,q=3,r=2,t=1")


def equal_layers(place: int) -> Callable[[], Told]:
    """The first of these layers, four times as often each time."""
    layers = [conv(f"L{n}", M=8, C=6, H=4, W=16, R=3) for n in range(4**place)]
    return partial(layers_run, layers, "m=8,n=1,e=4,p=8,q=3,r=2,t=1")


def counted(many: int, what: str) -> str:
    return f"{many:,} {what}{'s' if many > 1 else ''}"


def simulated(told: Told) -> int:
    return told.events_simulated


def in_all(told: Told) -> int:
    return told.events


@dataclass(frozen=True)
class Series:
    """Runs of growing size, `of(0)` to `of(points - 1)`, and how to read them.

    `size` names a point by its place. Time should follow `work`; memory is told for each `share`,
    of which a run has so many. No bar is for what is measured for comparison only.
    """

    panel: str
    title: str
    points: int
    of: Callable[[int], Callable[[], Told]]
    size: Callable[[int], str]
    share: tuple[str, Callable[[Told], float]]
    work: Callable[[Told], int] = simulated
    has_bar: bool = True

    @property
    def work_name(self) -> str:
        """What `work` counts."""
        return "event simulated" if self.work is simulated else "event of all passes"


LAYER, ARRAY, DEPTH = "layer size, 12 x 14 PEs", "array size", "network depth"
PER_LAYER = ("layer", lambda told: told.layers)
PER_PE = ("PE", lambda told: told.pes)

SERIES = {
    "longer": Series(
        LAYER,
        "one pass, more ofmap columns",
        7,
        longer_pass,
        lambda place: f"{4 << place} columns",
        ("event", simulated),
    ),
    "passes": Series(
        LAYER,
        "more passes, --every-pass",
        8,
        more_passes,
        lambda place: f"{8 << place} channels",
        ("event of one pass", lambda told: told.events_simulated / told.passes_simulated),
    ),
    "reused": Series(
        LAYER,
        "more small passes, reused",
        6,
        reused_passes,
        lambda place: f"{32 << place} filters and channels each",
        ("pass", lambda told: told.passes),
        in_all,
    ),
    "array": Series(
        ARRAY,
        "larger arrays",
        len(ARRAYS),
        larger_array,
        lambda place: "{} x {} PEs".format(*list(ARRAYS)[place]),
        PER_PE,
    ),
    "crowd": Series(
        ARRAY,
        "many arrays of 12 x 14, side by side",
        4,
        crowd,
        lambda place: counted(4**place, "array"),
        PER_PE,
        has_bar=False,
    ),
    "bare": Series(
        ARRAY,
        "bare SimPy timeouts, a process for each PE",
        len(ARRAYS),
        bare_processes,
        lambda place: "{} x {} processes".format(*list(ARRAYS)[place]),
        PER_PE,
        has_bar=False,
    ),
    "distinct": Series(
        DEPTH,
        "more layers, all distinct",
        5,
        distinct_layers,
        lambda place: counted(4**place, "layer"),
        PER_LAYER,
    ),
    "equal": Series(
        DEPTH,
        "more layers, all equal",
        7,
        equal_layers,
        lambda place: counted(4**place, "layer"),
        PER_LAYER,
        in_all,
    ),
}
Measured = dict[str, list[Point]]


# --- measuring ------------------------------------------------------------------------------------


def measure_point(series: Series, place: int) -> Point:
    """Measure in this process, which has done nothing else."""
    bare = peak_mb()
    work = series.of(place)
    told: list[Told] = []
    first = best(lambda: told.append(work()), cpu_seconds, repeats=1)
    peak = peak_mb()
    again = best(work, cpu_seconds, repeats=1 if first.seconds > LONG_SECONDS else REPEATS - 1)
    seconds, T = min(first.seconds, again.seconds), min(first.T, again.T)
    return Point(told[0], seconds, T, peak - bare)


def measure() -> Measured:
    """Every point of every series, each in a process of its own."""
    found: Measured = {}
    for name, series in SERIES.items():
        found[name] = []
        for place in range(series.points):
            say(f"{series.title}: {series.size(place)}")
            command = [sys.executable, __file__, "--point", name, str(place)]
            child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            point = json.loads(child.stdout)
            found[name].append(Point(**{**point, "told": Told(**point["told"])}))
    return found


@dataclass(frozen=True)
class Fit:
    """The slope of a straight line through logarithms, and its standard error."""

    exponent: float
    error: float

    def __str__(self) -> str:
        return f"{self.exponent:.2f} ± {self.error:.2f}"


def fit(work: Sequence[float], values: Sequence[float]) -> Fit:
    """`values` as a power of `work`; three points or more."""
    x, y = np.log(work), np.log(values)
    x, y = x - x.mean(), y - y.mean()
    slope = (x @ y) / (x @ x)
    residuals = y - slope * x
    return Fit(float(slope), float(np.sqrt(residuals @ residuals / (len(x) - 2) / (x @ x))))


def in_time(point: Point) -> float:
    return point.in_T


def in_memory(point: Point) -> float:
    return point.mb


def fits(series: Series, points: Sequence[Point], of: Callable[[Point], float]) -> tuple[Fit, Fit]:
    """Exponents over all points, and over the larger half, which fixed costs flatter less."""
    work = [series.work(point.told) for point in points]
    values = [of(point) for point in points]
    half = min(len(points) // 2, len(points) - 3)
    return fit(work, values), fit(work[half:], values[half:])


# --- the page -------------------------------------------------------------------------------------


def exponents(measured: Measured) -> str:
    header = ["what grows", "against", "up to", "time", "larger half", f"at most {BAR}"]
    header += ["memory", "larger half", f"at most {BAR}"]
    rows = []
    for name, points in measured.items():
        series = SERIES[name]
        work = [series.work(point.told) for point in points]
        cells = [f"{series.panel}: {series.title}", series.work_name.replace("event", "events")]
        cells.append(f"{work[-1] / work[0]:,.0f} times")
        for of in (in_time, in_memory):
            both = fits(series, points, of)
            met = max(each.exponent for each in both) <= BAR
            cells += [*map(str, both), "no bar" if not series.has_bar else MET if met else MISSED]
        rows.append(cells)
    return markdown(header, rows)


def rounded(figure: float) -> str:
    """Two significant digits."""
    return f"{float(f'{figure:.2g}'):,.15g}"


def point_table(name: str, points: Sequence[Point]) -> str:
    series = SERIES[name]
    share, shares = series.share
    header = ["size", "passes", "passes simulated", "events of all passes", "events simulated"]
    header += ["time", "here", f"T per {series.work_name}", "memory", f"bytes per {share}"]
    rows = []
    for place, point in enumerate(points):
        told = point.told
        rows.append(
            [
                series.size(place),
                f"{told.passes:,}",
                f"{told.passes_simulated:,}",
                f"{told.events:,}",
                f"{told.events_simulated:,}",
                f"{point.in_T / 1e3:,.0f} thousand T",
                f"{point.seconds:.2f} s",
                rounded(point.in_T / series.work(told)),
                f"{point.mb:,.1f} MB",
                rounded(point.mb * 1e6 / shares(told)),
            ]
        )
    heading = f"{series.panel}: {series.title}"
    return f"### {heading[0].upper()}{heading[1:]}\n\n{markdown(header, rows)}"


def draw(measured: Measured, to: Path) -> None:
    """The plot: time above, memory below, against events; a column for each thing that grows."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(SERIES[name].panel for name in measured))
    style: Any = {"font.size": 9, "svg.hashsalt": "eyeriss-sim"}  # equal figures make equal files
    with rc_context(style):
        figure = Figure(figsize=(3.6 * len(panels), 7.2), layout="constrained")
        axes = figure.subplots(2, len(panels), sharex="col", sharey="row", squeeze=False)
        for column, panel in enumerate(panels):
            shown = {name: measured[name] for name in measured if SERIES[name].panel == panel}
            draw_panel(axes[0, column], shown, in_time)
            draw_panel(axes[1, column], shown, in_memory)
            axes[0, column].set_title(panel)
            axes[1, column].set_xlabel("engine events")
            axes[1, column].legend(
                loc="upper left", bbox_to_anchor=(0, -0.2), fontsize=8, frameon=False
            )
        axes[0, 0].set_ylabel("processor time, T")
        axes[1, 0].set_ylabel("peak memory above the imports, MB")
        note = "* events of all passes, reused ones too; else those really simulated"
        figure.supxlabel(note, fontsize=8)
        figure.savefig(to, metadata={"Date": None, "Creator": None} if to.suffix == ".svg" else {})


def draw_panel(axes: Axes, shown: Measured, of: Callable[[Point], float]) -> None:
    """Every series, and a line of slope 1 through the end of the first."""
    ends: list[tuple[float, float, float]] = []
    for (name, points), color in zip(shown.items(), COLORS, strict=False):
        series = SERIES[name]
        work = [series.work(point.told) for point in points]
        values = [of(point) for point in points]
        label = series.title + ("" if series.work is simulated else " *")
        kind = "o-" if series.has_bar else "s--"
        axes.loglog(work, values, kind, color=color, markersize=4, linewidth=1.4, label=label)
        ends.append((work[0], work[-1], values[-1]))
    first, last, value = ends[0]
    line = (value * first / last, value)
    axes.loglog((first, last), line, ":", color="#5f6871", label="linear: slope 1", zorder=1)
    axes.grid(which="major", color="#e2e5e8", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def page(measured: Measured, load: float) -> str:
    T = statistics.median(point.T for points in measured.values() for point in points)
    tables = "\n".join(point_table(name, points) for name, points in measured.items())
    reused, distinct, equal = (measured[name][-1] for name in ("reused", "distinct", "equal"))
    by_size = dict(zip(ARRAYS, measured["array"], strict=True))
    small, middle, large = by_size[12, 14], by_size[64, 64], by_size[128, 128]
    alone, crowded = (measured["crowd"][place] for place in (0, -1))
    few, many = (measured["bare"][place] for place in (0, -1))
    beside = beside_bare(measured)
    return f"""# How it grows

`make bench` writes this page.
{machine_line(load)}

## On paper

| what | time | memory |
| --- | --- | --- |
| a pass that is simulated | its events | their logs, until it ends |
| a pass that is reused | one look-up | a few pointers, until the layer ends |
| a kind of pass | | nine numbers for each PE, and the beats prefetched, until the run ends |
| a layer | laying out, pricing | its result: nine maps of the array |

Nothing goes through all passes for each pass, or through all PEs for each event. The one thing that
is worse than linear is SimPy's queue, a heap: it sifts an event through as many others as the
logarithm of those that wait says, of which there is about one for each PE.

## In numbers

Where time is a power of the work, its logarithm against that of the work is a straight line, and
the slope is the exponent: 1 is linear. Fixed costs bend the small end, so the larger half of the
points is fitted by itself, too, and the bar is for both; ± is the fit's standard error. Time is the
processor time of a whole run, laying out included, the best of {REPEATS}, of two above
{LONG_SECONDS:.0f} s, in [T](benchmarks.md), here {T * 1e6:.2f} µs. Memory is the peak of a process
of its own, above what it has when everything is imported. No test asserts any of it.

{exponents(measured)}
![Time and memory against events, on logarithmic scales](img/{PLOT.name})

- **Reused passes.** A pass that is reused costs {reused.in_T / reused.told.passes:.1f} T, however
  large it is: a layer of {reused.told.passes:,} passes takes {reused.seconds:.1f} s here, and
  {reused.mb:.0f} MB.
- **Larger arrays.** An event costs {dear(small)} on 12 x 14 PEs, {dear(middle)} on 64 x 64 and
  {dear(large)} on 128 x 128, where no more is done for it. Two things are measured beside it that
  have nothing of a larger array in them. Many arrays of 12 x 14 in one queue go from {dear(alone)}
  to {dear(crowded)} with {crowded.told.passes} of them; bare timeouts, which do nothing, from
  {dear(few)} with {few.told.pes} processes to {dear(many)} with {many.told.pes:,}. So most of it is
  SimPy's heap and the processor's caches: a PE and its logs take
  {rounded(large.mb * 1e3 / large.told.pes)} KB, and all PEs take turns. Counted in bare timeouts of
  as many processes, the exponents are {beside[0]} and, for the larger half, {beside[1]}.
  [ARCHITECTURE.md](../ARCHITECTURE.md#decisions) says what was tried in the heap's place.
- **Deeper networks.** {distinct.told.layers} layers that are all simulated take
  {distinct.seconds:.1f} s here; {equal.told.layers:,} equal ones, one of which is simulated,
  {equal.seconds:.1f} s. A layer's result takes
  {rounded(equal.mb * 1e3 / equal.told.layers)} KB on 168 PEs.

{tables}"""


def beside_bare(measured: Measured) -> tuple[Fit, Fit]:
    """Exponents of larger arrays in bare timeouts of as many processes, in place of T."""
    dearer = {point.told.pes: each_in_T(point) for point in measured["bare"]}
    return fits(
        SERIES["array"], measured["array"], lambda point: point.in_T / dearer[point.told.pes]
    )


def each_in_T(point: Point) -> float:  # noqa: N802
    """What a simulated event costs, in T."""
    return point.in_T / point.told.events_simulated


def dear(point: Point) -> str:
    """What a simulated event costs."""
    return f"{each_in_T(point):.1f} T"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure, print and write docs/growth.md.")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write")
    parser.add_argument("--plot", type=Path, default=PLOT, help="the plot to write")
    parser.add_argument("--point", nargs=2, metavar=("SERIES", "PLACE"), help="measure this alone")
    given = parser.parse_args()
    if given.point is not None:
        name, place = given.point
        print(json.dumps(asdict(measure_point(SERIES[name], int(place)))))
        return
    load = os.getloadavg()[0]
    measured = measure()
    draw(measured, given.plot)
    text = page(measured, load)
    given.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
