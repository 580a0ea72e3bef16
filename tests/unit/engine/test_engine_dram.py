"""The DRAM link: 10/3 core cycles a beat, and what of the next pass's filters it has fetched."""

from fractions import Fraction
from math import ceil

import pytest
import simpy
from engine_passes import chip, first, plan

from sim.engine.dram import DramLink, PrefetchState
from sim.engine.fifo import Fifo
from sim.engine.layer_run import simulate_layer

BEAT = Fraction(10, 3)


def link(
    start: PrefetchState, beats: int, *, buffer: int = 1024, latency: int = 0, taken: int = 0
) -> tuple[DramLink, Fifo]:
    """A link whose beats are all read in cycle `taken` and whose process has run."""
    env = simpy.Environment()
    fifo = Fifo(env, "filter banks", ())
    dram = DramLink(
        env, fifo, beat=BEAT, latency_cycles=latency, start=start, words=4 * beats, beat_words=4,
        entry_words=4, bank_words=4 * buffer,
    )  # fmt: skip

    def reader():
        for entry in range(beats):
            while entry >= len(fifo.ready):
                yield fifo.entry()
            fifo.take(max(taken, fifo.ready[entry]) + 1)

    env.process(dram.run())
    env.process(reader())
    env.run()
    return dram, fifo


def test_nothing_prefetched_means_a_beat_every_ten_thirds() -> None:
    # 3.33, 6.67, 10, 13.33: a beat is there from the next whole cycle on.
    _, fifo = link(PrefetchState(), 4)
    assert fifo.ready == [4, 7, 10, 14]


def test_what_was_prefetched_is_there_and_the_rest_follows() -> None:
    # Two beats are there; of the third the link has 5 ticks (1.67 cycles) to go, then 10/3 each.
    _, fifo = link(PrefetchState(2, 5), 4)
    assert fifo.ready == [0, 0, 2, 5]


@pytest.mark.parametrize("end", range(20, 60))
def test_the_pass_boundary_does_not_move_a_beat(end: int) -> None:
    """A link that never stands still brings beat k at 10/3*(k+1), wherever the pass ends."""
    here, following = 5, 12
    dram, _ = link(PrefetchState(), here)
    state = dram.prefetch.state(end, following)
    _, fifo = link(state, following)
    for beat, cycle in enumerate(fifo.ready):
        assert end + cycle == max(end, ceil(BEAT * (here + beat + 1)))


def test_the_prefetch_reaches_as_far_as_the_banks() -> None:
    # Two beats of room: the third of the next pass waits until this pass's banks are free of it.
    dram, _ = link(PrefetchState(), 1, buffer=2)
    assert dram.prefetch.state(1000, 5) == PrefetchState(2, 0)


def test_no_beat_beyond_the_next_pass_counts() -> None:
    dram, _ = link(PrefetchState(), 1)
    assert dram.prefetch.state(1000, 3) == PrefetchState(3, 0)


def test_a_full_buffer_holds_the_link_until_a_beat_is_read() -> None:
    # Beat 2 takes the place of beat 0, which is free from cycle 41: 41 + 10/3 = 44.33.
    _, fifo = link(PrefetchState(), 3, buffer=2, taken=40)
    assert fifo.ready == [4, 7, 45]


def test_first_access_latency_comes_once_a_pass() -> None:
    # 7 + 10/3 = 10.33, then 13.67; the next pass's first beat at 13.67 + 7 + 3.33 = 24.
    dram, fifo = link(PrefetchState(), 2, latency=7)
    assert fifo.ready == [11, 14]
    assert dram.prefetch.state(23, 4) == PrefetchState(0, 3)
    assert dram.prefetch.state(24, 4).beats == 1


def test_a_late_prefetch_stalls_the_array_at_ten_thirds_of_a_cycle_a_beat() -> None:
    # 48 filters of 1 word are 12 beats. None is there: the last arrives at 40, is read by the port
    # in cycle 40, sent in 41 and readable from 42 on. All there: port 11, bus 12, readable 13.
    hw = chip("pe.psum_spad_words=64")
    size = {"M": 48, "factors": {"m": 48, "p": 48}}
    late, _ = first(hw, PrefetchState(), **size)
    early, _ = first(hw, **size)
    assert (late.pes[0].starts, early.pes[0].starts) == ([42], [13])


def test_passes_shorter_than_the_fetch_of_their_filters_are_bound_by_the_link() -> None:
    # p*t*q*R*S = 1152 words = 288 beats of the filter banks' 1024 = 960 cycles of link
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


@pytest.mark.parametrize("port_bits", [16, 64, 128, 512])
def test_the_link_counts_its_own_beats_whatever_the_width_of_the_port(port_bits: int) -> None:
    # 10 words are 3 beats of 64 bit: 3.33, 6.67 and 10 cycles. A port of 512 bit does not wait for
    # the 22 words of its line that never come. The last word is read in cycle 10, sent in 11.
    narrow = {"noc.gin_filter_words_per_cycle=1", "noc.psum_words_per_cycle=1"}
    hw = chip(f"glb.port_bits={port_bits}", *sorted(narrow if port_bits == 16 else ()))
    machine, outcome = first(hw, PrefetchState(), M=10, factors={"m": 10, "p": 10})
    assert machine.dram.ticks == [10, 20, 30]
    words = machine.load_entry_words
    assert machine.load_buffer.ready[:: 4 // words] == [4, 7, 10]
    # A port of one word reads from cycle 4 to 13.
    assert machine.pes[0].starts == [12 if port_bits > 16 else 15]
    # What the link then has for the next pass: beats of four words, as many as 8 KB hold.
    assert len(outcome.prefetch.next_ticks) == 1024


def test_a_wider_link_brings_more_words_in_a_beat() -> None:
    # 10 words are 2 beats of 96 bit, and a port of 64 bit reads pieces of 32 bit, two a cycle.
    machine, _ = first(chip("dram.link_bits=96"), PrefetchState(), M=10, factors={"m": 10, "p": 10})
    assert machine.dram.ticks == [10, 20]
    assert machine.load_buffer.ready == [4, 4, 4, 7, 7]
    assert machine.load_port.lines.ready == [5, 5, 6, 8, 8]


def test_the_filters_of_the_next_pass_follow_without_a_gap() -> None:
    # Banks of 16 words and 10 words of this pass. Of the next one a beat of 4 fits beside them, the
    # second when the first two words of this pass have been read, with their line.
    hw = chip("glb.filter_banks=1", "glb.bank_bytes=32", "glb.banks=4096")
    machine, outcome = first(hw, PrefetchState(3), M=10, factors={"m": 10, "p": 10})
    assert machine.load_buffer.freed == [1, 2, 3]
    # The lines are free in cycles 1, 2 and 3: before the beats that take their place begin.
    assert outcome.prefetch.next_ticks.tolist() == [10, 20, 30, 40]
