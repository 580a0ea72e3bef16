"""The closed form's time, broken on purpose: the naive model sees each.

The cases are small layers on which the closed form is exact, to the cycle and in both parts of the
standstill. What breaks it must show there: filters that are late, charged strips, ports and tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from breaking import Break, after_init, case, with_result
from naive.layer import LayerTimes
from test_naive import naive_times

import sim.analytic.row_stationary.cycles as form_passes
import sim.analytic.row_stationary.dram_stall as form_tiles
import sim.analytic.row_stationary.estimate as form_layer
from sim.analytic.row_stationary.cycles import FilterSupply, _Psums
from sim.analytic.row_stationary.dram_stall import PassTime, _Link, _Waits
from sim.analytic.row_stationary.estimate import estimate_layer
from sim.dataflow.row_stationary.passes import Plan

CASES = {
    "odd clock, first access, full overlap, groups": case(
        "m=7,n=1,e=1,p=6,q=1,r=1,t=1",
        "clock.link_mhz=23", "dram.first_access_latency_cycles=1", "dram.overlap=full",
        G=2, M=14, C=1, H=3, W=1, R=3, S=1,
    ),
    "narrow words on a narrow link, strips ahead": case(
        "m=1,n=1,e=1,p=1,q=2,r=1,t=1",
        "word_bits.ifmap=4", "word_bits.filter=8", "dram.link_bits=8",
        "clock.link_mhz=200", "dram.overlap=ifmap",
        M=1, C=2, H=4, W=3, R=2, S=3,
    ),
    "filter banks of 16 words": case(
        "m=3,n=1,e=1,p=3,q=2,r=1,t=1",
        "dram.link_bits=16", "glb.bank_bytes=16",
        M=3, C=2, H=3, W=5, R=2, S=3,
    ),
    "column tiles of 3 and 2 columns": case(
        "m=1,n=1,e=2,f=3,p=1,q=1,r=1,t=1",
        M=3, C=2, H=4, W=7, R=2, S=3,
    ),
    "charged strip": case(
        "m=1,n=1,e=3,p=1,q=1,r=1,t=1",
        "schedule.charge_full_strip=true",
        M=1, C=1, H=16, W=1, R=1, S=1,
    ),
    "charged strip, late filters": case(
        "m=1,n=1,e=3,p=1,q=1,r=1,t=1",
        "dram.first_access_latency_cycles=40", "schedule.charge_full_strip=true",
        M=1, C=1, H=7, W=3, R=1, S=3,
    ),
    "ifmap FIFO of a word": case(
        "m=2,n=1,e=3,p=2,q=2,r=1,t=1",
        "pe.ifmap_fifo_words=1", "pe.ifmap_spad=shift",
        M=2, C=2, H=3, W=3, R=1, S=1,
    ),
    "ifmap FIFO of a word, psum FIFOs of a beat, register of a line": case(
        "m=5,n=1,e=3,p=5,q=1,r=1,t=1",
        "pe.ifmap_fifo_words=1", "pe.psum_in_fifo_words=8", "pe.psum_out_fifo_words=4",
        "noc.bus_fifo_entries=1", "pe.ifmap_spad=shift",
        M=5, C=1, H=5, W=6, R=3, S=2,
    ),
    "psum FIFO of a beat to the GON": case(
        "m=5,n=1,e=3,p=5,q=1,r=1,t=1",
        "pe.psum_in_fifo_words=4", "pe.psum_out_fifo_words=4", "pe.ifmap_spad=shift",
        M=5, C=1, H=3, W=4, R=1, S=1,
    ),
    "psum FIFO of a beat from the GIN": case(
        "m=9,n=1,e=3,p=9,q=1,r=1,t=1",
        "pe.psum_in_fifo_words=4", "pe.psum_out_fifo_words=16",
        M=9, C=2, H=3, W=2, R=1, S=1,
    ),
    "psum FIFO of a beat behind a long hop": case(
        "m=4,n=1,e=1,p=4,q=1,r=1,t=1",
        "pe.ifmap_fifo_words=1", "pe.psum_in_fifo_words=4", "noc.local_hop_cycles=8",
        "noc.bus_fifo_entries=1",
        M=4, C=1, H=3, W=4, R=3, S=1,
    ),
    "two images by word and beat, set 0 on top": case(
        "m=11,n=2,e=3,p=11,q=1,r=2,t=2",
        "array.first_channel_set=top", "pe.ifmap_wait=word", "pe.start_cycles=3",
        "pe.image_change_cycles=3", "pe.filter_words_per_cycle=1", "pe.psum_latency_cycles=2",
        "pe.psum_slot_freed=last_word", "noc.ifmap_order=word", "noc.psum_order=beat",
        "glb.filter_load=first", "pe.psum_in_fifo_words=4", "pe.psum_out_fifo_words=8",
        batch=2, M=11, C=3, H=4, W=6, R=2, S=2,
    ),
    "ifmap words to each channel set in turn": case(
        "m=8,n=1,e=2,p=5,q=2,r=2,t=1",
        "noc.filter_order=use", "noc.ifmap_order=word", "noc.psum_order=beat",
        "array.first_channel_set=top", "pe.start_cycles=3", "pe.image_change_cycles=3",
        "pe.psum_latency_cycles=2", "pe.psum_slot_freed=last_word",
        "glb.filter_load=first", "pe.psum_in_fifo_words=4",
        M=8, C=3, H=2, W=3, R=1, S=1,
    ),
    "image change in shift registers": case(
        "m=5,n=2,e=3,p=5,q=1,r=1,t=2",
        "pe.ifmap_wait=word", "pe.start_cycles=3", "pe.image_change_cycles=3",
        "pe.filter_words_per_cycle=1", "pe.psum_latency_cycles=2", "pe.psum_slot_freed=last_word",
        "noc.psum_order=beat", "glb.filter_load=first", "pe.ifmap_spad=shift",
        "pe.psum_in_fifo_words=4", "pe.psum_out_fifo_words=8",
        batch=2, M=5, C=1, H=4, W=5, R=2, S=2,
    ),
    "filters in the order of their use": case(
        "m=7,n=1,e=3,p=6,q=4,r=1,t=1",
        "array.first_channel_set=top", "pe.ifmap_wait=word", "pe.image_change_cycles=3",
        "pe.filter_words_per_cycle=1", "pe.psum_latency_cycles=2", "pe.psum_slot_freed=last_word",
        "noc.filter_order=use", "noc.psum_order=beat", "glb.filter_load=first",
        "pe.psum_in_fifo_words=4",
        M=7, C=4, H=4, W=2, R=2, S=1,
    ),
}  # fmt: skip

MUTANTS: dict[str, Break] = {}


def mutant(name: str) -> Callable[[Break], Break]:
    """Enter a function that breaks the closed form into the list."""

    def enter(apply: Break) -> Break:
        assert name not in MUTANTS
        MUTANTS[name] = apply
        return apply

    return enter


# --- filters that are late ------------------------------------------------------------------------


def _supply(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[FilterSupply], FilterSupply]
) -> None:
    whole = FilterSupply.prefetched.__func__  # type: ignore[attr-defined]

    def broken(cls: type[FilterSupply], *args: Any) -> FilterSupply:
        return change(whole(cls, *args))

    monkeypatch.setattr(FilterSupply, "prefetched", classmethod(broken))


@mutant("the first access to filters takes no time")
def _no_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    _supply(monkeypatch, lambda supply: replace(supply, latency_ticks=0))


@mutant("a beat takes a whole number of core cycles")
def _whole_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    _supply(
        monkeypatch,
        lambda supply: replace(
            supply,
            beat_ticks=-(-supply.beat_ticks // supply.ticks_per_cycle) * supply.ticks_per_cycle,
        ),
    )


@mutant("the filter banks hold a beat more")
def _banks_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    _supply(monkeypatch, lambda supply: replace(supply, buffer_beats=supply.buffer_beats + 1))


@mutant("the filter banks hold a beat less")
def _banks_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    _supply(
        monkeypatch, lambda supply: replace(supply, buffer_beats=max(1, supply.buffer_beats - 1))
    )


def _arrival(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Let beats arrive as if the state were another, without changing what the state is."""
    whole = FilterSupply.arrival_ticks
    monkeypatch.setattr(
        FilterSupply,
        "arrival_ticks",
        lambda self, beat: whole(
            replace(self, **{name: change(self) for name, change in changed.items()}), beat
        ),
    )


@mutant("full filter banks take the next beat when the pass starts")
def _full_banks(monkeypatch: pytest.MonkeyPatch) -> None:
    _arrival(monkeypatch, buffer_beats=lambda supply: 1 << 40)


@mutant("a beat that is under way is begun anew")
def _begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    _arrival(monkeypatch, busy_ticks=lambda supply: np.zeros_like(supply.busy_ticks))


@mutant("a beat is read in the cycle after the one in which it could be")
def _read_late(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch,
        FilterSupply,
        "arrival_ticks",
        lambda ticks: np.where(ticks > 0, ticks + 1, ticks),
    )


def _there(monkeypatch: pytest.MonkeyPatch, *, first: bool) -> None:
    """Let the filters of the first pass, or of all others, be there when it starts."""
    whole = form_layer._one_pass
    begun: list[Plan] = []  # the layer that runs

    def broken(plan: Plan, arrays: Any, supply: FilterSupply, *rest: Any) -> Any:
        *others, place, there, busy = rest
        if (begun[-1:] != [plan]) == first:
            there, busy = int(supply.beats[place]), 0
        begun.append(plan)
        return whole(plan, arrays, supply, *others, place, there, busy)

    monkeypatch.setattr(form_layer, "_one_pass", broken)


@mutant("the filters of the layer's first pass are there")
def _warm_start(monkeypatch: pytest.MonkeyPatch) -> None:
    _there(monkeypatch, first=True)


@mutant("filters are never late but in the first pass")
def _never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    _there(monkeypatch, first=False)


# --- ports, hops, charged strips ------------------------------------------------------------------


@mutant("a port takes no cycle")
def _no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_passes, "PORT_CYCLES", 0)


@mutant("a word takes a cycle more into the spad")
def _slow_spad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_passes, "SPAD_CYCLES", form_passes.SPAD_CYCLES + 1)


@mutant("a hop takes no cycle beyond the beat")
def _no_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch,
        form_passes,
        "_chains",
        lambda chains: replace(chains, hop=np.maximum(1, chains.hop - 1)),
    )


@mutant("a strip that is charged takes its own time")
def _not_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_layer, "_full_strips", lambda arrays, plan: arrays)


@mutant("a charged strip has its filters there")
def _charged_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    charged: list[Any] = []
    full_strips, whole = form_layer._full_strips, form_layer.pass_cycles

    def noted(*args: Any) -> Any:
        charged.append(full_strips(*args))
        return charged[-1]

    def broken(
        arrays: Any, hw: Any, supply: FilterSupply | None = None, *rest: Any, **options: Any
    ) -> Any:
        warm = any(arrays is each for each in charged)
        return whole(arrays, hw, None if warm else supply, *rest, **options)

    monkeypatch.setattr(form_layer, "_full_strips", noted)
    monkeypatch.setattr(form_layer, "pass_cycles", broken)


# --- loops through FIFOs --------------------------------------------------------------------------


@mutant("the GON waits for no beat that had no room in the FIFO before it")
def _gon_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Psums, "from_chain", _Psums.bus)


@mutant("the psum GIN waits for no room in the FIFO behind it")
def _gin_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Psums, "into_chain", _Psums.bus)


@mutant("a beat of a window waits for no place in a psum FIFO")
def _roomy_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Psums, "_gains", lambda self: (0, 0))


@mutant("beats of different windows have places of their own in psum FIFOs")
def _no_ring_along_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Psums, "chain_period", lambda self, p: np.zeros_like(p))


@mutant("no full ifmap FIFO holds up the bus")
def _no_ring_of_ifmaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_passes, "_ifmap_loops", lambda *args, **jump: iter(()))


@mutant("a chain that is served late holds up no other chain's ifmap words")
def _rounds_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_passes, "_round_waits", lambda *args: iter(()))


@mutant("a register of one line passes a line in each cycle")
def _fast_register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_passes, "REGISTER_CYCLES", 1)


# --- orders, waits and rates ----------------------------------------------------------------------


def _unseen(section: str, field: str, usual: object) -> Break:
    """Let the closed form's passes go as if a field had the chip's value."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = form_layer.pass_cycles

        def broken(arrays: Any, hw: Any, *rest: Any, **options: Any) -> Any:
            part = getattr(hw, section).model_copy(update={field: usual})
            return whole(arrays, hw.model_copy(update={section: part}), *rest, **options)

        monkeypatch.setattr(form_layer, "pass_cycles", broken)

    return apply


for _section, _field, _usual in (
    ("array", "first_channel_set", "bottom"),
    ("pe", "ifmap_wait", "window"),
    ("pe", "start_cycles", 0),
    ("pe", "image_change_cycles", 0),
    ("pe", "filter_words_per_cycle", None),
    ("pe", "psum_latency_cycles", 0),
    ("pe", "psum_slot_freed", "first_word"),
    ("noc", "filter_order", "row"),
    ("noc", "ifmap_order", "set"),
    ("noc", "psum_order", "chain"),
    ("glb", "filter_load", "exposed"),
):
    mutant(f"{_section}.{_field} is the chip's")(_unseen(_section, _field, _usual))


# --- tiles ----------------------------------------------------------------------------------------


@mutant("in full overlap ofmaps that an m-block leaves on the link are forgotten")
def _late_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _Link.serve
    monkeypatch.setattr(
        _Link, "serve", lambda self, block, next_load, late: whole(self, block, next_load, 0)
    )


@mutant("the next strip takes no time of the link behind which ofmaps wait")
def _strip_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _Link.serve
    monkeypatch.setattr(
        _Link, "serve", lambda self, block, next_load, late: whole(self, block, 0, late)
    )


@mutant("tiles go before filters on the link")
def _tiles_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form_layer, "PassTime", lambda cycles, ticks: PassTime(cycles, 0))


@mutant("a tile takes a whole number of core cycles")
def _tile_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _Link._ticks
    monkeypatch.setattr(
        _Link,
        "_ticks",
        lambda self, bits: -(-whole(self, bits) // self.per_cycle) * self.per_cycle,
    )


@mutant("the first access to a tile takes no time")
def _no_tile_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    after_init(monkeypatch, _Link, lambda link: setattr(link, "latency", 0))


@mutant("the array goes on in the cycle in which a tile is through")
def _rounded_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Link, "_cycles", lambda self, ticks: ticks // self.per_cycle)


@mutant("ofmaps leave behind the m-block in either setting")
def _dump_last(monkeypatch: pytest.MonkeyPatch) -> None:
    with_result(
        monkeypatch, _Link, "_dump_words", lambda words: [0] * (len(words) - 1) + [sum(words)]
    )


@mutant("the layer's first strip is there when it begins")
def _first_strip_there(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _Link._found

    def broken(self: _Link, *args: Any) -> Any:
        self.overlap = "none"
        return whole(self, *args)

    monkeypatch.setattr(_Link, "_found", broken)


@mutant("the layer's last ofmaps are not waited for")
def _last_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _Link._found
    monkeypatch.setattr(_Link, "_found", lambda self, waits, late: whole(self, waits, 0))


def _overlap(monkeypatch: pytest.MonkeyPatch, meant: str, taken: str) -> None:
    def change(link: _Link) -> None:
        if link.overlap == meant:
            link.overlap = taken

    after_init(monkeypatch, _Link, change)


@mutant("strips are loaded ahead without overlap")
def _always_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    _overlap(monkeypatch, "none", "ifmap")


@mutant("full overlap waits at the end of each m-block")
def _full_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    _overlap(monkeypatch, "full", "ifmap")


@mutant("the first pass leaves the link as much time as its like")
def _first_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Link, "_first", lambda self, block, *rest: block)


@mutant("the halo of a smaller column tile is not loaded again")
def _no_halo(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: _Link, images: int, columns: int, strip: int) -> list[int]:
        layer = self.plan.layer
        first = columns == self.plan.column_tiles[0]
        touched = layer.touched_columns(columns) if first else columns * layer.V
        words = images * layer.ifmap_rows(strip) * touched
        return [channels * words for channels in self.plan.channel_blocks]

    monkeypatch.setattr(_Link, "_load_words", broken)


@mutant("equal m-blocks all wait as the first of them")
def _first_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(step: Callable[[Any], Any], times: int, before: Any) -> Any:
        if not times:
            return _Waits(), before
        found, after = step(before)
        return _Waits().plus(found, times), after

    monkeypatch.setattr(form_tiles, "_repeated", broken)


# --- the test -------------------------------------------------------------------------------------


def form_times(plan: Plan) -> tuple[int, int, int]:
    """Processing latency and both parts of the standstill by the closed form."""
    found = estimate_layer(plan)
    return found.cycles, found.standstill.ifmap_cycles, found.standstill.ofmap_cycles


@cache
def expected(shown_on: str) -> tuple[int, int, int]:
    """The same by the naive model, once for all mutants."""
    return figures(naive_times(CASES[shown_on]))


def figures(times: LayerTimes) -> tuple[int, int, int]:
    return times.processing, times.ifmap_load, times.ofmap_dump


def seen(shown_on: str) -> str:
    """What the naive model finds wrong with a case, or an empty string."""
    names = ("processing", "ifmap_load", "ofmap_dump")
    return "; ".join(
        f"{name} {found:,} for {right:,}"
        for name, found, right in zip(
            names, form_times(CASES[shown_on].plan), expected(shown_on), strict=True
        )
        if found != right
    )


@pytest.mark.parametrize("shown_on", CASES)
def test_the_whole_closed_form_is_exact_on_every_case(shown_on: str) -> None:
    assert seen(shown_on) == ""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_closed_form_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch, tell: Callable[[str, str], None]
) -> None:
    MUTANTS[name](monkeypatch)
    caught = next(((found, on) for on in CASES if (found := seen(on))), None)
    said = f"{caught[0]} ({caught[1]})" if caught else "NOT CAUGHT"
    tell(
        "mutants of the closed form's time, and what the naive model saw of them",
        f"{name:<64.64}  {said:.140}",
    )
    assert caught
