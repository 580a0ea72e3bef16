"""All passes of a layer: each distinct one is simulated, the others reuse its outcome.

Time shifts change nothing, and a pass starts with an empty array. So what a pass does is decided by
its shape and by how far the prefetch of its filters has come, and two passes with the same of both
are the same pass, to the cycle (docs/machine.md section 3, "Pass").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sim.engine.dram import PrefetchState
from sim.engine.tiles import Standstill, TileTimeline, TimedPass
from sim.engine.top import CAUSES, Machine, PassOutcome
from sim.plan.tiles import Traffic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.engine.values import LayerData
    from sim.plan.schedule import Pass, PassShape, Plan

PassKey = tuple["PassShape", PrefetchState]
Progress = Callable[[int, int, int], None]


@dataclass
class PassMemory:
    """Outcomes of passes that have been simulated on one chip, shared between layers."""

    hw: Hardware
    outcomes: dict[PassKey, PassOutcome] = field(default_factory=dict)

    def outcome(self, shape: PassShape, start: PrefetchState) -> PassOutcome:
        """Simulate the pass, or recall it."""
        key = (shape, start)
        found = self.outcomes.get(key)
        if found is None:
            found = self.outcomes[key] = Machine(shape, self.hw, start).run()
        return found


@dataclass(frozen=True)
class LayerActivity:
    """What the machine did in a layer.

    `counts` are words or actions by dotted name; `multicast` ifmap words by PEs reached; `macs`
    (rows, columns); `stalls` (causes, rows, columns) in cycles, by `causes`; `pass_cycles` the
    length of each pass in order; `events` the windows, beats and multicasts of all passes.
    """

    cycles: int
    counts: dict[str, int]
    multicast: dict[int, int]
    macs: NDArray[np.int64]
    stalls: NDArray[np.int64]
    pass_cycles: NDArray[np.int64]
    passes_simulated: int
    events: int
    standstill: Standstill
    causes: tuple[str, ...] = CAUSES


def simulate_layer(
    plan: Plan,
    *,
    memory: PassMemory | None = None,
    every_pass: bool = False,
    data: LayerData | None = None,
    progress: Progress | None = None,
) -> LayerActivity:
    """Run all passes of the layer in order.

    `every_pass` simulates each pass anew; the outcome is the same. With `data` real words move, so
    every pass is simulated; the ofmap is then in `data.psums`. `progress` is called now and then
    with the passes done, their total, and those simulated.

    Raises:
        SimulationError: a law of the machine was broken; a defect, never the user's fault.

    """
    hw = plan.hw
    memory = memory if memory is not None else PassMemory(hw)
    total = plan.passes
    line_words = hw.glb.port_bits // hw.word_bits
    times: Counter[tuple[PassKey, int]] = Counter()
    timed: list[TimedPass] = []
    waiting: tuple[Pass, int, int] | None = None  # a pass, its cycles and the ticks of its filters
    beat_ticks = 0
    outcomes: dict[PassKey, PassOutcome] = {}
    pass_cycles = np.zeros(total, np.int64)
    simulated = reported = gated = 0
    loads = dumps = 0
    previous: tuple[PassOutcome, int] | None = None
    for step in plan:
        shape = step.shape
        start = PrefetchState()
        if previous is not None:
            last, length = previous
            start = last.prefetch.state(length, -(-shape.filter_words // line_words))
        key = (shape, start)
        outcome = outcomes.get(key)
        if data is not None:
            outcome = outcomes[key] = Machine(shape, hw, start, data.words_of(step)).run()
            gated += outcome.gated_macs
            if outcome.psums is not None:
                data.store(step, outcome.psums)
            simulated += 1
        elif outcome is None or every_pass:
            outcome = Machine(shape, hw, start).run() if every_pass else memory.outcome(*key)
            outcomes[key] = outcome
            simulated += 1
        if progress is not None and (simulated != reported or not step.index % 1024):
            progress(step.index, total, simulated)
            reported = simulated
        if waiting is not None:
            before, length, ticks = waiting
            timed.append(_timed(before, length, ticks + start.begun_ticks(beat_ticks)))
        length = outcome.cycles
        if hw.schedule.charge_full_strip and shape.strip_rows < plan.mapping.e:
            length = max(length, memory.outcome(_full_strip(plan, shape), start).cycles)
        times[key, length] += 1
        pass_cycles[step.index] = length
        beat_ticks = outcome.prefetch.beat_ticks
        missing = -(-shape.filter_words // line_words) * beat_ticks - start.begun_ticks(beat_ticks)
        waiting = step, length, missing
        loads += step.ifmap_load_words
        dumps += step.ofmap_final_words
        previous = outcome, length
    if waiting is not None:
        timed.append(_timed(*waiting))
    tiles = TileTimeline(hw, Traffic.of(plan.layer, hw), timed).run()
    if progress is not None:
        progress(total, total, simulated)
    activity = _sum_up(plan, outcomes, times, pass_cycles, simulated, loads, dumps, tiles)
    activity.counts["mac.gated"] = gated
    return activity


def _timed(step: Pass, cycles: int, filter_ticks: int) -> TimedPass:
    return TimedPass(
        cycles,
        filter_ticks,
        step.ifmap_load_words,
        step.ofmap_final_words,
        step.ends_m_block,
    )


def _full_strip(plan: Plan, shape: PassShape) -> PassShape:
    return plan.shape(
        shape.images,
        plan.mapping.e,
        sum(shape.filters),
        sum(shape.channels),
        shape.first_channels,
    )


def _sum_up(
    plan: Plan,
    outcomes: dict[PassKey, PassOutcome],
    times: Counter[tuple[PassKey, int]],
    pass_cycles: NDArray[np.int64],
    simulated: int,
    loads: int,
    dumps: int,
    tiles: Standstill,
) -> LayerActivity:
    array = plan.hw.array
    counts: Counter[str] = Counter()
    multicast: Counter[int] = Counter()
    macs = np.zeros((array.rows, array.columns), np.int64)
    stalls = np.zeros((len(CAUSES), array.rows, array.columns), np.int64)
    idle, gated = CAUSES.index("idle"), CAUSES.index("clock_gated")
    events = 0
    for (key, length), many in times.items():
        outcome = outcomes[key]
        for name, count in outcome.counts.items():
            counts[name] += many * count
        for reached, words in outcome.multicast.items():
            multicast[reached] += many * words
        macs += many * outcome.macs
        stalls += many * outcome.stalls
        events += many * outcome.events
        extra = length - outcome.cycles
        if extra:
            used = outcome.stalls[gated] == 0
            stalls[idle][used] += many * extra
            stalls[gated][~used] += many * extra
    counts["dram.ifmap.read"] = counts["glb.ifmap.write"] = loads
    counts["dram.ofmap.write"] = counts["glb.ofmap.read"] = dumps
    counts["glb.ofmap.write"] = 0
    return LayerActivity(
        cycles=int(pass_cycles.sum()),
        counts=dict(counts),
        multicast=dict(sorted(multicast.items())),
        macs=macs,
        stalls=stalls,
        pass_cycles=pass_cycles,
        passes_simulated=simulated,
        events=events,
        standstill=tiles,
    )
