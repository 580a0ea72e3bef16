"""The engine, broken on purpose in many ways: `check` or `run --values` catches each.

A check that cannot fail is worth nothing. Each mutant changes one rule of docs/machine.md in the
engine; the case beside it is one where that rule matters, and which holds to the cycle while the
engine is whole. The table of what caught what ends the test output.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from breaking import Break, after_init, case, with_option, with_result

from hw_models.spec import Hardware
from sim.check.cases import Case
from sim.check.compare import check_layer
from sim.dataflow.program import PassData, PEProgram, Stream
from sim.dataflow.row_stationary import lowering, words
from sim.dataflow.row_stationary.passes import Pass, PassShape, Plan
from sim.engine.dram import DramLink, PrefetchState
from sim.engine.fifo import Fifo
from sim.engine.layer_run import PassMemory
from sim.engine.machine import Machine
from sim.engine.noc import FeedBus, LoadBus, LocalLink, PsumInBus, PsumOutBus
from sim.engine.pe import PE, FeedPort, PELoad
from sim.engine.values import LayerData
from sim.errors import SimulationError
from sim.run import Values, run
from workloads.network import Network

# Every dimension in several blocks and with an edge: images, groups, strips, filters, channels; two
# channel sets in a chain, two filter sets, stride 2, padding, zeros.
STORY = case(
    "m=10,n=2,e=4,p=4,q=2,r=2,t=2",
    batch=3, G=2, M=26, C=7, H=15, W=11, R=3, S=3, U=2, V=2, pad_top=1, pad_left=1, pad_right=1,
    ifmap_zero_fraction=0.4,
)  # fmt: skip

TILES = replace(STORY, mapping=replace(STORY.mapping, f=4))  # 4+2 of 6 columns

WRAPPING = replace(STORY, overrides=("arithmetic.psum_bits=16",))
# Windows of one filter: the spad is full, and whatever leaves it lets the next word in at once.
FULL_SPAD = case(
    "m=49,n=1,e=1,p=1,q=5,r=4,t=5", batch=2, M=29, C=2, H=1, W=30, R=2, S=6, U=2, V=2, pad_bottom=2
)
# The ifmap bus waits for PEs whose FIFOs are full.
FULL_IFMAP_FIFO = case(
    "m=50,n=1,e=5,p=6,q=7,r=1,t=2", "array.rows=7", "array.columns=18",
    M=16, C=4, H=8, W=18, R=6, S=2, U=1, V=2, pad_top=2, pad_left=2,
)  # fmt: skip
# Passes so short that the psum FIFOs fill before the buses have come around.
FULL_PSUM_FIFO = case("m=48,n=1,e=7,p=24,q=1,r=1,t=2", M=48, C=1, H=7, W=20, R=1, S=1)
# A long chain whose psums hop once a window.
HOPS = case(
    "m=4,n=4,e=5,p=5,q=9,r=2,t=6",
    "array.rows=21", "array.columns=17", "noc.local_hop_cycles=7",
    M=4, C=1, H=45, W=3, R=5, S=1, U=4, V=4, pad_left=2,
)  # fmt: skip
# Few windows, many filter words: the load counts.
LOAD = case(
    "m=54,n=4,e=1,p=14,q=12,r=2,t=3",
    "array.rows=17", "array.columns=21", "noc.local_hop_cycles=5",
    batch=2, M=34, C=2, H=5, W=1, R=1, S=3, U=1, V=1, pad_top=2, pad_left=1, pad_right=1,
)  # fmt: skip
# Passes shorter than the fetch of the next one's filters.
FETCH = case(
    "m=28,n=1,e=1,p=4,q=4,r=4,t=6",
    M=21, C=1, H=15, W=16, R=6, S=7, U=2, V=2, pad_top=2, pad_right=1,
)  # fmt: skip
COLD = case(
    "m=21,n=3,e=1,p=24,q=6,r=3,t=2",
    M=18,
    C=3,
    H=9,
    W=6,
    R=6,
    S=2,
    U=1,
    V=4,
    pad_top=2,
    pad_bottom=1,
)
BUSY_LINK = case(
    "m=28,n=2,e=1,p=5,q=4,r=4,t=5", "array.rows=22", "array.columns=12", "glb.filter_load=streamed",
    batch=2, M=33, C=1, H=7, W=1, R=7, S=1, U=1, V=4, pad_bottom=1, pad_right=1,
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A way to break the engine, the case that shows it, and what must catch it."""

    name: str
    apply: Break
    case: Case
    caught_by: str


MUTANTS: list[Mutant] = []


def mutant(name: str, caught_by: str, shown_on: Case = STORY) -> Callable[[Break], Break]:
    """Enter a function that breaks the engine into the list."""

    def enter(apply: Break) -> Break:
        MUTANTS.append(Mutant(name, apply, shown_on, caught_by))
        return apply

    return enter


# --- the networks ---------------------------------------------------------------------------------


@mutant("an ifmap multicast misses the last column", "law")
def _multicast_misses_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    def miss(gin: FeedBus) -> None:
        gin.column = [ports[:-1] if len(ports) > 1 else ports for ports in gin.column]

    after_init(monkeypatch, FeedBus, miss)


@mutant("the diagonals run the other way", "values")
def _diagonals_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch,
        lowering,
        "pass_program",
        lambda program: replace(
            program, feed=replace(program.feed, pattern=program.feed.pattern[::-1])
        ),
    )


@mutant("each PE that an ifmap word reaches is counted as an X-bus", "counts")
def _x_buses_per_pe(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Stream.x_bus_words

    def broken(self: Stream, rows: tuple[int, ...]) -> int:
        return self.deliveries if self.network == "gin_ifmap" else whole(self, rows)

    monkeypatch.setattr(Stream, "x_bus_words", broken)


@mutant("the multicast histogram is one PE off", "law")
def _histogram_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch,
        Stream,
        "multicast",
        lambda found: {reached + 1: words for reached, words in found.items()},
    )


@mutant("the multicast histogram mixes up how many PEs are reached", "counts")
def _histogram_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    def flat(found: dict[int, int]) -> dict[int, int]:
        # Deliveries stay what they are, so that no law of the pass is broken.
        one = {1: sum(reached * words for reached, words in found.items())}
        return one if len(found) > 1 else found

    with_result(monkeypatch, Stream, "multicast", flat)


@mutant("the GON loses the beats of the last window", "law")
def _gon_loses_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, PsumOutBus, lambda gon: setattr(gon, "rounds", gon.rounds - 1))


def _chains_reversed(bus: PsumOutBus | PsumInBus) -> None:
    fifos = [fifo for fifo, _, _ in bus.turns]
    # The order of the beats of a chain stays.
    bus.turns = sorted(bus.turns, key=lambda turn: -fifos.index(turn[0]))


@mutant("the GON serves the chains in another order than the GLB expects", "values")
def _gon_order(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, PsumOutBus, _chains_reversed)


@mutant("the psum bus serves the chains in another order than the GLB sends", "values")
def _psum_gin_order(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, PsumInBus, _chains_reversed)


@mutant("psums come from the GLB in the first pass, too", "counts")
def _first_pass_reads_psums(monkeypatch: pytest.MonkeyPatch) -> None:
    program, streams = lowering.pass_program, lowering.stream_words

    def zeros(shape: PassShape, data: PassData, hw: Hardware) -> Any:
        if data.psums is None:
            size = (shape.images, sum(shape.filters), shape.strip_rows, shape.ofmap_columns)
            data = replace(data, psums=np.zeros(size, np.int64))
        return streams(shape, data, hw)

    monkeypatch.setattr(
        lowering,
        "pass_program",
        lambda shape, hw: program(replace(shape, first_channels=False), hw),
    )
    monkeypatch.setattr(lowering, "stream_words", zeros)


@mutant("psums start at zero in every pass", "counts")
def _every_pass_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lowering.pass_program
    monkeypatch.setattr(
        lowering,
        "pass_program",
        lambda shape, hw: whole(replace(shape, first_channels=True), hw),
    )


@mutant("a local link takes no cycle", "cycles", HOPS)
def _hop_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, LocalLink, lambda link: setattr(link, "hop_cycles", 0))


@mutant("a filter multicast misses a column", "law")
def _filter_multicast(monkeypatch: pytest.MonkeyPatch) -> None:
    def miss(gin: LoadBus) -> None:
        for load in dict.fromkeys(gin.turns):
            load.pe_count -= 1

    after_init(monkeypatch, LoadBus, miss)


@mutant("filters stream while the array computes", "cycles", LOAD)
def _filters_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, LoadBus, lambda gin: setattr(gin, "streamed", True))


# --- FIFOs and spads ------------------------------------------------------------------------------


@mutant("the ifmap FIFO is one word deeper", "law", FULL_IFMAP_FIFO)
def _ifmap_fifo_deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    with_option(monkeypatch, FeedBus, "fifo_words", lambda words: words + 1)


def _psum_fifo_deeper(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    whole = Machine._psum_fifo

    def broken(self: Machine, name: str, program: PEProgram, depth: int) -> Fifo:
        more = self.hw.noc.psum_words_per_cycle if name.endswith(port) else 0
        return whole(self, name, program, depth + more)

    monkeypatch.setattr(Machine, "_psum_fifo", broken)


@mutant(
    "the psum input FIFO is one beat deeper",
    "law",
)
def _psum_in_deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    _psum_fifo_deeper(monkeypatch, "psum in")


@mutant(
    "the psum output FIFO is one beat deeper",
    "law",
    FULL_PSUM_FIFO,
)
def _psum_out_deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    _psum_fifo_deeper(monkeypatch, "psum out")


def _release(monkeypatch: pytest.MonkeyPatch, cycles: int) -> None:
    whole = FeedPort.release
    monkeypatch.setattr(
        FeedPort, "release", lambda self, words, cycle: whole(self, words, cycle + cycles)
    )


@mutant("ifmap words leave the spad a cycle late", "cycles", FULL_SPAD)
def _released_late(monkeypatch: pytest.MonkeyPatch) -> None:
    _release(monkeypatch, 1)


@mutant("ifmap words leave the spad a cycle early", "cycles", FULL_SPAD)
def _released_early(monkeypatch: pytest.MonkeyPatch) -> None:
    _release(monkeypatch, -1)


@mutant("an ifmap spad has one place more", "cycles", FULL_SPAD)
def _spad_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, FeedPort, lambda port: port.places.append(0))


# --- the PE ---------------------------------------------------------------------------------------


@mutant("a window takes one MAC less", "law")
def _one_mac_less(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, PE, lambda pe: setattr(pe, "mac_cycles", pe.mac_cycles - 1))


@mutant("a window takes one cycle more", "counts")
def _one_cycle_more(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, PE, lambda pe: setattr(pe, "bubble_cycles", pe.bubble_cycles + 1))


@mutant("an incoming psum is added twice", "values")
def _added_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PE._pass_on

    def broken(self: PE, results: list[int], beat: int, size: int) -> None:
        if self.psum_in is not None:
            incoming = self.psum_in.data[beat]
            sizes = self.program.beats
            first = sum(sizes[: beat % len(sizes)])
            results = results.copy()
            for place, psum in enumerate(incoming):
                results[first + place] += psum
        whole(self, results, beat, size)

    monkeypatch.setattr(PE, "_pass_on", broken)


@mutant("an incoming psum is not added", "values")
def _not_added(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PE._pass_on

    def broken(self: PE, results: list[int], beat: int, size: int) -> None:
        source, self.psum_in = self.psum_in, None
        whole(self, results, beat, size)
        self.psum_in = source

    monkeypatch.setattr(PE, "_pass_on", broken)


@mutant("filter words lie in the spad in the order of their arrival", "values")
def _filter_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PELoad, "by_use", property(lambda self: np.array(self.data)))


@mutant("a window slides one word too little", "values")
def _slides_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PE._compute
    monkeypatch.setattr(PE, "_compute", lambda self, leaving: whole(self, leaving - 1))


@mutant("zero words are counted once, not once per filter", "gated")
def _gated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PE._compute

    def broken(self: PE, leaving: int) -> list[int]:
        before = self.gated_macs
        sums = whole(self, leaving)
        self.gated_macs = before + (self.gated_macs - before) // self.program.outputs
        return sums

    monkeypatch.setattr(PE, "_compute", broken)


@mutant(
    "psums do not wrap at 16 bit", "values", replace(STORY, overrides=("arithmetic.psum_bits=16",))
)
def _no_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PE.run

    def broken(self: PE) -> Generator[Any, None, None]:
        self.psum_bits = None
        return whole(self)

    monkeypatch.setattr(PE, "run", broken)


# --- words and passes -----------------------------------------------------------------------------


@mutant("the ifmap rows of a pass are one off", "values")
def _row_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch,
        LayerData,
        "words_of",
        lambda words: replace(words, ifmap=np.roll(words.ifmap, 1, axis=2)),
    )


@mutant("channels come in the wrong order", "values")
def _channel_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch,
        LayerData,
        "words_of",
        lambda words: replace(words, ifmap=words.ifmap[:, ::-1]),
    )


@mutant("columns that no window touches are sent, and touched ones are not", "values")
def _touched(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(monkeypatch, words, "_touched", lambda places: np.arange(len(places)))


@mutant("every group gets the channels of the first", "values")
def _first_group(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = LayerData.words_of

    def broken(self: LayerData, step: Pass) -> Any:
        first = whole(self, replace(step, group=0))
        return replace(whole(self, step), ifmap=first.ifmap)

    monkeypatch.setattr(LayerData, "words_of", broken)


@mutant("the last strip is dropped", "counts")
def _strip_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Plan.__iter__

    def broken(self: Plan) -> Generator[Pass, None, None]:
        last = sum(self.strips[:-1])
        return (step for step in whole(self) if step.row_base != last)

    monkeypatch.setattr(Plan, "__iter__", broken)


@mutant("every column tile reads the ifmap of the first one", "values", TILES)
def _first_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = LayerData.words_of

    def broken(self: LayerData, step: Pass) -> Any:
        first = whole(self, replace(step, column_base=0))
        return replace(whole(self, step), ifmap=first.ifmap)

    monkeypatch.setattr(LayerData, "words_of", broken)


@mutant("the last filter block of an m-block is computed twice", "counts")
def _block_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Plan.__iter__

    def broken(self: Plan) -> Generator[Pass, None, None]:
        for step in whole(self):
            yield step
            if step.ends_m_block:
                yield step

    monkeypatch.setattr(Plan, "__iter__", broken)


@mutant("a pass is reused though it starts with other filters fetched", "cycles", COLD)
def _reused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PassMemory.outcome

    def broken(self: PassMemory, shape: PassShape, start: PrefetchState) -> Any:
        for (known, _), outcome in self.outcomes.items():
            if known == shape:
                return outcome
        return whole(self, shape, start)

    monkeypatch.setattr(PassMemory, "outcome", broken)


@mutant("the DRAM link forgets the beat that it is busy with", "cycles", BUSY_LINK)
def _link_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DramLink.__init__

    def broken(self: DramLink, *args: Any, start: PrefetchState, **options: Any) -> None:
        whole(self, *args, start=replace(start, busy_ticks=0), **options)

    monkeypatch.setattr(DramLink, "__init__", broken)


@mutant("the filters of a pass are always in the GLB already", "cycles", FETCH)
def _always_prefetched(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = DramLink.__init__

    def broken(self: DramLink, *args: Any, words: int, **options: Any) -> None:
        beats = -(-min(words, options["bank_words"]) // options["beat_words"])
        there = PrefetchState(beats, 0)
        whole(self, *args, words=words, **{**options, "start": there})

    monkeypatch.setattr(DramLink, "__init__", broken)


# --- the test -------------------------------------------------------------------------------------


def catches(shown_on: Case) -> dict[str, str]:
    """What `check` and `run --values` find wrong with a case: kind of catch -> words."""
    found: dict[str, str] = {}
    plan = shown_on.plan
    try:
        check = check_layer(plan)
    except SimulationError as error:
        found["law"] = f"{type(error).__name__}: {error}"
    else:
        if check.differences:
            first = check.differences[0]
            found["counts"] = f"{len(check.differences)} figures, as {first}"
        if check.engine_cycles != check.closed_form_cycles:
            off = check.engine_cycles / check.closed_form_cycles - 1
            found["cycles"] = f"{100 * off:+.2f} %"
    network = Network("case", shown_on.batch, (shown_on.layer,))
    try:
        result = run(network, hw=plan.hw, mapping=str(shown_on.mapping), values=Values(seed=1))
    except SimulationError as error:
        found.setdefault("law", f"{type(error).__name__}: {error}")
    else:
        (layer,) = result.layers
        assert layer.values is not None
        if layer.values.wrong:
            found["values"] = f"{layer.values.wrong} of {layer.values.ofmap.size} elements"
        if layer.values.gated_off:
            found["gated"] = f"{layer.values.gated_off:+} gated MACs against NumPy's count"
    return found


def test_the_whole_engine_holds_on_every_case_of_a_mutant() -> None:
    cases = [each.case for each in MUTANTS]
    for shown_on in {str(each): each for each in cases}.values():
        assert catches(shown_on) == {}


@pytest.mark.parametrize("broken", MUTANTS, ids=lambda each: each.name)
def test_a_mutant_is_caught(
    broken: Mutant, monkeypatch: pytest.MonkeyPatch, tell: Callable[[str, str], None]
) -> None:
    broken.apply(monkeypatch)
    found = catches(broken.case)
    said = "; ".join(f"{kind}: {words}" for kind, words in found.items()) or "NOT CAUGHT"
    tell("mutants of the engine, and what caught them", f"{broken.name:<72.72}  {said:.120}")
    assert broken.caught_by in found


def test_there_are_enough_mutants() -> None:
    assert len(MUTANTS) >= 14
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)
