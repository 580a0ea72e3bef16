"""All passes of a layer: each distinct one is simulated, the others reuse its outcome.

Time shifts change nothing, and a pass starts with an empty array. So what a pass does is decided by
its shape and by how far the prefetch of its filters has come, and two passes with the same of both
are the same pass, to the cycle (docs/machine.md section 3, "Pass").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from hw_models.vocabulary import CAUSES, Cause
from sim.engine.dram import PrefetchState
from sim.engine.dram_timeline import TileTimeline, TimedPass
from sim.engine.machine import PassOutcome
from sim.engine.passes import pass_machine
from sim.engine.queues import QueueUse
from sim.errors import SimulationError
from sim.plan.dram_traffic import Coding, DramStall, Traffic
from sim.plan.limits import MOST_KEPT
from sim.plan.order import Order, PassClass, fold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.dataflow.base import Pass, PassShape, Plan
    from sim.engine.probe import Probe
    from sim.engine.profile import PassProfile
    from sim.engine.values import LayerData

PassKey = tuple["PassShape", PrefetchState]
Progress = Callable[[int, int, int], None]


class Ahead(Protocol):
    """Who simulates passes before they are asked for."""

    def take(self, key: PassKey) -> PassOutcome | None:
        """Return the outcome of the pass, once; None where nobody simulates it."""


@dataclass
class PassMemory:
    """Outcomes of passes that have been simulated on one chip, shared between layers.

    `room` are the bytes that `outcomes` may take; what has not been asked for longest goes first,
    and is simulated again when it is. `ahead` has those that other processes simulate. `probe`,
    where there is one, tells its observers what each pass did.
    """

    hw: Hardware
    room: int = MOST_KEPT
    outcomes: dict[PassKey, PassOutcome] = field(default_factory=dict)
    ahead: Ahead | None = None
    probe: Probe | None = None
    _taken: int = 0
    _asked: set[PassKey] = field(default_factory=set)

    def layer_begins(self) -> None:
        """Begin a layer: outcomes that only earlier layers asked for may be dropped from now on."""
        self._asked.clear()

    def outcome(self, shape: PassShape, start: PrefetchState) -> PassOutcome:
        """Simulate the pass, or recall it."""
        key = (shape, start)
        self._asked.add(key)
        outcome = self.outcomes.pop(key, None)
        if outcome is not None:
            self.outcomes[key] = outcome  # a dict keeps the order: the last one asked for is last
            return outcome
        if self.ahead is not None:
            outcome = self.ahead.take(key)
        if outcome is None:
            machine = pass_machine(shape, self.hw, start)
            outcome = machine.run()
            if self.probe is not None:
                self.probe.ran(machine, outcome)
        self._keep(key, outcome)
        return outcome

    def _keep(self, key: PassKey, outcome: PassOutcome) -> None:
        self.outcomes[key] = outcome
        self._taken += outcome.size
        while self._taken > self.room and len(self.outcomes) > 1:
            oldest = next(iter(self.outcomes))
            # The layer holds its own for itself, so none of them goes for another: an equal layer
            # that comes next would ask for them in the same order, and find each one just gone.
            gone = key if oldest in self._asked else oldest
            self._taken -= self.outcomes.pop(gone).size
            if gone == key:
                return


@dataclass(frozen=True)
class SimulatedClass(PassClass):
    """Equal passes, and where the time of one of them goes; None where real words moved."""

    profile: PassProfile | None


@dataclass(frozen=True)
class LayerActivity:
    """What the machine did in a layer.

    `counts` are words or actions by dotted name; `bus_cycles` the cycles in which each bus sends,
    by network; `queues` the use of each kind of FIFO; `multicast` ifmap words by PEs reached;
    `macs` (rows, columns); `stalls` (causes, rows, columns) in cycles, by `causes`; `pass_cycles`
    the length of each pass in order; `events` the bursts, beats and multicasts of all passes;
    `kinds` the classes of equal passes, by whose place `order` tells which follows which.
    """

    cycles: int
    counts: dict[str, int]
    bus_cycles: dict[str, int]
    queues: dict[str, QueueUse]
    multicast: dict[int, int]
    macs: NDArray[np.int64]
    stalls: NDArray[np.int64]
    pass_cycles: NDArray[np.int64]
    passes_simulated: int
    events: int
    standstill: DramStall
    coding: dict[str, Coding]
    kinds: tuple[SimulatedClass, ...]
    order: Order
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
    layer = _LayerRun(plan, memory if memory is not None else PassMemory(plan.hw))
    total = plan.passes
    reported = -1
    for step in plan:
        if data is not None:
            layer.add_with_values(step, data)
        else:
            layer.add(step, anew=every_pass)
        if progress is not None and (layer.simulated != reported or not step.index % 1024):
            reported = layer.simulated
            progress(step.index, total, reported)
    if progress is not None:
        progress(total, total, layer.simulated)
    return layer.activity()


class _RunClass:
    """Passes of one shape that start in one state: the outcome, and what it means for the tiles.

    `begun_ticks` is the link time that its filters took before it starts, `missing_ticks` what
    they still take. `followers` leads on by the shape of the next pass, so that the state between
    two passes is worked out once.
    """

    # A layer may have a million passes of a dozen classes. A look-up by (shape, state) would hash a
    # shape with all its tuples for each of them; `followers`, by the identity of the shape, makes a
    # step one look-up of a whole number. It is exact: outcome and length of a pass and the shape
    # of the next one decide the state in which that one starts, and so its class.

    __slots__ = (
        "begun_ticks",
        "cycles",
        "followers",
        "missing_ticks",
        "outcome",
        "shape",
        "start",
        "times",
    )

    def __init__(
        self, shape: PassShape, start: PrefetchState, outcome: PassOutcome, cycles: int, beats: int
    ) -> None:
        self.shape = shape
        self.start = start
        self.outcome = outcome
        self.cycles = cycles
        beat_ticks = outcome.prefetch.beat_ticks
        self.begun_ticks = start.begun_ticks(beat_ticks)
        self.missing_ticks = beats * beat_ticks - self.begun_ticks
        self.followers: dict[int, _RunClass] = {}
        self.times = 0


class _Booked(NamedTuple):
    """A pass that has run: its class, and its tiles."""

    pass_class: _RunClass
    ifmap_load_words: int
    ofmap_final_words: int
    ends_m_block: bool


class _LayerRun:
    """A layer while its passes run: feed it the passes in order, then take the activity."""

    def __init__(self, plan: Plan, memory: PassMemory) -> None:
        self.plan = plan
        self.memory = memory
        memory.layer_begins()
        self.probe = memory.probe
        if self.probe is not None:
            self.probe.layer_begins(plan)
        self.simulated = 0
        self.gated_macs = 0
        self.data: LayerData | None = None
        self._classes: dict[PassKey, _RunClass] = {}
        self._first: dict[int, _RunClass] = {}
        self._last: _RunClass | None = None
        # Equal ones are one object: millions of them cost no memory, and Python's garbage collector
        # has nothing to walk through.
        self._booked: list[_Booked] = []
        self._distinct: dict[_Booked, _Booked] = {}

    def add(self, step: Pass, *, anew: bool) -> None:
        """Run a pass; `anew` also where an equal one has been simulated."""
        pass_class, known = self._class_of(step.shape)
        if known and anew:
            self._same(
                step,
                pass_class,
                pass_machine(pass_class.shape, self.plan.hw, pass_class.start).run(),
            )
            self.simulated += 1
        self._book(step, pass_class, pass_class.outcome)

    def add_with_values(self, step: Pass, data: LayerData) -> None:
        """Run a pass on real words."""
        pass_class, known = self._class_of(step.shape)
        words = data.words_of(step)
        machine = pass_machine(pass_class.shape, self.plan.hw, pass_class.start, words)
        outcome = machine.run()
        if self.probe is not None:
            self.probe.ran(machine, outcome)
        self._same(step, pass_class, outcome)
        self.simulated += known
        self.gated_macs += outcome.gated_macs
        if outcome.psums is not None:
            data.store(step, outcome.psums)
        data.note_tiles(step, words.ifmap)
        self.data = data
        self._book(step, pass_class, outcome)

    def _book(self, step: Pass, pass_class: _RunClass, outcome: PassOutcome) -> None:
        pass_class.times += 1
        if self.probe is not None:
            hw = self.plan.hw
            fetched = pass_class.start.beats * hw.link_beat_words
            self.probe.passed(
                step,
                outcome,
                pass_class.cycles,
                min(fetched, pass_class.shape.filter_words),
                (pass_class.shape, pass_class.start),
                lambda: pass_machine(pass_class.shape, hw, pass_class.start),
            )
        booked = _Booked(
            pass_class, step.ifmap_load_words, step.ofmap_final_words, step.ends_m_block
        )
        self._booked.append(self._distinct.setdefault(booked, booked))
        self._last = pass_class

    def _class_of(self, shape: PassShape) -> tuple[_RunClass, bool]:
        """Return the class of the next pass, and whether a pass of it has been simulated."""
        # Equal shapes of a plan are one object, which it keeps: identity is enough, and quick.
        followers = self._first if self._last is None else self._last.followers
        pass_class = followers.get(id(shape))
        if pass_class is not None:
            return pass_class, True
        beats = self.plan.filter_beats(shape)
        start = PrefetchState()
        if self._last is not None:
            start = self._last.outcome.prefetch.state(self._last.cycles, beats)
        key = (shape, start)
        pass_class = self._classes.get(key)
        known = pass_class is not None
        if pass_class is None:
            outcome = self.memory.outcome(shape, start)
            self.simulated += 1
            cycles = outcome.cycles
            charged = self.plan.charged_as(shape)
            if charged != shape:
                cycles = max(cycles, self.memory.outcome(charged, start).cycles)
            pass_class = self._classes[key] = _RunClass(shape, start, outcome, cycles, beats)
        followers[id(shape)] = pass_class
        return pass_class, known

    @staticmethod
    def _same(step: Pass, pass_class: _RunClass, outcome: PassOutcome) -> None:
        """Hold a pass that was simulated anew against the one whose outcome would be reused."""
        known = pass_class.outcome
        if not (
            outcome.cycles == known.cycles
            and outcome.events == known.events
            and outcome.counts == known.counts
            and outcome.bus_cycles == known.bus_cycles
            and outcome.queues == known.queues
            and outcome.multicast == known.multicast
            and outcome.prefetch == known.prefetch
            and np.array_equal(outcome.macs, known.macs)
            and np.array_equal(outcome.stalls, known.stalls)
        ):
            raise SimulationError(
                f"pass {step.index} of {outcome.cycles} cycles is not what an equal pass of "
                f"{known.cycles} cycles was; a defect of the simulator"
            )

    def activity(self) -> LayerActivity:
        """Return what the layer did."""
        array = self.plan.hw.array
        counts: Counter[str] = Counter()
        bus_cycles: Counter[str] = Counter()
        multicast: Counter[int] = Counter()
        macs = np.zeros((array.rows, array.columns), np.int64)
        stalls = np.zeros((len(CAUSES), array.rows, array.columns), np.int64)
        idle, gated = CAUSES.index(Cause.IDLE), CAUSES.index(Cause.CLOCK_GATED)
        events = 0
        for pass_class in self._classes.values():
            outcome, many = pass_class.outcome, pass_class.times
            for name, count in outcome.counts.items():
                counts[name] += many * count
            for network, cycles in outcome.bus_cycles.items():
                bus_cycles[network] += many * cycles
            for reached, words in outcome.multicast.items():
                multicast[reached] += many * words
            macs += many * outcome.macs
            stalls += many * outcome.stalls
            events += many * outcome.events
            # Cycles charged beyond the pass, for a strip that is not full.
            extra = many * (pass_class.cycles - outcome.cycles)
            used = outcome.stalls[gated] == 0
            stalls[idle][used] += extra
            stalls[gated][~used] += extra
        loads = sum(booked.ifmap_load_words for booked in self._booked)
        dumps = sum(booked.ofmap_final_words for booked in self._booked)
        counts["mac.gated"] = self.gated_macs
        counts["dram.ifmap.read"] = counts["glb.ifmap.write"] = loads
        counts["dram.ofmap.write"] = counts["glb.ofmap.read"] = dumps
        counts["glb.ofmap.write"] = 0
        standstill, coding = self._standstill()
        return LayerActivity(
            cycles=sum(
                pass_class.times * pass_class.cycles for pass_class in self._classes.values()
            ),
            counts=dict(counts),
            bus_cycles=dict(bus_cycles),
            queues=self._queues(),
            multicast=dict(sorted(multicast.items())),
            macs=macs,
            stalls=stalls,
            pass_cycles=np.array([booked.pass_class.cycles for booked in self._booked], np.int64),
            passes_simulated=self.simulated,
            events=events,
            standstill=standstill,
            coding=coding,
            kinds=tuple(
                SimulatedClass(
                    pass_class.shape,
                    pass_class.cycles,
                    pass_class.times,
                    pass_class.outcome.profile,
                )
                for pass_class in self._classes.values()
            ),
            order=self._order(),
        )

    def _queues(self) -> dict[str, QueueUse]:
        """Return the largest peak of the layer's passes, and the writers' waits in all of them."""
        queues: dict[str, QueueUse] = {}
        for pass_class in self._classes.values():
            for name, use in pass_class.outcome.queues.items():
                before = queues.get(name, QueueUse(0, 0))
                queues[name] = QueueUse(
                    max(before.peak, use.peak),
                    before.blocked_cycles + pass_class.times * use.blocked_cycles,
                )
        return queues

    def _order(self) -> Order:
        places = {id(pass_class): place for place, pass_class in enumerate(self._classes.values())}
        return fold((places[id(booked.pass_class)], booked.ends_m_block) for booked in self._booked)

    def _standstill(self) -> tuple[DramStall, dict[str, Coding]]:
        """Return what the array waits for, and how ifmap and ofmap cross the link."""
        traffic = Traffic.of(self.plan.layer, self.plan.hw)
        make = TileTimeline if self.probe is None else self.probe.timeline
        passes, coding = self._timed(), traffic.coding
        if self.data is not None:
            coding["ifmap"], strips = traffic.real_bits(
                self.data.ifmap_tiles, codable=traffic.ifmap_codable
            )
            coding["ofmap"], blocks = traffic.real_bits(
                self.data.ofmap_tiles, codable=traffic.ofmap_codable
            )
            passes = self._with_sizes(passes, iter(strips), iter(blocks))
        stall = make(self.plan.hw, traffic, passes).run()
        if self.probe is not None:
            self.probe.layer_ends()
        return stall, coding

    def _with_sizes(
        self, passes: list[TimedPass], strips: Iterator[int], blocks: Iterator[int]
    ) -> list[TimedPass]:
        """Return the passes with the bits of their tiles on the link."""
        each = self.plan.hw.dram.ofmap_dump == "filter_block"
        return [
            step._replace(
                ifmap_load_bits=next(strips) if step.ifmap_load_words else None,
                ofmap_dump_bits=next(blocks)
                if step.ofmap_final_words and (each or step.ends_m_block)
                else None,
            )
            for step in passes
        ]

    def _timed(self) -> list[TimedPass]:
        """Return the passes as tiles see them: filters cross the link during the pass before."""
        # In a pass the link is busy with those of its filters that were missing, and with what it
        # fetches ahead for the next pass. Tiles get what these leave, whatever the tiles need: so
        # the link of a pass and that of the tiles are two models that do not wait for each other.
        begun = [booked.pass_class.begun_ticks for booked in self._booked[1:]] + [0]
        distinct: dict[TimedPass, TimedPass] = {}
        timed = (
            TimedPass(
                booked.pass_class.cycles,
                booked.pass_class.missing_ticks + ahead,
                booked.ifmap_load_words,
                booked.ofmap_final_words,
                booked.ends_m_block,
            )
            for booked, ahead in zip(self._booked, begun, strict=True)
        )
        return [distinct.setdefault(step, step) for step in timed]
