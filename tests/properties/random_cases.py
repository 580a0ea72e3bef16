"""Random layers, chips and legal mappings for hypothesis.

A test in this folder imports from here by name: `from random_cases import cases`. Everything is
kept small, so that a case simulates in milliseconds, and skewed towards edges: blocks that do not
divide, strides beyond the filter, FIFOs that hold one beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy
from hypothesis import assume
from hypothesis import strategies as st

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.dataflow.program import PassData
from sim.dataflow.row_stationary.mapping import ALL_COLUMNS, Mapping, filter_sets_that_fit
from sim.dataflow.row_stationary.passes import PassShape, Plan
from sim.engine.dram import PrefetchState
from sim.engine.machine import Machine, PassOutcome
from sim.errors import MappingError
from sim.plan.make import make_plan
from workloads.layer import Layer

EYERISS = load_hardware("eyeriss_v1").to_dict()


@dataclass(frozen=True)
class Case:
    """A layer on a chip under a legal mapping."""

    plan: Plan

    def __str__(self) -> str:
        return f"{self.plan.layer} x{self.plan.batch} {self.plan.mapping}"


@st.composite
def chips(draw: st.DrawFn) -> Hardware:
    """A chip of the family: the chip itself, or one that differs in sizes, buses and variants."""
    description: dict[str, Any] = {**EYERISS}
    if draw(st.integers(0, 4)) == 0:
        return Hardware.model_validate(description)
    line_words = draw(st.sampled_from([1, 2, 4, 4, 8]))
    widths = st.integers(1, line_words)
    psum_words = draw(widths)
    filter_words = draw(widths)
    ifmap_words = draw(widths)
    psum_spad = draw(st.integers(1, 24))
    beat = min(psum_words, psum_spad)
    depth = st.one_of(st.integers(0, 3), st.integers(4, 32))
    description["array"] = {
        "rows": draw(st.integers(1, 14)),
        "columns": draw(st.integers(1, 16)),
        "first_channel_set": draw(st.sampled_from(["bottom", "top"])),
    }
    description["pe"] = {
        "pipeline_stages": draw(st.integers(1, 5)),
        "ifmap_spad_words": draw(st.integers(1, 16)),
        "filter_spad_words": draw(st.integers(1, 224)),
        "psum_spad_words": psum_spad,
        "ifmap_fifo_words": ifmap_words + draw(depth),
        "filter_fifo_words": filter_words + draw(depth),
        "psum_in_fifo_words": beat + draw(depth),
        "psum_out_fifo_words": beat + draw(depth),
        "ifmap_spad": draw(st.sampled_from(["addressed", "shift"])),
        "ifmap_wait": draw(st.sampled_from(["window", "word"])),
        "start_cycles": draw(st.sampled_from([0, 0, 3])),
        "image_change_cycles": draw(st.sampled_from([0, 0, 2])),
        "filter_words_per_cycle": draw(st.sampled_from([None, 1, 2])),
        "psum_latency_cycles": draw(st.sampled_from([0, 0, 2])),
        "psum_slot_freed": draw(st.sampled_from(["first_word", "last_word"])),
    }
    description["noc"] = {
        "gin_filter_words_per_cycle": filter_words,
        "gin_ifmap_words_per_cycle": ifmap_words,
        "psum_words_per_cycle": psum_words,
        "local_hop_cycles": draw(st.sampled_from([1, 1, 2, 8])),
        "filter_order": draw(st.sampled_from(["row", "use"])),
        "ifmap_order": draw(st.sampled_from(["set", "word"])),
        "psum_order": draw(st.sampled_from(["chain", "beat"])),
        "bus_fifo_entries": draw(st.integers(1, 5)),
    }
    description["glb"] = {
        **EYERISS["glb"],
        "port_bits": 16 * line_words,
        "filter_banks": draw(st.integers(1, 2)),
        # Prefetch buffers of a few lines, too; then the GLB needs more banks.
        "bank_bytes": draw(st.sampled_from([16, 64, 4096])),
        "banks": 4096,
        "filter_load": draw(st.sampled_from(["exposed", "streamed", "first"])),
    }
    description["dram"] = {
        **EYERISS["dram"],
        "link_bits": draw(st.sampled_from([16, 32, 64, 128])),
        "first_access_latency_cycles": draw(st.sampled_from([0, 0, 7, 40])),
    }
    description["clock"] = {"core_mhz": 200, "link_mhz": draw(st.sampled_from([60, 66.7, 200]))}
    return Hardware.model_validate(description)


@st.composite
def layers(draw: st.DrawFn, hw: Hardware) -> Layer:
    """A small layer that `hw` can be configured for: strides of any kind, groups, padding."""
    R = draw(st.integers(1, min(4, hw.array.rows)))
    most_S = min(4, hw.pe.ifmap_spad_words, hw.pe.filter_spad_words)
    S = draw(st.integers(1, most_S))
    U = draw(st.sampled_from([1, 1, 2, 4]))
    V = draw(st.integers(1, 5))
    E, F = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    padded_rows = (E - 1) * U + R + draw(st.integers(0, U - 1))
    padded_columns = (F - 1) * V + S + draw(st.integers(0, V - 1))
    top, left = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    bottom, right = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    H, W = padded_rows - top - bottom, padded_columns - left - right
    assume(H > 0 and W > 0)
    G = draw(st.sampled_from([1, 1, 1, 2, 3]))
    return Layer(
        name="random", G=G, M=G * draw(st.integers(1, 9)), C=draw(st.integers(1, 7)),
        H=H, W=W, R=R, S=S, U=U, V=V,
        pad_top=top, pad_bottom=bottom, pad_left=left, pad_right=right,
    )  # fmt: skip


@st.composite
def mappings(draw: st.DrawFn, layer: Layer, batch: int, hw: Hardware) -> Mapping:
    """A mapping of `layer` that keeps the rules of `hw`; the buffer's size is not looked at."""
    pe = hw.pe
    q = draw(
        st.integers(
            1, min(layer.C, pe.ifmap_spad_words // layer.S, pe.filter_spad_words // layer.S)
        )
    )
    p = draw(
        st.integers(1, min(layer.Mg, pe.psum_spad_words, pe.filter_spad_words // (q * layer.S)))
    )
    r = draw(st.integers(1, hw.array.rows // layer.R))
    heights = [e for e in range(1, layer.E + 1) if filter_sets_that_fit(e, layer.R * r, hw)]
    e = draw(st.sampled_from(heights))
    t = draw(st.integers(1, min(6, filter_sets_that_fit(e, layer.R * r, hw))))
    m = draw(st.integers(p, layer.Mg))
    f = draw(st.one_of(st.just(ALL_COLUMNS), st.integers(1, layer.F)))
    return Mapping(m=m, n=draw(st.integers(1, batch)), e=e, f=f, p=p, q=q, r=r, t=t)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A chip, a layer that it can run and a legal mapping of it."""
    hw = draw(chips())
    layer = draw(layers(hw))
    batch = draw(st.integers(1, 3))
    try:
        plan = make_plan(layer, batch, hw, draw(mappings(layer, batch, hw)))
    except MappingError:
        assume(False)  # the buffer's size alone can be missed
        raise
    return Case(plan)


def some_shapes(plan: Plan, most: int) -> list[PassShape]:
    """Distinct pass shapes of the plan, those at the edges among them."""
    found = list(plan.classes)
    return found if len(found) <= most else found[:1] + found[-(most - 1) :]


def pass_data(shape: PassShape, seed: int) -> PassData:
    """Random words for a pass, many of them zero."""
    random = np.random.default_rng(seed)
    channels, filters = sum(shape.channels), sum(shape.filters)

    def words(*size: int) -> np.ndarray:
        return random.integers(-3, 4, size) * random.integers(0, 2, size)

    return PassData(
        ifmap=words(shape.images, channels, shape.ifmap_rows, shape.ifmap_columns),
        filters=words(filters, channels, shape.filter_rows, shape.filter_columns),
        psums=None
        if shape.first_channels
        else words(shape.images, filters, shape.strip_rows, shape.ofmap_columns),
    )


class ShuffledEnvironment(simpy.Environment):
    """Events of the same time and priority happen in random order, not in that of their making."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = np.random.default_rng(seed)

    def schedule(self, event: Any, priority: Any = 1, delay: Any = 0) -> None:
        order, self._eid = self._eid, _RandomOrder(self._random, self._eid)
        super().schedule(event, priority, delay)
        self._eid = order


class _RandomOrder:
    """Stands in for the counter of events: a random number first, the counter against ties."""

    def __init__(self, random: np.random.Generator, counter: Any) -> None:
        self._random = random
        self._counter = counter

    def __next__(self) -> tuple[float, int]:
        return self._random.random(), next(self._counter)


def story(machine: Machine, outcome: PassOutcome) -> dict[str, Any]:
    """Everything that a pass did, as plain data: the outcome and the logs of all blocks."""
    return {
        "cycles": outcome.cycles,
        "prefetch": outcome.prefetch,
        "counts": outcome.counts,
        "multicast": outcome.multicast,
        "macs": outcome.macs.tolist(),
        "stalls": outcome.stalls.tolist(),
        "events": outcome.events,
        "psums": None if outcome.psums is None else outcome.psums.tolist(),
        "gon": list(machine.psum_out_bus.log),
        "ifmap bus": list(machine.feed_bus.log),
        "psum bus": list(machine.psum_in_bus.log) if machine.psum_in_bus else [],
        "filter bus": [list(load.log) for load in machine.loads],
        "links": [list(link.log) for link in machine.links],
        "windows": [list(pe.starts) for pe in machine.pes],
        "beats": [list(pe.takes) for pe in machine.pes],
        "spads": [(list(pe.port.entered), list(pe.port.places)) for pe in machine.pes],
        "fifos": [(fifo.name, list(fifo.ready), list(fifo.freed)) for fifo in machine.fifos],
    }


def prefetch_states() -> st.SearchStrategy[PrefetchState]:
    """How far the filters of a pass are: from nothing to more than most of these passes need."""
    return st.builds(PrefetchState, st.integers(0, 3), st.integers(0, 30))


def usable(state: PrefetchState, shape: PassShape, hw: Hardware) -> PrefetchState:
    """`state` cut to what the pass needs and the buffer holds, as a pass before would leave it."""
    needed = -(-shape.filter_words // hw.link_beat_words)
    buffer = hw.filter_bank_words // hw.link_beat_words
    beats = min(state.beats, needed, buffer)
    busy = beats < needed and beats < buffer
    return PrefetchState(beats, state.busy_ticks if busy else 0)
