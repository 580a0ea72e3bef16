"""The DRAM link: 10/3 core cycles a beat, and what of the next pass's filters it has fetched."""

from fractions import Fraction
from math import ceil

import pytest
import simpy
from engine_passes import chip, first, plan

from sim.engine.dram import DramLink, PrefetchState
from sim.engine.fifo import Fifo
from sim.engine.layer import simulate_layer

BEAT = Fraction(10, 3)


def link(
    start: PrefetchState, lines: int, *, buffer: int = 1024, latency: int = 0, taken: int = 0
) -> tuple[DramLink, Fifo]:
    """A link whose lines are all read in cycle `taken` and whose process has run."""
    env = simpy.Environment()
    fifo = Fifo(env, "filter banks", ())
    dram = DramLink(
        env, fifo, beat=BEAT, latency_cycles=latency, start=start, lines=lines, buffer_lines=buffer
    )

    def reader():
        for line in range(lines):
            while line >= len(fifo.ready):
                yield fifo.entry()
            fifo.take(max(taken, fifo.ready[line]) + 1)

    env.process(dram.run())
    env.process(reader())
    env.run()
    return dram, fifo


def test_nothing_prefetched_means_a_line_every_ten_thirds() -> None:
    # 3.33, 6.67, 10, 13.33: a line is there from the next whole cycle on.
    _, fifo = link(PrefetchState(), 4)
    assert fifo.ready == [4, 7, 10, 14]


def test_what_was_prefetched_is_there_and_the_rest_follows() -> None:
    # Two lines are there; of the third the link has 5 ticks (1.67 cycles) to go, then 10/3 each.
    _, fifo = link(PrefetchState(2, 5), 4)
    assert fifo.ready == [0, 0, 2, 5]


@pytest.mark.parametrize("end", range(20, 60))
def test_the_pass_boundary_does_not_move_a_line(end: int) -> None:
    """A link that never stands still brings line k at 10/3*(k+1), wherever the pass ends."""
    here, following = 5, 12
    dram, _ = link(PrefetchState(), here)
    state = dram.prefetch.state(end, following)
    _, fifo = link(state, following)
    for line, cycle in enumerate(fifo.ready):
        assert end + cycle == max(end, ceil(BEAT * (here + line + 1)))


def test_the_prefetch_reaches_as_far_as_the_banks() -> None:
    # Two lines of room: the third of the next pass waits until this pass's banks are free of it.
    dram, _ = link(PrefetchState(), 1, buffer=2)
    assert dram.prefetch.state(1000, 5) == PrefetchState(2, 0)


def test_no_line_beyond_the_next_pass_counts() -> None:
    dram, _ = link(PrefetchState(), 1)
    assert dram.prefetch.state(1000, 3) == PrefetchState(3, 0)


def test_a_full_buffer_holds_the_link_until_a_line_is_read() -> None:
    # Line 2 takes the place of line 0, which is free from cycle 41: 41 + 10/3 = 44.33.
    _, fifo = link(PrefetchState(), 3, buffer=2, taken=40)
    assert fifo.ready == [4, 7, 45]


def test_first_access_latency_comes_once_a_pass() -> None:
    # 7 + 10/3 = 10.33, then 13.67; the next pass's first line at 13.67 + 7 + 3.33 = 24.
    dram, fifo = link(PrefetchState(), 2, latency=7)
    assert fifo.ready == [11, 14]
    assert dram.prefetch.state(23, 4) == PrefetchState(0, 3)
    assert dram.prefetch.state(24, 4).lines == 1


def test_a_late_prefetch_stalls_the_array_at_ten_thirds_of_a_cycle_a_beat() -> None:
    # 48 filters of 1 word are 12 lines. None is there: the last arrives at 40, is read by the port
    # in cycle 40, sent in 41 and readable from 42 on. All there: port 11, bus 12, readable 13.
    hw = chip("pe.psum_spad_words=64")
    size = {"M": 48, "factors": {"m": 48, "p": 48}}
    late, _ = first(hw, PrefetchState(), **size)
    early, _ = first(hw, **size)
    assert (late.pes[0].starts, early.pes[0].starts) == ([42], [13])


def test_passes_shorter_than_the_fetch_of_their_filters_are_bound_by_the_link() -> None:
    # p*t*q*R*S = 1152 words = 288 lines of the prefetch buffer's 1024 = 960 cycles of link
    # time a pass, more than its 3 windows of computing: in steady state the link is the bound.
    hw = chip()
    size = {
        "M": 32, "C": 20, "R": 3, "S": 3, "H": 3, "W": 5,
        "factors": {"m": 32, "p": 8, "q": 4, "t": 4},
    }  # fmt: skip
    activity = simulate_layer(plan(hw, **size))
    steady = activity.pass_cycles[1:]
    assert steady.size == 4
    assert abs(int(steady.sum()) - 4 * 960) <= 2
    # The first pass has the same 960 cycles and whatever follows its last filter.
    assert activity.pass_cycles[0] > 960
