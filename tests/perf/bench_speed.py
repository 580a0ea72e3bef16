"""How fast the simulator is, as a table: run by `make bench`, which writes docs/benchmarks.md.

Nothing here passes or fails. Every time is also given in T, the time of one bare SimPy timeout with
168 processes on the same machine, sampled before and after each measurement: so a figure can be
held against one from another machine, and from another hour. Of repeated measurements the best
counts, against the best sample of T around it; of whole commands the median. T and single passes
are processor time, networks and commands wall time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import simpy
from measured import (
    DOCS,
    MET,
    MISSED,
    PROCESSES,
    REPEATS,
    Timing,
    best,
    cpu_seconds,
    machine_line,
    markdown,
    millions,
    say,
    seconds,
)

from hw_models.spec import Hardware
from sim.analytic.form import estimate_layer
from sim.dataflow.row_stationary.passes import PassShape
from sim.engine.dram import PrefetchState
from sim.engine.layer_run import PassMemory, simulate_layer
from sim.engine.machine import PassOutcome
from sim.engine.passes import pass_machine
from sim.run import NetworkPlan, prepare, run
from workloads.network import load_network

PAGE = DOCS / "benchmarks.md"
README = DOCS.parent / "README.md"
MARKS = "<!-- written by make bench -->", "<!-- end -->"
COMMAND = Path(sys.executable).with_name("eyeriss-sim")
COMMAND_REPEATS = 5
NETWORK_REPEATS = 7  # both CPUs must be free at once for two processes to show what they can
CONV = {"alexnet": ("AlexNet CONV1-5", 4), "vgg16": ("VGG-16 CONV", 3)}
"""Network -> how the table calls its CONV layers, and the batch; mappings are the shipped ones."""


@dataclass(frozen=True)
class Row:
    """A line of the table: the figure that holds on any machine, the one of this machine, the bar.

    `met` is None where there is no bar.
    """

    what: str
    ratio: str
    here: str
    bar: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's cells."""
        verdict = "" if self.met is None else MET if self.met else MISSED
        return self.what, self.ratio, self.here, self.bar, verdict


@dataclass(frozen=True)
class PassCost:
    """What it took to simulate one distinct pass; `bound` is the station that bounds the pass."""

    bound: str
    timing: Timing
    engine_events: int
    simpy_events: int
    macs: int


class CountingEnvironment(simpy.Environment):
    """Counts the events that SimPy processes."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        super().step()


def conv_layers(network: str) -> list[str]:
    return [layer.name for layer in load_network(network).layers if layer.name.startswith("CONV")]


# --- what is measured -----------------------------------------------------------------------------


def network_walls(network: str) -> dict[int, Timing]:
    """Calls of `sim.run.run` on one and on two processes, loading and laying out included.

    By turns, so that what else the machine does meets both.
    """
    layers, batch = conv_layers(network), CONV[network][1]
    turns = [
        {
            jobs: best(partial(run, network, layers=layers, batch=batch, jobs=jobs), seconds, 1)
            for jobs in (1, 2)
        }
        for _ in range(NETWORK_REPEATS)
    ]
    T = min(timing.T for turn in turns for timing in turn.values())
    return {jobs: Timing(min(turn[jobs].seconds for turn in turns), T) for jobs in (1, 2)}


def distinct_passes(prepared: NetworkPlan) -> dict[tuple[PassShape, PrefetchState], str]:
    """Every pass that a run of these layers simulates, and what bounds it."""
    memory = PassMemory(prepared.hw)
    bounds: dict[PassShape, str] = {}
    for plan in prepared.plans:
        simulate_layer(plan, memory=memory)
        bounds.update((share.shape, share.bound) for share in estimate_layer(plan).bounds)
    return {key: bounds[key[0]] for key in memory.outcomes}


def pass_costs(network: str) -> list[PassCost]:
    prepared = prepare(network, layers=conv_layers(network), batch=CONV[network][1])
    hw = prepared.hw
    costs = []
    for (shape, start), bound in distinct_passes(prepared).items():
        timing = best(partial(simulate_one, shape, hw, start), cpu_seconds)
        counted = pass_machine(shape, hw, start, environment=CountingEnvironment)
        outcome = counted.run()
        assert isinstance(counted.env, CountingEnvironment)
        costs.append(PassCost(bound, timing, outcome.events, counted.env.steps, shape.macs))
    return costs


def simulate_one(shape: PassShape, hw: Hardware, start: PrefetchState) -> PassOutcome:
    return pass_machine(shape, hw, start).run()


def network_mb(network: str, jobs: int) -> float:
    """Memory of a run in a process of its own, in MB; that of its workers, as if all were as large
    as the largest and shared nothing, is added.
    """
    code = (
        "import sys; from resource import RUSAGE_CHILDREN;"
        "from measured import maxrss_mb, peak_mb; from sim.run import run;"
        "network, batch, jobs, *layers = sys.argv[1:];"
        "run(network, layers=layers, batch=int(batch), jobs=int(jobs));"
        "print(peak_mb(), maxrss_mb(RUSAGE_CHILDREN))"
    )
    args = [network, str(CONV[network][1]), str(jobs), *conv_layers(network)]
    told = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    own, worker = map(float, told.stdout.split())
    return own + (jobs * worker if jobs > 1 else 0)


def command_seconds(*args: str) -> float:
    """A whole command, from start to exit."""
    command = [str(COMMAND), *args]

    def invoke() -> None:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    invoke()  # once for the disk
    return statistics.median(seconds(invoke) for _ in range(COMMAND_REPEATS))


# --- the table ------------------------------------------------------------------------------------


def wall_rows(network: str, walls: dict[int, Timing], macs: int, bar_T: float) -> list[Row]:
    name = "{}, batch {}".format(*CONV[network])
    one, two = walls[1], walls[2]
    share = two.seconds / one.seconds
    return [
        Row(
            f"{name}, one process",
            f"{millions(one.in_T)} T",
            f"{one.seconds:.2f} s",
            f"at most {bar_T / 1e6:.0f} million T",
            one.in_T <= bar_T,
        ),
        Row(
            f"{name}, `--jobs 2`",
            f"{share:.2f} of one process",
            f"{two.seconds:.2f} s",
            "at most 0.60 of one process",
            share <= 0.6,
        ),
        Row(
            f"{name}: MACs of the network, one process",
            f"{macs / one.in_T:,.0f} per T",
            f"{millions(macs / one.seconds)} per s",
        ),
    ]


def per_second(costs: Sequence[PassCost], count: Callable[[PassCost], int]) -> float:
    return sum(map(count, costs)) / sum(cost.timing.seconds for cost in costs)


def per_T(costs: Sequence[PassCost], count: Callable[[PassCost], int]) -> float:  # noqa: N802
    return sum(map(count, costs)) / sum(cost.timing.in_T for cost in costs)


def throughput_rows(costs: Sequence[PassCost]) -> list[Row]:
    passes = f"{len(costs)} distinct passes"
    rows = [
        Row(
            f"{passes}: {what}",
            f"{per_T(costs, count):.2f} of bare timeouts",
            f"{millions(per_second(costs, count))} per s",
            "at least 0.33 of bare timeouts",
            per_T(costs, count) >= 1 / 3,
        )
        for what, count in (
            ("engine events (windows, psum beats, link hops, multicasts)", by_engine),
            ("events that SimPy processes", by_simpy),
        )
    ]
    return [
        *rows,
        Row(
            f"{passes}: MACs",
            f"{per_T(costs, by_macs):.1f} per T",
            f"{millions(per_second(costs, by_macs))} per s",
        ),
    ]


def by_engine(cost: PassCost) -> int:
    return cost.engine_events


def by_simpy(cost: PassCost) -> int:
    return cost.simpy_events


def by_macs(cost: PassCost) -> int:
    return cost.macs


def pass_table(costs: Sequence[PassCost]) -> str:
    rows = []
    for bound in sorted({cost.bound for cost in costs}):
        these = [cost for cost in costs if cost.bound == bound]
        rows.append(
            (
                bound,
                str(len(these)),
                f"{fmean(cost.timing.in_T for cost in these) / 1e3:,.0f} thousand T",
                f"{fmean(cost.timing.seconds for cost in these) * 1e3:,.0f} ms",
                f"{fmean(map(by_engine, these)):,.0f}",
                f"{fmean(map(by_simpy, these)):,.0f}",
                f"{per_T(these, by_engine):.2f}",
                f"{per_T(these, by_simpy):.2f}",
                f"{per_T(these, by_macs):.1f}",
            )
        )
    header = (
        "bound by",
        "passes",
        "one pass",
        "here",
        "engine events",
        "SimPy events",
        "engine events per T",
        "SimPy events per T",
        "MACs per T",
    )
    return markdown(header, rows)


def page(rows: Sequence[Row], costs: Sequence[PassCost], T: float, load: float) -> str:
    networks = " and ".join(f"{name}, batch {batch}," for name, batch in CONV.values())
    return f"""# How fast it is

`make bench` writes this page.
{machine_line(load)}

**T** is the processor time of one bare SimPy timeout with {PROCESSES} processes, sampled before and
after each measurement: here {T * 1e6:.2f} µs in the median, {1 / T:,.0f} timeouts per second. A
figure in T, or as a share of bare timeouts, can be compared with one from another machine; seconds
cannot. Networks are the best of {NETWORK_REPEATS}, one and two processes by turns, passes the best
of {REPEATS}, both against the best T around them; commands are the median of {COMMAND_REPEATS}.
Loading and laying out a network is part of its time, starting Python is not. Passes are processor
time, networks and commands wall time, so other work on the machine makes these look worse. Bars are
what the project set itself; no test asserts a time.

{markdown(("what", "on any machine", "here", "bar", ""), [row.cells for row in rows])}
A pass is simulated once, and its outcome is reused by all passes equal to it, to the cycle;
`--every-pass` simulates them all, to the same result. So the MACs of a network per second are far
more than those of a distinct pass.

## What one distinct pass costs

The distinct passes of {networks}
by the station that bounds them in closed form; means over the passes. An engine event is a window,
a psum beat, a link hop or a multicast of the machine; a SimPy event is one that SimPy's queue hands
out. A PE that finds its operands ready takes in all beats of a window in one SimPy event; one that
waits for them takes an event for each.

{pass_table(costs)}
## How it grows

![Time and memory against events, on logarithmic scales](img/growth.svg)

[growth.md](growth.md) has how time and memory grow with a layer, the array and the network.
"""


def with_table(readme: str, rows: Sequence[Row]) -> str:
    """The README with these figures between its marks."""
    before, rest = readme.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    table = markdown(("what", "on any machine", "here"), [row.cells[:3] for row in rows])
    return f"{before}{MARKS[0]}\n{table}{MARKS[1]}{after}"


def measure() -> tuple[list[Row], str]:
    """Take every figure; the table and the page."""
    load = os.getloadavg()[0]
    say("memory")
    memory = {jobs: network_mb("vgg16", jobs) for jobs in (1, 2)}
    rows: list[Row] = []
    bare: list[float] = []
    for network, bar in (("alexnet", 5e6), ("vgg16", 30e6)):
        say(CONV[network][0])
        prepared = prepare(network, layers=conv_layers(network), batch=CONV[network][1])
        macs = sum(plan.layer.macs(plan.batch) for plan in prepared.plans)
        walls = network_walls(network)
        rows += wall_rows(network, walls, macs, bar)
        bare += [timing.T for timing in walls.values()]
    say("distinct passes")
    costs = [cost for network in CONV for cost in pass_costs(network)]
    bare += [cost.timing.T for cost in costs]
    T = statistics.median(bare)
    say("whole commands")
    commands = {
        "eyeriss-sim --help": (command_seconds("--help"), 0.25),
        "eyeriss-sim estimate alexnet": (command_seconds("estimate", "alexnet"), 0.6),
    }
    rows += throughput_rows(costs)
    for jobs, used in memory.items():
        who = "one process" if jobs == 1 else f"`--jobs {jobs}`, all processes together"
        megabytes = f"{used:.0f} MB"
        bar_mb = ("under 400 MB", used < 400)
        rows.append(Row(f"{CONV['vgg16'][0]}: peak memory, {who}", megabytes, megabytes, *bar_mb))
    for command, (taken, bar_s) in commands.items():
        rows.append(
            Row(
                f"`{command}`, the whole command",
                f"{millions(taken / T)} T",
                f"{taken:.2f} s",
                f"under {bar_s:.2f} s",
                taken < bar_s,
            )
        )
    return rows, page(rows, costs, T, load)


def main() -> None:
    what = "Measure, print, and write docs/benchmarks.md and the README's table."
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--output", type=Path, help="the page to write; the README stays as it is")
    output: Path | None = parser.parse_args().output
    rows, text = measure()
    (output or PAGE).write_text(text, encoding="utf-8")
    if output is None:
        readme = README.read_text(encoding="utf-8")
        README.write_text(with_table(readme, rows), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
