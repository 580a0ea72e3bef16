"""Hand-computed cycles of tiny passes (docs/machine.md section 3).

How the smallest pass runs, filters prefetched, used by all the others:

    0  the ports read the first lines            a word written in cycle c is read in c+1
    1  the buses send their first words
    2  the filters are there (the array may compute); the ifmap word moves from FIFO to spad
    3  the window starts: p*q*S MACs, then max(0, 3-p) cycles of pipeline, then p psum cycles
"""

from itertools import pairwise

import pytest
from engine_passes import causes, chip, first, prefetched, ran, shapes

from sim.engine.dram import PrefetchState

CHIP = chip()


def test_one_pe_one_window() -> None:
    # Start 3, MAC ends 4, 2 pipeline cycles, psum taken in 6 and out in 7, GON in 7: 8 cycles.
    machine, outcome = first(CHIP)
    (pe,) = machine.pes
    assert (pe.starts, pe.takes, machine.psum_out_bus.log) == ([3], [6], [7])
    assert outcome.cycles == 8
    assert causes(outcome, 0, 0) == {
        "computing": 3,
        "accumulating": 1,
        "waiting_filter": 2,
        "waiting_ifmap": 1,
        "idle": 1,
    }


@pytest.mark.parametrize(("p", "bubble"), [(1, 2), (2, 1), (3, 0), (4, 0), (7, 0)])
def test_the_pipeline_costs_what_p_does_not_hide(p: int, bubble: int) -> None:
    # Beats are taken in at 3 + p MACs + bubble, a beat of 4 words every 4 cycles.
    machine, outcome = first(CHIP, M=p, factors={"m": p, "p": p})
    after = 3 + p + bubble
    assert machine.pes[0].takes == list(range(after, after + p, 4))
    assert outcome.cycles == after + p + 1
    assert causes(outcome, 0, 0)["computing"] == p + bubble


@pytest.mark.parametrize("stages", [1, 2, 3, 6])
def test_the_number_of_stages_is_the_hardwares(stages: int) -> None:
    machine, _ = first(chip(f"pe.pipeline_stages={stages}"), M=2, factors={"m": 2, "p": 2})
    assert machine.pes[0].takes == [3 + 2 + max(0, stages - 2)]


def test_window_waits_for_all_its_columns_then_for_the_new_ones() -> None:
    # S=3, U=2: words 0, 1, ... are sent in 1, 2, ..., enter the spad one later and can be read
    # another one later. Window 0 needs words 0 to 2: 5. It takes 3 MACs + 2 + 1 = 6 cycles, and by
    # then words 3, 4 and 5, 6 are long there: 11, 17.
    machine, _ = first(CHIP, S=3, W=7, V=2)
    assert machine.pes[0].starts == [5, 11, 17]


def test_ifmap_words_travel_by_column_channel_row() -> None:
    # 1 column, 2 channels, 2 rows: order (c0,r0) (c0,r1) (c1,r0) (c1,r1), one a cycle from 1.
    # The upper PE has its two words in 1 and 3, the lower in 2 and 4: starts 3+2 and 4+2.
    machine, _ = first(CHIP, C=2, R=2, factors={"q": 2})
    starts = {pe.program.row: pe.starts for pe in machine.pes}
    assert starts == {0: [5], 1: [6]}


def test_a_chain_of_two() -> None:
    # Filter words go row by row, so the second row's in 2: all PEs may compute from 3.
    # Lower PE: ifmap word sent in 2, start 4, MAC till 5, pipeline till 7, psum in 7, out in 8.
    # Link in 8, readable above in 9. Upper PE: start 3, ready for psums in 6, takes 9, out in 10.
    # GON in 10: 11 cycles.
    machine, outcome = first(CHIP, R=2)
    lower, upper = machine.pes
    assert (lower.program.row, upper.program.row) == (1, 0)
    assert (lower.starts, lower.takes) == ([4], [7])
    assert machine.links[0].log == [8]
    assert (upper.starts, upper.takes) == ([3], [9])
    assert machine.psum_out_bus.log == [10]
    assert outcome.cycles == 11
    assert causes(outcome, 0, 0) == {
        "computing": 3,
        "accumulating": 1,
        "waiting_filter": 3,
        "waiting_psum_in": 3,
        "idle": 1,
    }
    assert causes(outcome, 1, 0) == {
        "computing": 3,
        "accumulating": 1,
        "waiting_filter": 3,
        "waiting_ifmap": 1,
        "idle": 3,
    }
    assert causes(outcome, 2, 0) == {"clock_gated": 11}


@pytest.mark.parametrize("hop", [1, 2, 8])
def test_a_hop_takes_the_links_cycles_once(hop: int) -> None:
    # Chain of 3: lowest start 5, takes 8, out in 9; link 9, above in 9+hop; there the psum takes
    # one cycle, then the next link; so 9 + 2*(hop+1) = out of the top, GON there: one more.
    _, outcome = first(chip(f"noc.local_hop_cycles={hop}"), R=3)
    assert outcome.cycles == 9 + 2 * (hop + 1) + 1


def test_hops_are_pipelined() -> None:
    # 12 windows of 16 filters: a longer hop moves the end by its cycles, not once a beat.
    size = {"M": 16, "R": 2, "S": 3, "W": 14, "factors": {"m": 16, "p": 16}}
    short = first(chip(), **size)[1].cycles
    long = first(chip("noc.local_hop_cycles=8"), **size)[1].cycles
    assert long == short + 7


def test_later_channels_bring_psums_from_the_glb() -> None:
    # The psum is there (port 0, bus 1, readable 2) long before it is needed, so nothing takes
    # longer; but it is read, carried and delivered.
    start, later = shapes(CHIP, C=2)
    assert (start.first_channels, later.first_channels) == (True, False)
    machine_start, at_start = ran(start, CHIP)
    machine_later, at_later = ran(later, CHIP)
    assert at_start.cycles == at_later.cycles == 8
    assert machine_start.psum_in_bus is None
    assert machine_later.psum_in_bus is not None
    assert machine_later.psum_in_bus.log == [1]
    moved = ("glb.psum.read", "noc.gin_psum.words", "noc.gin_psum.deliveries")
    assert [at_start.counts[name] for name in moved] == [0, 0, 0]
    assert [at_later.counts[name] for name in moved] == [1, 1, 1]
    assert at_start.counts["glb.psum.write"] == at_later.counts["glb.psum.write"] == 1


@pytest.mark.parametrize(
    ("spad", "expected"),
    [("addressed", "p*q*S + p"), ("shift", "p*q*S + p + q*U")],
)
@pytest.mark.parametrize(
    ("p", "q", "S", "U"), [(4, 1, 3, 1), (16, 2, 3, 1), (8, 2, 4, 2), (12, 1, 4, 4), (16, 1, 11, 4)]
)
def test_a_window_in_steady_state(spad: str, expected: str, p: int, q: int, S: int, U: int) -> None:
    # One PE with all words of the next window in its FIFO, p >= 3 so that no pipeline shows.
    machine, _ = first(
        chip(f"pe.ifmap_spad={spad}"), M=p, C=q, S=S, W=S + 11 * U, V=U,
        factors={"m": p, "p": p, "q": q},
    )  # fmt: skip
    starts = machine.pes[0].starts
    apart = {later - sooner for sooner, later in pairwise(starts[4:])}
    period = {"p*q*S + p": p * q * S + p, "p*q*S + p + q*U": p * q * S + p + q * U}
    assert apart == {period[expected]}


def test_a_full_spad_takes_the_next_words_only_when_the_macs_are_done() -> None:
    # q*S = 12 words fill the spad and stride 4 replaces them all: 12 words enter one a cycle from
    # the end of the 36 MACs, longer than the 3 psums take.
    machine, _ = first(CHIP, M=3, C=3, S=4, W=48, V=4, factors={"m": 3, "p": 3, "q": 3})
    starts = machine.pes[0].starts
    apart = {later - sooner for sooner, later in pairwise(starts[4:])}
    assert apart == {36 + 12}


def test_a_shift_spad_is_refilled_whole_at_the_end_of_an_image() -> None:
    # Two images of 2 windows, S=4, U=1, p=3, q=1. All words of a window leave together, so image
    # 1 costs q*S more cycles before it starts where a window within the image costs q*U more.
    machine, _ = first(
        chip("pe.ifmap_spad=shift"), batch=2, M=3, S=4, W=5, factors={"m": 3, "p": 3, "n": 2}
    )
    a, b, c, d = machine.pes[0].starts
    assert (b - a, c - b, d - c) == (12 + 3 + 1, 12 + 3 + 4, 12 + 3 + 1)


def test_the_rtl_chip_has_the_window_of_the_shift_spad() -> None:
    rtl = chip(name="eyeriss_rtl")
    machine, _ = first(
        rtl, M=16, C=2, R=3, S=3, H=5, W=20, factors={"m": 16, "p": 16, "q": 2, "e": 3}
    )
    for pe in machine.pes:
        steady = pe.starts[6:]
        assert {b - a for a, b in pairwise(steady)} == {16 * 6 + 16 + 2}


def test_a_hop_of_the_rtl_takes_seven_cycles() -> None:
    # Four words, two cycles of latency, one of the link.
    machine, _ = first(chip(name="eyeriss_rtl"), M=4, R=2, H=2, factors={"m": 4, "p": 4})
    below, above = machine.pes
    assert above.takes[0] - below.takes[0] == 4 + 2 + 1


def test_a_mac_waits_for_its_own_word() -> None:
    # Words enter the spad in 2, 3 and 4, each is used in 4 MACs: the first one alone counts.
    words = chip("pe.ifmap_wait=word", "glb.filter_load=streamed")
    assert first(words, M=4, S=3, factors={"m": 4, "p": 4})[0].pes[0].starts == [3]
    # With one filter the last word counts as much: in a + i, used in MAC i.
    assert first(words, M=1, S=3, factors={"m": 1})[0].pes[0].starts == [3]
    later = chip("pe.ifmap_wait=word", "glb.filter_load=streamed", "pe.start_cycles=2")
    assert first(later, M=4, S=3, factors={"m": 4, "p": 4})[0].pes[0].starts == [5]


def test_a_shift_register_shifts_before_it_takes_in_words() -> None:
    # Stride 2 replaces 2 of 2 words, which come behind the shift, so the MAC a cycle later still.
    # At the end of an image nothing shifts: 2 cycles, and one in which the first word moves in.
    machine, _ = first(
        chip("pe.ifmap_spad=shift", "pe.ifmap_wait=word", "pe.image_change_cycles=2"),
        batch=2, M=3, S=2, W=4, V=2, factors={"m": 3, "p": 3, "n": 2},
    )  # fmt: skip
    a, b, c, d = machine.pes[0].starts
    assert (b - a, c - b, d - c) == (6 + 3 + 2 + 1, 6 + 3 + 2 + 1, 6 + 3 + 2 + 1)
    # With stride 1 the first word is there already.
    machine, _ = first(
        chip("pe.ifmap_spad=shift", "pe.ifmap_wait=word", "pe.image_change_cycles=5"),
        batch=2, M=3, S=2, W=3, factors={"m": 3, "p": 3, "n": 2},
    )  # fmt: skip
    a, b, c, d = machine.pes[0].starts
    assert (b - a, c - b, d - c) == (6 + 3 + 1, 6 + 3 + 5 + 1, 6 + 3 + 1)


class TestFilterLoad:
    """16 filters of 1 word: 4 beats, sent in 1 to 4, readable in 2 to 5; the ifmap word from 3."""

    SIZE = {"M": 16, "factors": {"m": 16, "p": 16}}  # noqa: RUF012

    def test_exposed_waits_for_the_last_word(self) -> None:
        # Starts in 5; 16 MACs, 16 psums, GON.
        machine, outcome = first(CHIP, **self.SIZE)
        assert machine.pes[0].starts == [5]
        assert outcome.cycles == 5 + 16 + 16 + 1

    def test_streamed_waits_for_each_macs_own_word(self) -> None:
        # MAC k needs word k, readable in 2 + k//4: never later than start + k with start 2.
        machine, outcome = first(chip("glb.filter_load=streamed"), **self.SIZE)
        assert machine.pes[0].starts == [3]
        assert outcome.cycles == 3 + 16 + 16 + 1
        assert causes(outcome, 0, 0)["waiting_filter"] == 2

    @pytest.mark.parametrize(("load", "start"), [("exposed", 16), ("streamed", 6)])
    def test_a_late_prefetch(self, load: str, start: int) -> None:
        # From DRAM in 4, 7, 10, 14; port and bus add two: readable in 6, 9, 12, 16.
        # Streamed: start >= 6-0, 9-4, 12-8, 16-12.
        machine, _ = first(chip(f"glb.filter_load={load}"), PrefetchState(), **self.SIZE)
        assert machine.pes[0].starts == [start]

    def test_streamed_macs_run_across_filters_while_words_come_along_them(self) -> None:
        # p=4, S=3: words (f0: x0 x1 x2)(f1: ...) come 4 a cycle: readable in 2, 3, 4. MACs run
        # f0..f3 at x0, then x1: word 3f+x is MAC 4x+f. f3,x0 is word 9, readable 4, MAC 3: so
        # start >= 1; word 0 asks for 2, the third ifmap column (sent 3, read 5) for 5.
        machine, _ = first(chip("glb.filter_load=streamed"), M=4, S=3, factors={"m": 4, "p": 4})
        assert machine.pes[0].starts == [5]
        assert machine.pes[0].load.lead == 2

    def test_words_move_from_the_fifo_to_the_spad_one_a_cycle(self) -> None:
        # A FIFO of one beat: sent in 1, its words move in 2 to 5 and can be used from 3 to 6. In 6
        # there is room for the next one, in 11 and 16 for the others. The last word can be used in
        # 21, in MAC 15.
        machine, _ = first(
            chip("pe.filter_words_per_cycle=1", "pe.filter_fifo_words=4",
                 "glb.filter_load=streamed"),
            **self.SIZE,
        )  # fmt: skip
        (load,) = machine.loads
        assert load.log == [2, 7, 12, 17]
        assert load.usable == [*range(3, 7), *range(8, 12), *range(13, 17), *range(18, 22)]
        assert machine.pes[0].starts == [21 - 15]

    def test_ifmap_words_behind_all_filter_words(self) -> None:
        # Lines of filters are read in 0 to 3, so that of the ifmap in 4; its word is sent in 5.
        machine, _ = first(chip("glb.filter_load=first"), **self.SIZE)
        assert machine.feed_bus.log == [5]
        assert machine.pes[0].starts == [7]

    def test_beats_do_not_straddle_pe_rows(self) -> None:
        # 3 rows of 3 words are 9 words but 3 beats, sent in 1 (line 0), 2 (lines 0, 1) and 3.
        machine, _ = first(CHIP, R=3, S=3)
        logs = [load.log for load in machine.loads]
        # Row 2 needs words 6 to 8, that is line 2: port 2, readable 3.
        assert logs == [[2], [3], [4]]


def test_ifmap_may_flow_while_filters_load() -> None:
    # Filters come in 42 (see the DRAM tests), yet the ifmap word was sent in cycle 1.
    machine, _ = first(
        chip("pe.psum_spad_words=64"), PrefetchState(), M=48, factors={"m": 48, "p": 48}
    )
    assert machine.feed_bus.log == [1]


def test_ifmap_fills_fifo_and_spad_and_no_more_while_filters_load() -> None:
    # 12 words of spad and 16 of FIFO: 28 words wait in the PE, the 29th until the first window
    # (starts in 42) has done its 48 MACs: then its one word leaves, the FIFO moves up in 90 and
    # the bus fills the place in 91.
    machine, _ = first(
        chip("pe.psum_spad_words=64"), PrefetchState(), M=48, W=40, factors={"m": 48, "p": 48}
    )
    assert machine.pes[0].starts[0] == 42
    assert machine.feed_bus.log[:28] == list(range(1, 29))
    assert machine.feed_bus.log[28] == 42 + 48 + 1


def test_wider_ifmap_bus_sends_several_words_a_cycle() -> None:
    # One word a cycle enters the spad whatever the bus: words sent 1 1 2 2, in the spad 2 3 4 5.
    machine, _ = first(chip("noc.gin_ifmap_words_per_cycle=2"), S=4)
    assert machine.feed_bus.log == [1, 1, 2, 2]
    assert machine.pes[0].starts == [6]


def test_more_register_stages_at_a_port_only_let_it_read_further_ahead() -> None:
    shape = shapes(CHIP, M=4, R=3, S=3, H=6, W=16, factors={"m": 4, "p": 4, "e": 4})[0]
    deep = chip("noc.bus_fifo_entries=16")
    assert ran(shape, CHIP)[1].cycles == ran(shape, deep, prefetched(shape, deep))[1].cycles
