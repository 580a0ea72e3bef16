"""Another dataflow on the same machine: output stationary, one PE for each pixel of the ofmap.

Its program is written here; nothing of the engine knows it.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import traces
from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.cli.trace import trace as trace_command
from sim.dataflow.program import (
    FILTER,
    IMAGE,
    Beat,
    Burst,
    Load,
    OfmapBlock,
    PEProgram,
    Program,
    Stream,
    StreamWords,
    beat_sizes,
)
from sim.engine.dram import PrefetchState
from sim.engine.machine import Machine, PassOutcome
from sim.errors import SimulationError
from sim.recorder import record_machine
from traces.conditions import parse_condition
from traces.diff import diff
from traces.replay import replay
from traces.step import Stepper
from workloads.layer import Layer

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
            PEProgram(
                y, x, R * S, M, beats, (Burst(R * S, R * S),), N,
                OfmapBlock((0, 0, y, x), ((IMAGE, N, 1), (FILTER, M, 1))), (y, x),
            )
            for y, x in product(range(E), range(F))
        ),
        links=(),
        loads=(load,),
        feed=Stream("ifmap", "gin_ifmap", tuple(feed), N),
        psums_in=None,
        psums_out=Stream(
            "psum", "gon_psum", tuple(Beat(size, (pe,)) for pe in everybody for size in beats), N
        ),
        legend=("ofmap row", "ofmap column"),
    )  # fmt: skip


LAYER = Layer(name="toy", M=M, C=1, H=ROWS, W=COLUMNS, R=R, S=S)
SETTINGS = ["glb.filter_load=streamed", "pe.ifmap_spad=shift", ""]


def real_words() -> tuple[StreamWords, np.ndarray]:
    """The words of the pass, and the ofmap (N, M, E, F) that NumPy makes of them."""
    random = np.random.default_rng(1)
    ifmap = random.integers(-99, 99, (N, ROWS, COLUMNS)) * random.integers(0, 2, (N, 1, COLUMNS))
    filters = random.integers(-99, 99, (M, R, S))
    windows = np.lib.stride_tricks.sliding_window_view(ifmap, (R, S), axis=(1, 2))
    ofmap = np.einsum("nyxrs,mrs->nmyx", windows, filters)
    return StreamWords(filters.reshape(-1), ifmap.reshape(-1), None), ofmap


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_machine_runs_it_on_real_words(setting: str) -> None:
    hw = load_hardware("eyeriss_v1", (setting,) if setting else ())
    words, expected = real_words()
    outcome = Machine(output_stationary(hw), hw, PrefetchState(), words).run()
    assert outcome.psums is not None
    # They leave by image and pixel, filters innermost.
    assert (outcome.psums.reshape(N, E, F, M) == expected.transpose(0, 2, 3, 1)).all()


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


def traced(path: Path, setting: str = "", *, values: bool = True) -> PassOutcome:
    """The outcome of the pass, with a trace of it."""
    hw = load_hardware("eyeriss_v1", (setting,) if setting else ())
    words, ofmap = real_words()
    machine = Machine(output_stationary(hw), hw, PrefetchState(), words if values else None)
    outcome = machine.run()
    record_machine(path, machine, outcome, LAYER, batch=N, ofmap=ofmap if values else None)
    return outcome


@pytest.mark.parametrize("values", [False, True], ids=["counts", "words"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_its_trace_is_replayed(tmp_path: Path, setting: str, values: bool) -> None:
    outcome = traced(tmp_path / "t", setting, values=values)
    with traces.open(tmp_path / "t") as found:
        (layer,) = replay(found)
    assert layer.differences == []
    gated = outcome.gated_macs
    assert bool(gated) == values
    assert layer.entries["mac.active"] == outcome.counts["mac.total"] - gated
    assert layer.entries["spad.ifmap.read_new"] == outcome.counts["spad.ifmap.read_new"]
    assert layer.entries["noc.gin_ifmap.deliveries"] == N * E * F * R * S
    assert np.array_equal(layer.macs, outcome.macs)
    assert np.array_equal(list(layer.pe_cycles.values()), outcome.stalls)
    if values:
        assert layer.ofmap is not None
        assert np.array_equal(layer.ofmap, real_words()[1])
    told = CliRunner().invoke(trace_command, ["replay", str(tmp_path / "t")])
    assert told.exit_code == 0
    assert "equal to the run" in told.output


def test_its_trace_is_stepped_through(tmp_path: Path) -> None:
    traced(tmp_path / "t")
    with traces.open(tmp_path / "t") as found:
        stepper = Stepper(found, found.layers[0], found.query(pe=(1, 2), action="mac"))
        assert stepper.move(1)
        text = stepper.pe_text(1, 2)
        assert text.startswith("PE (1,2): ofmap row 1, ofmap column 2\ncomputing(1,2) 1: since")
        window = real_words()[0].feed.reshape(N, ROWS, COLUMNS)[0, 1 : 1 + R, 2 : 2 + S]
        assert f"spad.ifmap(1,2) {R * S}: {' '.join(map(str, window.reshape(-1)))}" in text
        assert stepper.find(parse_condition("fifo.psum_out(1,2) >= 5"))


def test_two_runs_of_it_are_compared(tmp_path: Path) -> None:
    for name, setting in (("a", ""), ("b", ""), ("c", "glb.filter_load=streamed")):
        traced(tmp_path / name, setting)
    with traces.open(tmp_path / "a") as a, traces.open(tmp_path / "b") as b:
        assert diff(a, b).same
        with traces.open(tmp_path / "c") as c:
            parting = diff(a, c).first
    assert parting is not None
    assert "mac" in str(parting.b.event)
