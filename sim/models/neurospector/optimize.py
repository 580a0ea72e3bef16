"""The optimizer: searches over the layers of a network, and its result files."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sim.models.neurospector import text
from sim.models.neurospector.accelerator import CHIPS_X, DRAM, GB, Accelerator, read_accelerator
from sim.models.neurospector.exact import GOALS, Goal, Optimum, Proof, search_exact
from sim.models.neurospector.model import EXACT, B, C, Figures, Model, P, Q, R, S
from sim.models.neurospector.quirks import Quirk, quirks_of
from sim.models.neurospector.rules import valid
from sim.models.neurospector.search import Found, bottom_up, brute_force, unscheduled
from sim.models.neurospector.splits import unit_limits, visits, walk
from sim.models.neurospector.workload import Layer, Network, Table, read_network
from workloads.inputs.faults import Fault, InputError


@dataclass(frozen=True)
class Scheduled:
    """A layer with the table that was found, and its figures as the tool computes them."""

    number: int
    found: Found
    model: Model
    figures: Figures

    def cost(self, metric: str) -> float:
        """Return total pJ or cycles."""
        return float(self.model.cost(self.figures, metric)[0])

    def quirks(self) -> list[Quirk]:
        """Return quirks that the table meets."""
        return quirks_of(self.model, self.found.table)


@dataclass(frozen=True)
class Optimization:
    """The tables found for a network's layers."""

    accelerator: Accelerator
    network: Network
    search: str
    metric: str
    layers: tuple[Scheduled, ...]
    partitioned: Partition | None = None

    @property
    def notes(self) -> tuple[Fault, ...]:
        """List settings that are ignored or read otherwise than they look."""
        return (*self.accelerator.notes, *self.network.notes)

    def original(self) -> dict[str, str]:
        """Return the tool's files by name; `stdout.txt` is its output without the run time."""
        stdout = text.accelerator_text(self.accelerator)
        if self.partitioned is not None:
            stdout += self.partitioned.original(self)
        files = {"stdout.txt": stdout}
        for scheduled in self.layers:
            kind = "brute-force" if self.search == "brute-force" else f"bottom_up-{self.metric}"
            head = f"{self.accelerator.name}-{self.network.name}_{scheduled.number}"
            files[f"{head}-{kind}.txt"] = self.result_file(scheduled)
        return files

    def result_file(self, scheduled: Scheduled) -> str:
        """Return the tool's result file of a layer."""
        found, accelerator = scheduled.found, self.accelerator
        strategies = f"Strategies : {found.strategies}\n" if self.search == "bottom-up" else ""
        table = text.table_text(accelerator, found.layer, found.table, found.dataflows)
        groups = text.statistics(scheduled.model, scheduled.figures)
        return "".join(
            (
                strategies,
                "[Accelerator Spec.]\n",
                text.accelerator_text(accelerator),
                "[Scheduling Table]\n",
                table,
                "[Analyze Results]\n",
                text.figures_text(groups, is_result=True),
                f"{text.VERSION_LINES[accelerator.version]}\n",
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Return tables and figures of the layers."""
        return {
            "search": self.search,
            "metric": self.metric,
            "layers": [self._layer(scheduled) for scheduled in self.layers],
            "notes": [str(note) for note in self.notes],
        }

    def _layer(self, scheduled: Scheduled) -> dict[str, Any]:
        found, layer = scheduled.found, scheduled.found.layer
        groups = text.statistics(scheduled.model, scheduled.figures)
        return {
            "layer": {
                "number": scheduled.number,
                "name": layer.name,
                **text.parameters(layer),
                "stride": layer.stride,
            },
            "dataflows": dict(zip(("LOCAL_BUFFER", "GLOBAL_BUFFER"), found.dataflows, strict=True)),
            "strategies": found.strategies,
            "table": text.table_rows(self.accelerator, found.table),
            "statistics": text.json_statistics(groups),
            "quirks": [{"name": quirk.name, "text": quirk.text} for quirk in scheduled.quirks()],
            "notes": found.notes,
        }


def read_problem(
    accelerator: Path | str, network: Path | str, number: int | None = None
) -> tuple[Accelerator, Network, list[tuple[int, Layer]]]:
    """Read the accelerator, the network, and its layers by number, or the one of that number.

    Raises:
        InputError: with the faults of the files; there is no such layer.

    """
    read = read_accelerator(accelerator)
    layers = read_network(network)
    chosen = list(enumerate(layers.layers, 1))
    if number is not None:
        if not 1 <= number <= len(chosen):
            message = f"no layer {number}; the network has {len(chosen)}"
            raise InputError(Fault(layers.file, None, "--layer", message))
        chosen = chosen[number - 1 : number]
    return read, layers, chosen


def optimize(
    accelerator: Path | str,
    network: Path | str,
    *,
    metric: str,
    search: str,
    dataflow: str = "fixed",
    layer: int | None = None,
    partition: Sequence[int] = (),
    cross_layer: bool = False,
) -> Optimization:
    """Run one of the tool's searches, `bottom-up` or `brute-force`.

    `partition` are numbers of layers that run side by side on several chips; `cross_layer` takes
    what a layer hands on to the next one off the printed totals. Both are of bottom-up.

    Raises:
        InputError: with the faults of the files, or why there is nothing to search.

    """
    read, layers, chosen = read_problem(accelerator, network, layer)
    if partition:
        for number in partition:
            if not 1 <= number <= len(layers.layers):
                message = f"no layer {number}; the network has {len(layers.layers)}"
                raise InputError(Fault(layers.file, None, "--multi-chip-partitioning", message))
        numbered = [(number, layers.layers[number - 1]) for number in partition]
        if read.units(CHIPS_X) > 1:
            return _partitioned(read, layers, numbered, metric, dataflow)
        chosen = numbered  # one after the other
    done: list[Scheduled] = []
    for number, one in chosen:
        if search == "bottom-up":
            found = bottom_up(read, one, metric, dataflow, is_first=not done)
        else:
            found = brute_force(read, one, metric, dataflow)
        scheduled = _scheduled(read, number, found)
        if cross_layer and done:
            scheduled = _reusing(scheduled, done[-1], metric)
        done.append(scheduled)
    # One chip leaves the cost to beat as it was, at the largest number.
    alone = Partition(float(np.finfo(np.float32).max), ()) if partition else None
    return Optimization(read, layers, search, metric, tuple(done), alone)


@dataclass(frozen=True)
class ExactOptimization:
    """Proofs, or bounds, of a network's layers."""

    accelerator: Accelerator
    network: Network
    goal: str
    proofs: tuple[tuple[int, Proof], ...]
    divides_inputs: bool

    @property
    def notes(self) -> tuple[Fault, ...]:
        """List settings that are ignored or read otherwise than they look."""
        return (*self.accelerator.notes, *self.network.notes)

    def tables(self) -> dict[str, str]:
        """Return the best tables as files of the tool, by name."""
        head = f"{self.accelerator.name}-{self.network.name}"
        return {
            f"{head}_{number}-exact.cfg": text.table_cfg(
                self.accelerator, proof.layer, proof.best[0].table
            )
            for number, proof in self.proofs
        }

    def model(self, optimum: Optimum, layer: Layer) -> Model:
        """Return the model that a table was judged by."""
        return Model(
            self.accelerator,
            layer,
            optimum.dataflows,
            EXACT,
            divides_inputs=self.divides_inputs,
        )

    def quirks(self) -> list[Quirk]:
        """Return quirks that the best tables meet."""
        met = {}
        for _, proof in self.proofs:
            best = proof.best[0]
            model = Model(self.accelerator, proof.layer, best.dataflows)
            met.update({quirk.name: quirk for quirk in quirks_of(model, best.table)})
        return list(met.values())

    def to_dict(self) -> dict[str, Any]:
        """Return tables, costs and bounds of the layers; costs in pJ, cycles, or their product."""
        return {
            "search": "exact",
            "metric": self.goal,
            "divides_inputs": self.divides_inputs,
            "layers": [self._layer(number, proof) for number, proof in self.proofs],
            "notes": [str(note) for note in self.notes],
        }

    def _layer(self, number: int, proof: Proof) -> dict[str, Any]:
        layer = proof.layer
        best = []
        for optimum in proof.best:
            model = self.model(optimum, layer)
            groups = text.statistics(model, model.figures(optimum.table[None]))
            names = ("LOCAL_BUFFER", "GLOBAL_BUFFER")
            best.append(
                {
                    "cost": optimum.cost,
                    "energy_pj": optimum.energy_pj,
                    "cycles": optimum.cycles,
                    "dataflows": dict(zip(names, optimum.dataflows, strict=True)),
                    "table": text.table_rows(self.accelerator, optimum.table),
                    "statistics": text.json_statistics(groups),
                }
            )
        return {
            "layer": {
                "number": number,
                "name": layer.name,
                **text.parameters(layer),
                "stride": layer.stride,
            },
            "proved": proof.is_proved,
            "bound": proof.bound,
            "gap": proof.gap,
            "tiles": proof.tiles,
            "tiles_seen": proof.tiles_seen,
            "best": best,
        }


def optimize_exact(
    accelerator: Path | str,
    network: Path | str,
    *,
    metric: str,
    weights: tuple[float, float] | None = None,
    dataflow: str = "fixed",
    layer: int | None = None,
    top: int = 1,
    time_limit: float = math.inf,
    divides_inputs: bool = False,
) -> ExactOptimization:
    """Find the optimum of each layer, proved unless `time_limit` seconds for all run out.

    `metric` is energy, cycle or edp; `weights` are exponents of energy and cycles in its place.

    Raises:
        InputError: with the faults of the files, or why there is nothing to search.

    """
    read, layers, chosen = read_problem(accelerator, network, layer)
    goal = GOALS[metric] if weights is None else Goal(*weights)
    name = metric if weights is None else f"energy^{weights[0]:g} x cycles^{weights[1]:g}"
    end = time.monotonic() + time_limit
    proofs: dict[tuple[tuple[int, ...], int], Proof] = {}
    done = []
    for place, (number, one) in enumerate(chosen):
        known = proofs.get((one.size, one.stride))
        if known is None:
            left = max(0.0, end - time.monotonic()) / (len(chosen) - place)
            known = search_exact(
                read,
                one,
                goal,
                dataflow=dataflow,
                top=top,
                time_limit=left,
                divides_inputs=divides_inputs,
            )
            proofs[one.size, one.stride] = known
        done.append((number, replace(known, layer=one)))
    return ExactOptimization(read, layers, name, tuple(done), divides_inputs)


def _scheduled(accelerator: Accelerator, number: int, found: Found) -> Scheduled:
    model = Model(accelerator, found.layer, found.dataflows)
    return Scheduled(number, found, model, model.figures(found.table[None]))


def _reusing(scheduled: Scheduled, before: Scheduled, metric: str) -> Scheduled:
    """Take what the layer before left on the chip off the totals, and nothing else [Q12]."""
    model, figures = scheduled.model, scheduled.figures
    accelerator, real = model.accelerator, model.arithmetic.real
    prev = np.multiply.reduce(before.found.table[:DRAM], axis=0)
    here = np.multiply.reduce(scheduled.found.table[:DRAM], axis=0)
    stride = scheduled.found.layer.stride
    overlap = math.prod(
        int(min(left, needed))
        for left, needed in (
            (prev[B], here[B]),
            (prev[P], (here[P] - 1) * stride + here[R]),
            (prev[Q], (here[Q] - 1) * stride + here[S]),
            (prev[C], here[C]),
        )
    )
    dram = accelerator.buffers[DRAM]
    if metric == "energy":
        saved = real(overlap) * (real(dram.energy_pj[0]) + real(dram.energy_pj[2]))
        dynamic = figures.total_dynamic - saved
        return replace(
            scheduled,
            figures=replace(
                figures,
                total_dynamic=dynamic,
                total_energy=figures.total_energy - saved,
            ),
        )
    with np.errstate(all="ignore"):
        width = real(real(dram.bits[0]) / real(accelerator.precision))
        beats = np.ceil(real(overlap) / width)
    saved = beats * (real(dram.cycles[0]) + real(dram.cycles[2]))
    return replace(scheduled, figures=replace(figures, total_cycles=figures.total_cycles - saved))


# -- layers side by side on several chips ----------------------------------------------------------


@dataclass(frozen=True)
class _Option:
    """A way to give a layer chips: rows GB, chips and DRAM; 0 chips is alone, on the cheapest."""

    chips: int
    cost: float
    table: Table
    dram_words: int
    dram_reads: int


@dataclass(frozen=True)
class Partition:
    """The chosen options, none where there is one chip, and their cost."""

    cost: float
    options: tuple[_Option, ...]

    def original(self, done: Optimization) -> str:
        """Return the lines of it on the tool's standard output."""
        tables = [
            text.table_text(
                done.accelerator,
                scheduled.found.layer,
                unscheduled(scheduled.found.layer),
                done.accelerator.dataflows,
                with_layer=False,
            )
            for scheduled in done.layers
        ]
        total = np.float32(0)
        for scheduled in done.layers:
            total = total + np.float32(scheduled.cost(done.metric))
        gain = text.number(total - np.float32(self.cost))
        return f"{''.join(tables)}[message] Multip chip partitioning result : {gain}\n"


def _partitioned(
    accelerator: Accelerator,
    network: Network,
    numbered: list[tuple[int, Layer]],
    metric: str,
    dataflow: str,
) -> Optimization:
    choices = [_options(accelerator, layer, metric) for _, layer in numbered]
    best = _best_options(accelerator, choices)
    if best is None:
        message = "no choice of options fits on the chips"
        raise InputError(Fault(network.file, None, "--multi-chip-partitioning", message))
    done: list[Scheduled] = []
    for (number, layer), option in zip(numbered, best.options, strict=True):
        left = bool((option.table[DRAM] == np.array(layer.size)).all())
        start = None if left else option.table
        found = bottom_up(accelerator, layer, metric, dataflow, start, is_first=not done)
        done.append(_scheduled(accelerator, number, found))
    return Optimization(accelerator, network, "bottom-up", metric, tuple(done), best)


def _options(accelerator: Accelerator, layer: Layer, metric: str) -> list[_Option]:
    """Return the cheapest option for each number of chips, and alone; by number of chips.

    For alone the first candidate of each number of chips is not considered [Q14].
    """
    rows = [row for row in accelerator.fillable if row in (GB, CHIPS_X, CHIPS_X + 1, DRAM)]
    model = Model(accelerator, layer)
    best: dict[int, tuple[tuple[float, int], Table]] = {}
    alone: tuple[tuple[float, int], Table] | None = None
    for table, chips, key in _candidates(model, rows, metric):
        if chips in best and (alone is None or key < alone[0]):
            alone = (key, table)
        if chips not in best or key < best[chips][0]:
            best[chips] = (key, table)
    if alone is None:
        message = "has no second option for any number of chips, and NeuroSpector fails (quirk Q14)"
        raise InputError(Fault(layer.file, layer.line, f"layer {layer.name}", message))
    named = [(0, alone), *sorted(best.items(), key=lambda item: item[0])]
    return [_option(model, chips, key[0], table) for chips, (key, table) in named]


def _candidates(
    model: Model, rows: Sequence[int], metric: str
) -> Iterator[tuple[Table, int, tuple[float, int]]]:
    base = np.ones_like(unscheduled(model.layer))
    limits = unit_limits(model.accelerator, rows)
    last = []
    for numbers, every in walk(model.layer.size, rows, base, limits):
        legal = valid(model, every)
        index, tables = numbers[legal], every[legal]
        if not len(tables):
            continue
        cost = model.stage_cost(model.figures(tables), DRAM, metric)
        size = np.multiply.reduce(tables[:, DRAM], axis=1)
        chips = np.multiply.reduce(tables[:, CHIPS_X : CHIPS_X + 2], axis=(1, 2))
        order = visits(index)
        for place in range(len(tables)):
            item = (tables[place], int(chips[place]), (float(cost[place]), int(size[place])))
            if order[place] > index[place]:
                last.append(item)  # the walk ends with index 0
            else:
                yield item
    yield from last


def _option(model: Model, chips: int, cost: float, table: Table) -> _Option:
    figures = model.figures(table[None])
    words = int(figures.send[DRAM][0][0])
    return _Option(chips, cost, table, words, int(figures.counts[DRAM].rd_i[0]))


def _best_options(accelerator: Accelerator, choices: list[list[_Option]]) -> Partition | None:
    """Return the cheapest combination; all alone is never tried [Q14]; the first runs fastest."""
    available = accelerator.units(CHIPS_X)
    best: Partition | None = None
    least = math.inf
    price = np.float32(accelerator.buffers[DRAM].energy_pj[0])
    combinations = itertools.product(*reversed(choices))
    next(combinations)
    for backwards in combinations:
        options = backwards[::-1]
        parallel = [option for option in options if option.chips]
        if sum(option.chips for option in parallel) > available:
            continue
        cost = np.float32(0)
        for option in options:
            cost = cost + np.float32(option.cost)
        if len(parallel) > 1:
            cost = cost - _shared(options[0], parallel) * price
        if cost < least:
            least, best = float(cost), Partition(float(cost), options)
    return best


def _shared(first: _Option, parallel: list[_Option]) -> np.float32:
    """Return input words that layers side by side have in common, as the tool counts them [Q14]."""
    smallest, same = math.inf, 0
    for option in parallel:
        if option.dram_words == smallest:
            same += 1
        else:
            smallest, same = min(smallest, option.dram_words), 1
    times = first.dram_reads if same == len(parallel) else 1
    return np.float32(parallel[-1].dram_words * times * max(1, same - 1))
