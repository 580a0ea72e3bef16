"""How full FIFOs get: what a run says of them, tried on the machine."""

from __future__ import annotations

import numpy as np
import pytest

from hw_models.load import load_hardware
from sim.engine.dram import PrefetchState
from sim.engine.machine import Machine
from sim.engine.passes import pass_machine
from sim.engine.queues import QueueUse
from sim.report.text.passes import render_passes
from sim.run import estimate, prepare, run

LAYER = ("alexnet", "CONV3")
FIELDS = {
    "ifmap_fifo": "pe.ifmap_fifo_words",
    "psum_in_fifo": "pe.psum_in_fifo_words",
    "psum_out_fifo": "pe.psum_out_fifo_words",
}


def ran(*overrides: str) -> Machine:
    """The layer's first pass that continues from psums, on the chip with these fields."""
    network, layer = LAYER
    (plan,) = prepare(network, layers=[layer], hw=load_hardware("eyeriss_v1", overrides)).plans
    shape = next(shape for shape in plan.classes if not shape.first_channels)
    machine = pass_machine(shape, plan.hw, PrefetchState(plan.filter_beats(shape)))
    machine.outcome = machine.run()  # type: ignore[attr-defined]
    return machine


def outcome(*overrides: str) -> tuple[int, dict[str, QueueUse]]:
    found = ran(*overrides).outcome  # type: ignore[attr-defined]
    return found.cycles, found.queues


# Deep enough that no PE ever waits for room: every peak is below its depth.
DEEP = ("pe.ifmap_fifo_words=2048", "pe.psum_in_fifo_words=4096", "pe.psum_out_fifo_words=4096")


def test_fifos_as_deep_as_their_peaks_are_as_good_as_deeper_ones() -> None:
    cycles, deep = outcome(*DEEP)
    assert all(deep[name].blocked_cycles == 0 for name in FIELDS)
    peaks = [f"{field}={deep[name].peak}" for name, field in FIELDS.items()]
    assert outcome(*peaks) == (cycles, deep)


@pytest.mark.parametrize("name", FIELDS)
def test_a_fifo_less_deep_than_its_peak_blocks_its_writer(name: str) -> None:
    _, deep = outcome(*DEEP)
    less = deep[name].peak - (1 if name == "ifmap_fifo" else 4)
    depths = {field: deep[kind].peak for kind, field in FIELDS.items()} | {FIELDS[name]: less}
    _, shallow = outcome(*(f"{field}={depth}" for field, depth in depths.items()))
    assert shallow[name].blocked_cycles > 0
    assert shallow[name].peak == less


def _most(written: list[int], freed: list[int], sizes: list[int]) -> int:
    """The most words in a FIFO, cycle by cycle."""
    changes = np.zeros(max(freed) + 1, np.int64)
    np.add.at(changes, written, sizes)
    np.add.at(changes, freed, [-size for size in sizes])
    return int(changes.cumsum().max())


@pytest.mark.parametrize("beat", [4, 3, 1])
def test_peaks_and_waits_are_those_of_the_logs_stepped_cycle_by_cycle(beat: int) -> None:
    """With beats of 3 words a burst's 16 psums leave in beats of 3 and 1: another branch."""
    machine = ran(f"noc.psum_words_per_cycle={beat}")
    queues = machine.outcome.queues  # type: ignore[attr-defined]
    beats = [list(pe.program.beats) * pe.program.burst_count for pe in machine.pes]
    out = [
        _most(pe.takes, pe.psum_out.freed, sizes)
        for pe, sizes in zip(machine.pes, beats, strict=True)
    ]
    assert queues["psum_out_fifo"].peak == max(out)
    written: dict[int, list[int]] = {}
    for link, (_, up) in zip(machine.links, machine.program.links, strict=True):
        written[up] = link.log
    bus, stream = machine.psum_in_bus, machine.program.psums_in
    assert bus is not None
    assert stream is not None
    for cycle, into in zip(bus.log, list(stream.pattern) * stream.times, strict=True):
        written.setdefault(into.pes[0], []).append(cycle)
    held = []
    for up, cycles in written.items():
        fifo = machine.pes[up].psum_in
        assert fifo is not None
        held.append(_most(cycles, fifo.freed, beats[up]))
    assert queues["psum_in_fifo"].peak == max(held)
    waited = 0
    for link in machine.links:
        free = 0
        for written, ready in zip(link.log, link.below.ready, strict=True):
            waited += written - max(free, ready)
            free = written + 1
    free = 0
    for written, ready in zip(bus.log, bus.lines.ready, strict=True):
        waited += written - max(free, ready)
        free = written + 1
    assert queues["psum_in_fifo"].blocked_cycles == waited
    assert queues["psum_out_fifo"].blocked_cycles == sum(pe.wait_psum_out for pe in machine.pes)


def test_a_layer_has_the_largest_peak_and_every_wait_of_its_passes() -> None:
    (layer,) = run("lenet5", layers=["C3"], batch=2).layers
    (again,) = run("lenet5", layers=["C3"], batch=2, every_pass=True).layers
    assert layer.queues == again.queues
    assert layer.passes > 2
    waits = layer.pe_cycles["waiting_psum_out"].sum()
    assert waits == layer.queues["psum_out_fifo"].blocked_cycles


def test_verbose_tells_of_fifos_of_a_simulation_alone() -> None:
    network, layer = LAYER
    told = render_passes(run(network, layers=[layer]))
    assert "FIFOs of CONV3" in told
    assert "PE psum in FIFOs     words    32    32" in told
    closed = estimate(network, layers=[layer])
    assert closed.layers[0].queues == {}
    assert "FIFOs" not in render_passes(closed)
    assert "queues" not in closed.layers[0].to_dict()
