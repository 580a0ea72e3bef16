"""Another dataflow on the same machine: output stationary, one PE for each pixel of the ofmap.

Its program is written here; nothing of the engine knows it.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.dataflow.program import (
    Beat,
    Burst,
    Load,
    PEProgram,
    Program,
    Stream,
    StreamWords,
    beat_sizes,
)
from sim.engine.dram import PrefetchState
from sim.engine.machine import Machine
from sim.errors import SimulationError

N, M, E, F, R, S = 3, 5, 4, 6, 2, 3
ROWS, COLUMNS = E + R - 1, F + S - 1


def output_stationary(hw: Hardware) -> Program:
    """Each PE gets its own window and all filters, and makes one pixel of every filter's ofmap."""
    beats = beat_sizes(M, hw.noc.psum_words_per_cycle)
    everybody = tuple(range(E * F))
    load = Load(
        "all filters",
        everybody,
        beat_sizes(M * R * S, hw.noc.gin_filter_words_per_cycle),
        tuple(k * M + m for m, k in product(range(M), range(R * S))),
    )
    feed = [
        Beat(1, tuple(y * F + x for y, x in product(range(E), range(F))
                      if 0 <= row - y < R and 0 <= column - x < S))
        for row, column in product(range(ROWS), range(COLUMNS))
    ]  # fmt: skip
    return Program(
        pes=tuple(
            PEProgram(y, x, R * S, M, beats, (Burst(R * S, R * S),), N)
            for y, x in product(range(E), range(F))
        ),
        links=(),
        loads=(load,),
        feed=Stream("ifmap", "gin_ifmap", tuple(feed), N),
        psums_in=None,
        psums_out=Stream(
            "psum", "gon_psum", tuple(Beat(size, (pe,)) for pe in everybody for size in beats), N
        ),
    )


@pytest.mark.parametrize("setting", ["glb.filter_load=streamed", "pe.ifmap_spad=shift", ""])
def test_the_machine_runs_it_on_real_words(setting: str) -> None:
    hw = load_hardware("eyeriss_v1", (setting,) if setting else ())
    random = np.random.default_rng(1)
    ifmap = random.integers(-99, 99, (N, ROWS, COLUMNS))
    filters = random.integers(-99, 99, (M, R, S))
    words = StreamWords(filters.reshape(-1), ifmap.reshape(-1), None)
    outcome = Machine(output_stationary(hw), hw, PrefetchState(), words).run()
    windows = np.lib.stride_tricks.sliding_window_view(ifmap, (R, S), axis=(1, 2))
    # They leave by image and pixel, filters innermost.
    expected = np.einsum("nyxrs,mrs->nyxm", windows, filters)
    assert outcome.psums is not None
    assert (outcome.psums.reshape(N, E, F, M) == expected).all()


def test_its_counts_and_its_time_by_hand() -> None:
    hw = load_hardware("eyeriss_v1")
    outcome = Machine(output_stationary(hw), hw, PrefetchState(8, 0)).run()
    assert outcome.counts["mac.total"] == outcome.macs.sum() == N * M * E * F * R * S
    assert outcome.counts["noc.gin_ifmap.words"] == N * ROWS * COLUMNS
    assert outcome.counts["spad.ifmap.write"] == N * E * F * R * S  # no word is used twice
    assert outcome.counts["noc.local_psum.words"] == 0
    assert outcome.counts["glb.psum.write"] == N * M * E * F
    # Two beats for each pixel and image go over the GON, which is the slowest of all.
    assert outcome.cycles > 2 * N * E * F


def test_a_word_that_a_pe_does_not_get_is_missed() -> None:
    program = output_stationary(load_hardware("eyeriss_v1"))
    machine = Machine(program, load_hardware("eyeriss_v1"), PrefetchState())
    machine.feed_bus.column[-1] = []
    with pytest.raises(SimulationError, match=r"PE \(3, 5\) waits for ifmap word 17"):
        machine.run()
