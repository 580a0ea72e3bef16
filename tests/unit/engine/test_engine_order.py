"""The order in which the blocks of the machine run within a cycle changes nothing."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import simpy
from engine_passes import chip, shapes

from sim.engine.dram import PrefetchState
from sim.engine.machine import Machine, PassOutcome
from sim.engine.passes import pass_machine

# FIFOs that hold little, a buffer of two lines, chains that wait above and below.
CHIPS = {
    "the chip": chip(),
    "narrow": chip(
        *("pe.psum_in_fifo_words=4", "pe.psum_out_fifo_words=4", "pe.ifmap_fifo_words=1"),
        *("pe.ifmap_spad_words=4", "noc.bus_fifo_entries=1"),
    ),
    "two lines": chip("glb.filter_banks=1", "glb.bank_bytes=16", "glb.banks=4096"),
    "streamed": chip("glb.filter_load=streamed", "pe.ifmap_spad=shift"),
}
SIZES: dict[str, Any] = {
    "batch": 2, "M": 9, "C": 5, "R": 3, "S": 2, "U": 2, "H": 9, "W": 7,
    "factors": {"m": 9, "n": 2, "e": 4, "p": 4, "q": 2, "r": 2, "t": 2},
}  # fmt: skip


class LastFirst(simpy.Environment):
    """Of the events of a cycle the one that was made last happens first."""

    def __init__(self) -> None:
        super().__init__()
        self._eid = count(0, -1)


def story(machine: Machine, outcome: PassOutcome) -> list[Any]:
    """What the pass came to, and every log of its blocks."""
    return [
        *(outcome.cycles, outcome.prefetch, outcome.counts, outcome.stalls.tolist()),
        *([fifo.name, fifo.ready, fifo.freed] for fifo in machine.fifos),
        *(load.log for load in machine.loads),
        *(link.log for link in machine.links),
        *([pe.starts, pe.takes, pe.port.entered] for pe in machine.pes),
        *(
            machine.feed_bus.log,
            machine.psum_out_bus.log,
            machine.psum_in_bus and machine.psum_in_bus.log,
        ),
    ]


def test_last_comes_first() -> None:
    env, seen = LastFirst(), []
    for name in "abc":
        env.timeout(5).callbacks.append(lambda _, name=name: seen.append(name))
    env.run()
    assert seen == ["c", "b", "a"]


@pytest.mark.parametrize("start", [PrefetchState(), PrefetchState(1, 3)])
@pytest.mark.parametrize("name", CHIPS)
def test_last_or_first_makes_no_difference(name: str, start: PrefetchState) -> None:
    hw = CHIPS[name]
    for shape in dict.fromkeys(shapes(hw, **SIZES)):
        plain = pass_machine(shape, hw, start)
        told = story(plain, plain.run())
        other = pass_machine(shape, hw, start, environment=LastFirst)
        assert story(other, other.run()) == told
