"""Link, ports, tiles, prefetch and charged strips, broken on purpose: the naive model sees each.

As `test_mutants.py`, for the part of the machine that counts cannot see and in which engine and
closed form agree with a tolerance only. Each mutant changes one rule of docs/machine.md, and one
of the small cases must come out with other cycles than the naive model's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from breaking import Break, after_init, case, with_result
from naive.array import cut
from naive.layer import LayerTimes, configurations
from test_naive import engine_times, naive_times

import sim.engine.layer_run as engine_layer
from sim.dataflow.row_stationary import program
from sim.dataflow.row_stationary.passes import PassShape, Plan
from sim.dataflow.row_stationary.placement import Placement
from sim.engine.dram import DramLink, Prefetch, PrefetchState
from sim.engine.dram_timeline import TileLink, TileTimeline
from sim.engine.fifo import Fifo
from sim.engine.glb import ReadPort
from sim.engine.layer_run import PassMemory
from sim.engine.machine import Machine
from sim.engine.noc import FeedBus, LocalLink, PsumInBus, PsumOutBus
from sim.engine.pe import PE, PELoad
from sim.errors import SimulationError
from sim.plan.dram_traffic import Traffic

# Small layers that between them show every mutant. What is late, narrow or odd stands in the name.
CASES = {
    "odd clock, first access, full overlap": case(
        "m=1,n=1,e=1,p=1,q=1,r=1,t=1",
        "clock.link_mhz=23", "dram.first_access_latency_cycles=7",
        "dram.overlap=full", "pe.ifmap_spad=shift",
        M=3, C=1, H=1, W=9, R=1, S=3, V=3,
    ),
    "registers of a line, a word a line, ofmaps behind the m-block": case(
        "m=7,n=1,e=1,p=6,q=2,r=1,t=1",
        "glb.port_bits=16", "noc.gin_filter_words_per_cycle=1", "noc.psum_words_per_cycle=1",
        "noc.bus_fifo_entries=1", "dram.ofmap_dump=m_block",
        M=7, C=2, H=1, W=1, R=1, S=1,
    ),
    "charged strip, filter banks of two lines, wide ifmap bus": case(
        "m=3,n=1,e=2,p=3,q=1,r=1,t=1",
        "glb.port_bits=128", "noc.gin_ifmap_words_per_cycle=7", "glb.bank_bytes=16",
        "schedule.charge_full_strip=true",
        M=7, C=1, H=4, W=3, R=2, S=3,
    ),
    "long hops, groups, several filter blocks": case(
        "m=5,n=1,e=1,p=4,q=1,r=1,t=1",
        "noc.local_hop_cycles=6",
        G=2, M=10, C=1, H=3, W=3, R=3, S=2,
    ),
    "narrow link, strips ahead, shallow ifmap FIFOs": case(
        "m=3,n=1,e=2,p=3,q=3,r=1,t=1",
        "dram.link_bits=16", "noc.psum_words_per_cycle=1", "pe.ifmap_fifo_words=3",
        "dram.overlap=ifmap", "pe.ifmap_spad=shift",
        M=9, C=3, H=2, W=5, R=1, S=2, V=3,
    ),
    "psums a word at a time": case(
        "m=2,n=1,e=1,p=2,q=2,r=1,t=1",
        "noc.psum_words_per_cycle=1",
        M=2, C=3, H=1, W=1, R=1, S=1,
    ),
    "coded ofmaps, uncoded input": case(
        "m=1,n=1,e=1,p=1,q=1,r=1,t=1",
        M=1, C=1, H=2, W=9, R=2, S=3, ifmap_zero_fraction=0.4, network_input=True,
    ),
    "charged strip, slow link": case(
        "m=3,n=1,e=2,p=2,q=1,r=1,t=1",
        "clock.link_mhz=9.999", "schedule.charge_full_strip=true",
        M=3, C=1, H=3, W=3, R=1, S=3,
    ),
    "groups and few filters and channels in a configuration": case(
        "m=3,n=1,e=1,p=3,q=2,r=1,t=1",
        "limits.filters=[1, 4]", "limits.channels=[1, 3]",
        G=2, M=10, C=4, H=2, W=2, R=1, S=1,
    ),
    "groups and few filters in a configuration": case(
        "m=2,n=1,e=1,p=2,q=1,r=1,t=1",
        "limits.filters=[1, 4]",
        G=3, M=6, C=1, H=1, W=1, R=1, S=1,
    ),
    "column tiles of 3 and 2 columns, halo": case(
        "m=2,n=1,e=2,f=3,p=2,q=1,r=1,t=1",
        M=3, C=2, H=4, W=7, R=2, S=3,
    ),
    "register of a line before shallow psum FIFOs": case(
        "m=6,n=1,e=1,p=6,q=3,r=1,t=1",
        "noc.psum_words_per_cycle=1", "noc.bus_fifo_entries=1", "pe.psum_in_fifo_words=3",
        M=6, C=4, H=1, W=2, R=1, S=1,
    ),
    "orders and waits of a shift register for words, filters first": case(
        "m=7,n=2,e=2,p=5,q=2,r=2,t=2",
        "array.columns=4", "noc.filter_order=use", "noc.ifmap_order=word", "noc.psum_order=beat",
        "array.first_channel_set=top", "pe.ifmap_wait=word", "pe.ifmap_spad=shift",
        "pe.start_cycles=3", "pe.image_change_cycles=4", "pe.filter_words_per_cycle=1",
        "pe.filter_fifo_words=4", "pe.psum_latency_cycles=2", "glb.filter_load=first",
        M=7, C=7, H=3, W=4, R=2, S=2, batch=2,
    ),
    "slots freed late, an addressed spad for words": case(
        "m=8,n=2,e=2,p=8,q=1,r=1,t=1",
        "noc.psum_order=beat", "pe.ifmap_wait=word", "pe.start_cycles=3",
        "pe.image_change_cycles=3", "pe.psum_slot_freed=last_word", "pe.psum_latency_cycles=3",
        "pe.psum_in_fifo_words=4", "pe.ifmap_spad_words=4", "glb.filter_load=streamed",
        M=8, C=2, H=3, W=5, R=2, S=2, batch=2,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A way to break the engine."""

    name: str
    apply: Break


MUTANTS: list[Mutant] = []


def mutant(name: str) -> Callable[[Break], Break]:
    """Enter a function that breaks the engine into the list."""

    def enter(apply: Break) -> Break:
        MUTANTS.append(Mutant(name, apply))
        return apply

    return enter


# --- the DRAM link and the filters of the next pass -----------------------------------------------


@mutant("the time spent on a beat that is under way is forgotten")
def _begun_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        PrefetchState, "begun_ticks", lambda self, beat_ticks: self.beats * beat_ticks
    )


@mutant("nothing is fetched ahead")
def _no_prefetch(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(monkeypatch, Prefetch, "state", lambda state: PrefetchState())


@mutant("a beat that is under way at the end of a pass is begun anew")
def _begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(monkeypatch, Prefetch, "state", lambda state: PrefetchState(state.beats))


@mutant("a pass begins with one beat more of its filters")
def _one_beat_more(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Prefetch.state

    def broken(self: Prefetch, cycles: int, next_beats: int) -> PrefetchState:
        state = whole(self, cycles, next_beats)
        return replace(state, beats=min(state.beats + 1, next_beats))

    monkeypatch.setattr(Prefetch, "state", broken)


@mutant("the filter banks hold a beat less")
def _banks_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(
        monkeypatch,
        DramLink,
        lambda link: setattr(
            link, "bank_words", max(link.beat_words, link.bank_words - link.beat_words)
        ),
    )


@mutant("the filter banks hold a beat more")
def _banks_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(
        monkeypatch,
        DramLink,
        lambda link: setattr(link, "bank_words", link.bank_words + link.beat_words),
    )


@mutant("the first access to the filters of a pass takes no time")
def _no_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, DramLink, lambda link: setattr(link, "latency_ticks", 0))


@mutant("a beat takes a whole number of core cycles")
def _whole_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    def round_up(link: DramLink) -> None:
        per_cycle = link.ticks_per_cycle
        link.beat_ticks = -(-link.beat_ticks // per_cycle) * per_cycle

    after_init(monkeypatch, DramLink, round_up)


def _filter_buffer(monkeypatch: pytest.MonkeyPatch, method: str, cycles: int) -> None:
    whole = getattr(Fifo, method)

    def broken(self: Fifo, cycle: int) -> None:
        whole(self, cycle + cycles if self.name == "filter banks" and cycle else cycle)

    monkeypatch.setattr(Fifo, method, broken)


@mutant("a beat of the link is read a cycle late")
def _line_late(monkeypatch: pytest.MonkeyPatch) -> None:
    _filter_buffer(monkeypatch, "put", 1)


@mutant("a beat of the link is read in the cycle in which it arrives")
def _line_early(monkeypatch: pytest.MonkeyPatch) -> None:
    _filter_buffer(monkeypatch, "put", -1)


@mutant("the place of filters in their banks is free a cycle late")
def _place_late(monkeypatch: pytest.MonkeyPatch) -> None:
    _filter_buffer(monkeypatch, "take", 1)


@mutant("the place of filters in their banks is free a cycle early")
def _place_early(monkeypatch: pytest.MonkeyPatch) -> None:
    _filter_buffer(monkeypatch, "take", -1)


# --- ports, their registers and buses -------------------------------------------------------------


@mutant("the GON never waits for the write port")
def _gon_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(
        monkeypatch, PsumOutBus, lambda gon: setattr(gon.lines, "room", [-1] * len(gon.lines.room))
    )


def _register(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    whole = Machine._line_fifo

    def broken(self: Machine, found: str, *sizes: int) -> Fifo:
        fifo = whole(self, found, *sizes)
        if found == name:
            fifo.room = [max(-1, entry - 1) for entry in fifo.room]
        return fifo

    monkeypatch.setattr(Machine, "_line_fifo", broken)


@mutant("the register of the filter port holds a line more")
def _filter_register(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, "filter lines")


@mutant("the register of the ifmap port holds a line more")
def _ifmap_register(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, "ifmap lines")


@mutant("the register of the psum read port holds a line more")
def _psum_register(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, "psum lines in")


@mutant("the register of the psum write port holds a line more")
def _write_register(monkeypatch: pytest.MonkeyPatch) -> None:
    _register(monkeypatch, "psum lines out")


def _taken(monkeypatch: pytest.MonkeyPatch, name: str, cycles: int) -> None:
    whole = Fifo.take
    monkeypatch.setattr(
        Fifo,
        "take",
        lambda self, cycle: whole(self, cycle + cycles if self.name == name else cycle),
    )


@mutant("the place of a line of ifmap words is free a cycle early")
def _ifmap_line_early(monkeypatch: pytest.MonkeyPatch) -> None:
    _taken(monkeypatch, "ifmap lines", -1)


@mutant("the place of a line of filters in the port's register is free a cycle late")
def _filter_line_late(monkeypatch: pytest.MonkeyPatch) -> None:
    _taken(monkeypatch, "filter lines", 1)


@mutant("the place of a psum line is free a cycle early at the psum bus")
def _psum_line_early(monkeypatch: pytest.MonkeyPatch) -> None:
    _taken(monkeypatch, "psum lines in", -1)


@mutant("the write port takes two cycles for a line")
def _write_port_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    _taken(monkeypatch, "psum lines out", 1)


@mutant("the ifmap bus sends one word a cycle, whatever its width")
def _narrow_ifmap_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, FeedBus, lambda gin: setattr(gin, "words_per_cycle", 1))


@mutant("a pass ends when the write port has written its last line")
def _ends_late(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Machine._outcome
    monkeypatch.setattr(
        Machine, "_outcome", lambda self, cycles: whole(self, self.psum_out_bus.lines.freed[-1])
    )


@mutant("a local link is busy for the whole hop")
def _hop_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: LocalLink) -> Generator[Any, None, None]:
        below, above, hop = self.below, self.above, self.hop_cycles
        free = 0
        for beat in range(self.beats):
            if beat >= len(below.ready):
                yield below.entry()
            cycle = max(below.ready[beat], free)
            blocker = above.room[beat]
            if blocker >= 0:
                if blocker >= len(above.freed):
                    yield above.place(blocker)
                cycle = max(cycle, above.freed[blocker])
            self.log.append(cycle)
            free = cycle + hop
            below.take(cycle + 1)
            above.put(cycle + hop)

    monkeypatch.setattr(LocalLink, "run", run)


@mutant("the psum bus holds a beat back until the one before was taken in")
def _psum_bus_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    def tighten(gin: PsumInBus) -> None:
        for fifo, _, _ in gin.turns:
            fifo.room = [max(entry, beat - 1) for beat, entry in enumerate(fifo.room)]

    after_init(monkeypatch, PsumInBus, tighten)


# --- tiles ----------------------------------------------------------------------------------------


@mutant("tiles lose the link time of the pass behind, not of the one before")
def _wrong_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine_layer._LayerRun._timed

    def broken(self: Any) -> Any:
        begun = [0, *(booked.pass_class.begun_ticks for booked in self._booked[:-1])]
        return [
            step._replace(filter_ticks=booked.pass_class.missing_ticks + before)
            for step, booked, before in zip(whole(self), self._booked, begun, strict=True)
        ]

    monkeypatch.setattr(engine_layer._LayerRun, "_timed", broken)


@mutant("tiles go before filters on the link")
def _tiles_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch,
        engine_layer._LayerRun,
        "_timed",
        lambda passes: [step._replace(filter_ticks=0) for step in passes],
    )


@mutant("the filters that were there before count for the pass itself")
def _filters_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine_layer._LayerRun._timed

    def broken(self: Any) -> Any:
        return [
            step._replace(
                filter_ticks=booked.pass_class.missing_ticks + booked.pass_class.begun_ticks
            )
            for step, booked in zip(whole(self), self._booked, strict=True)
        ]

    monkeypatch.setattr(engine_layer._LayerRun, "_timed", broken)


@mutant("a tile takes a whole number of core cycles")
def _tile_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Traffic.ticks

    def broken(self: Traffic, bits: int) -> int:
        per_cycle = self.beat.denominator
        return -(-whole(self, bits) // per_cycle) * per_cycle

    monkeypatch.setattr(Traffic, "ticks", broken)


@mutant("the last beat of a tile takes only the time of its bits")
def _beat_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Traffic, "ticks", lambda self, bits: bits * self.beat.numerator // self.link_bits
    )


@mutant("the first access to a tile takes no time")
def _no_tile_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, TileTimeline, lambda line: setattr(line, "latency_ticks", 0))


@mutant("ofmaps overtake ifmap strips on the link")
def _overtaking(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = TileLink.issue

    def broken(self: TileLink, kind: str, m_block: int, ticks: int) -> None:
        whole(self, kind, m_block, ticks)
        if kind == "ofmap":
            self.backlog.rotate(1)

    monkeypatch.setattr(TileLink, "issue", broken)


@mutant("the link serves one tile in each pass")
def _one_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: TileLink, ticks: int) -> None:
        if self.backlog:
            kind, m_block, left = self.backlog.popleft()
            if left > ticks:
                self.backlog.appendleft((kind, m_block, left - ticks))

    monkeypatch.setattr(TileLink, "serve", broken)


@mutant("what is left of the cycle at the end of a wait serves the next tile")
def _rest_of_the_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = TileLink.finish

    def broken(self: TileLink, kind: str, m_block: int) -> int:
        before = sum(ticks for _, _, ticks in self.backlog)
        cycles = whole(self, kind, m_block)
        self.serve(cycles * self.per_cycle - (before - sum(left for _, _, left in self.backlog)))
        return cycles

    monkeypatch.setattr(TileLink, "finish", broken)


def _finish(monkeypatch: pytest.MonkeyPatch, kind: str, blocks: int) -> None:
    whole = TileLink.finish
    monkeypatch.setattr(
        TileLink,
        "finish",
        lambda self, found, m_block: whole(self, found, m_block + (blocks if found == kind else 0)),
    )


@mutant("in full overlap the m-block's own ofmap is waited for")
def _waits_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    _finish(monkeypatch, "ofmap", 1)


@mutant("the array waits for ofmaps an m-block too late")
def _waits_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    _finish(monkeypatch, "ofmap", -1)


def _dram(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    after_init(
        monkeypatch,
        TileTimeline,
        lambda line: setattr(
            line, "hw", line.hw.model_copy(update={"dram": line.hw.dram.model_copy(update=changed)})
        ),
    )


@mutant("ofmaps leave behind each filter block in either setting")
def _dump_each(monkeypatch: pytest.MonkeyPatch) -> None:
    _dram(monkeypatch, ofmap_dump="filter_block")


@mutant("ofmaps leave behind the m-block in either setting")
def _dump_last(monkeypatch: pytest.MonkeyPatch) -> None:
    _dram(monkeypatch, ofmap_dump="m_block")


@mutant("the layer's first strip is there when it begins")
def _first_strip_there(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = TileTimeline._load
    monkeypatch.setattr(
        TileTimeline,
        "_load",
        lambda self, words, bits, m_block: whole(self, words, bits if self.now else 0, m_block),
    )


@mutant("a strip is loaded a channel block too late")
def _strip_late(monkeypatch: pytest.MonkeyPatch) -> None:
    _dram(monkeypatch, overlap="none")


@mutant("the network's first layer reads its ifmap coded")
def _input_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Traffic.of.__func__  # type: ignore[attr-defined]

    def broken(cls: type[Traffic], layer: Any, hw: Any) -> Traffic:
        return whole(cls, replace(layer, network_input=False), hw)

    monkeypatch.setattr(Traffic, "of", classmethod(broken))


# --- configurations -------------------------------------------------------------------------------


@mutant("configurations are counted by the filters of a group")
def _by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Plan.configurations.fget  # type: ignore[attr-defined]

    def broken(self: Plan) -> int:
        one = replace(self.layer, G=1, M=self.layer.Mg)
        found: int = whole(replace(self, layer=one))
        return found

    monkeypatch.setattr(Plan, "configurations", property(broken))


@mutant("an m-block reaches over two configurations")
def _block_over_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plan, "m_blocks", property(lambda self: cut(self.layer.Mg, self.mapping.m)))


# --- strips that are charged in full --------------------------------------------------------------


@mutant("a charged strip takes a cycle more than a full one")
def _full_and_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_layer, "max", lambda own, full: full + 1, raising=False)


@mutant("a charged strip takes its own time and no more")
def _not_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_layer, "max", lambda own, full: own, raising=False)


@mutant("a charged strip starts with its filters there")
def _charged_with_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    _charged_from(monkeypatch, lambda start: PrefetchState(1_000_000))


@mutant("a charged strip starts with none of its filters there")
def _charged_without_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    _charged_from(monkeypatch, lambda start: PrefetchState())


def _charged_from(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[PrefetchState], PrefetchState]
) -> None:
    """Start the full strip that a short one is charged as from another state of its filters."""
    charged: list[PassShape] = []
    charged_as, outcome = Plan.charged_as, PassMemory.outcome

    def broken_full(plan: Plan, shape: PassShape) -> PassShape:
        full = charged_as(plan, shape)
        if full != shape:
            charged.append(full)
        return full

    def broken_outcome(self: PassMemory, shape: PassShape, start: PrefetchState) -> Any:
        if charged:
            charged.clear()
            start = change(start)
            needed = -(-shape.filter_words // self.hw.link_beat_words)
            start = replace(start, beats=min(start.beats, needed))
        return outcome(self, shape, start)

    monkeypatch.setattr(Plan, "charged_as", broken_full)
    monkeypatch.setattr(PassMemory, "outcome", broken_outcome)


@mutant("the link stands still in the cycles that are charged")
def _link_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Prefetch.state

    def broken(self: Prefetch, cycles: int, next_beats: int) -> PrefetchState:
        return whole(self, min(cycles, own[id(self)]), next_beats)

    own: dict[int, int] = {}
    with_result(monkeypatch, Machine, "run", lambda found: _noted(own, found))
    monkeypatch.setattr(Prefetch, "state", broken)


def _noted(own: dict[int, int], found: Any) -> Any:
    own[id(found.prefetch)] = found.cycles
    return found


# --- orders, waits and rates that are fields ------------------------------------------------------


def _sorted_by(monkeypatch: pytest.MonkeyPatch, function: str, key: Callable[[Any], Any]) -> None:
    with_result(monkeypatch, program, function, lambda items: sorted(items, key=key))


@mutant("psum beats go round the filter sets, then the ofmap rows")
def _psum_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    _sorted_by(monkeypatch, "psum_beats", lambda beat: (beat.first, beat.filter_set))


@mutant("ifmap words go round the rows, then the channel sets")
def _feed_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    _sorted_by(monkeypatch, "feed_order", lambda word: (word[1], word[0], word[2]))


@mutant("filter beats go round the filter sets, then the filter rows")
def _load_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch, program, "filter_rows", lambda rows: {key: rows[key] for key in sorted(rows)}
    )


@mutant("channel set 0 stands at the bottom")
def _first_set_below(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(
        monkeypatch,
        Placement,
        lambda placement: object.__setattr__(placement, "first_set_on_top", False),
    )


@mutant("a filter word more moves into the spad in a cycle")
def _filter_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(
        monkeypatch, PELoad, lambda load: setattr(load, "_rate", load._rate and load._rate + 1)
    )


@mutant("the filter FIFO holds a word more")
def _filter_fifo(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, PELoad, lambda load: setattr(load, "_fifo_words", load._fifo_words + 1))


def _pe(name: str, field: str, change: Callable[[Any], Any]) -> None:
    @mutant(name)
    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        after_init(monkeypatch, PE, lambda pe: setattr(pe, field, change(getattr(pe, field))))


_pe("a psum is offered a cycle early", "psum_latency_cycles", lambda cycles: max(0, cycles - 1))
_pe("the slot of a psum beat is free behind its first word", "late_slots", lambda late: False)
_pe("the first MAC comes a cycle early", "start_cycles", lambda cycles: max(0, cycles - 1))
_pe(
    "a change of image takes a cycle less", "image_change_cycles", lambda cycles: max(0, cycles - 1)
)
_pe("MACs wait for all words of their window", "word_ages", lambda ages: None)
_pe("each MAC waits for its word a cycle too long", "word_ages",
    lambda ages: ages and range(0, len(ages) * (ages.step - 1) or 1, ages.step - 1))  # fmt: skip


@mutant("ifmap words do not wait for the filters")
def _feed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ReadPort.run
    monkeypatch.setattr(ReadPort, "run", lambda self, count, behind=None: whole(self, count))


@mutant("ifmap words leave the GLB a cycle before the last filter words")
def _feed_early(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ReadPort.run

    def broken(self: ReadPort, *args: Any) -> Generator[Any, Any, int]:
        return (yield from whole(self, *args)) - 1

    monkeypatch.setattr(ReadPort, "run", broken)


# --- the test -------------------------------------------------------------------------------------


@cache
def expected(shown_on: str) -> LayerTimes:
    """The cycles of a case by the naive model, once for all mutants."""
    return naive_times(CASES[shown_on])


def seen(shown_on: str) -> str:
    """What the naive model finds wrong with a case, or an empty string."""
    right = expected(shown_on)
    try:
        found = engine_times(CASES[shown_on].plan)
    except SimulationError:
        return ""  # a law of the pass sees it; here the naive model has to
    off = [
        f"{name} {getattr(found, name):,} for {getattr(right, name):,}"
        for name in ("processing", "ifmap_load", "ofmap_dump")
        if getattr(found, name) != getattr(right, name)
    ]
    plan = CASES[shown_on].plan
    times = configurations(plan.layer, plan.batch, plan.hw, plan.mapping)
    if plan.configurations != times:
        off.append(f"{plan.configurations} configurations for {times}")
    return "; ".join(off) or ("" if found == right else f"passes of {found.passes} cycles")


@pytest.mark.parametrize("shown_on", CASES)
def test_the_whole_engine_holds_on_every_case(shown_on: str) -> None:
    assert seen(shown_on) == ""


@pytest.mark.parametrize("broken", MUTANTS, ids=lambda each: each.name)
def test_a_mutant_is_caught(
    broken: Mutant, monkeypatch: pytest.MonkeyPatch, tell: Callable[[str, str], None]
) -> None:
    broken.apply(monkeypatch)
    caught = next(((found, on) for on in CASES if (found := seen(on))), None)
    said = f"{caught[0]} ({caught[1]})" if caught else "NOT CAUGHT"
    tell(
        "mutants of link, ports and tiles, and what the naive model saw of them",
        f"{broken.name:<72.72}  {said:.140}",
    )
    assert caught


def test_there_are_enough_mutants() -> None:
    assert len(MUTANTS) >= 50
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)
