"""Who waits for whom: buses at their bound, multicast, full FIFOs, deadlock."""

from itertools import pairwise

import pytest
from engine_passes import causes, chip, first, prefetched, ran, shapes

from hw_models.vocabulary import CAUSES
from sim.engine.machine import Machine
from sim.engine.passes import pass_machine
from sim.engine.pe import FeedPort
from sim.errors import DeadlockError, SimulationError

CHIP = chip()


def gaps(log: list[int]) -> set[int]:
    return {later - sooner for sooner, later in pairwise(log)}


@pytest.mark.parametrize("later_channels", [False, True])
def test_the_psum_bus_is_the_bound_of_vggs_first_layers(later_channels: bool) -> None:
    # n*p*t*e*F/4 = 4*4*13*60/4 = 3120 cycles; the array needs 60*4*(3+1) = 960, the ifmap bus
    # 15*62 = 930, the filters 36.
    size = {
        "M": 16, "C": 2, "R": 3, "S": 3, "H": 15, "W": 62,
        "factors": {"m": 16, "p": 4, "t": 4, "e": 13},
    }  # fmt: skip
    machine, outcome = ran(shapes(CHIP, **size)[int(later_channels)], CHIP)
    bound = 16 * 13 * 60 // 4
    # The ramp: 36 cycles of filters and a few of ports, the first window, a chain of 3.
    assert 36 < outcome.cycles - bound < 36 + 40
    # From the first beat on the GON never stands still.
    assert gaps(machine.psum_out_bus.log) == {1}
    # What the PEs wait for, once they have their filters, is psums: room for them above or, in
    # later channel blocks, those of the GIN. (Lower PEs run ahead into the FIFOs and rest early.)
    spent = dict(zip(CAUSES, outcome.stalls.sum(axis=(1, 2)).tolist(), strict=True))
    assert spent["waiting_psum_in"] + spent["waiting_psum_out"] > 5 * spent["waiting_ifmap"]
    assert (spent["waiting_psum_in"] > spent["waiting_psum_out"]) == later_channels


def test_the_ifmap_bus_is_the_bound_where_little_is_done_with_a_word() -> None:
    # q*((e-1)U+R)*Wp = 4*16*40 = 2560 cycles; the array needs 38*1*(4*3+1) = 494, psums 133.
    size = {"C": 4, "R": 3, "S": 3, "H": 16, "W": 40, "factors": {"q": 4, "e": 14}}
    machine, outcome = first(CHIP, **size)
    assert gaps(machine.feed_bus.log) == {1}
    assert machine.feed_bus.log[0] == 1
    # After the last word: into the spad, 12 MACs, 2 of pipeline, 1 psum, up a chain of 3, out.
    assert 0 < outcome.cycles - 2560 < 40


def test_the_array_is_the_bound_where_much_is_done_with_a_word() -> None:
    # AlexNet CONV3's PE: 16*(4*3+1) = 208 cycles a window, 13 windows.
    size = {
        "M": 64, "C": 4, "R": 3, "S": 3, "H": 15, "W": 15,
        "factors": {"m": 64, "p": 16, "q": 4, "t": 4, "e": 13},
    }  # fmt: skip
    machine, outcome = first(CHIP, **size)
    filters = 64 * 4 * 9 // 4
    # All chains end their last window together and the GON needs 4*4*13 = 208 cycles for it.
    assert 208 < outcome.cycles - (13 * 208 + filters) < 208 + 40
    for pe in machine.pes:
        assert gaps(pe.starts[2:]) == {208}


def test_multicast_waits_for_the_slowest() -> None:
    # Two filter sets, 4 filters and 1, share every ifmap word; spad and FIFO hold one each.
    # Alone, the small one starts a window every 1 MAC + 2 + 1 = 4 cycles; together both go at the
    # large one's 4 MACs + 4 psums = 8.
    tight = chip("pe.ifmap_spad_words=1", "pe.ifmap_fifo_words=1")
    alone, _ = first(tight, W=12)
    assert gaps(alone.pes[0].starts[2:]) == {4}
    both, _ = first(tight, M=5, W=12, factors={"m": 5, "p": 4, "t": 2})
    slow, fast = both.pes
    assert (slow.mac_cycles, fast.mac_cycles) == (4, 1)
    assert gaps(slow.starts[2:]) == {8}
    assert gaps(fast.starts[4:]) == {8}
    # Word k+2 is sent once the slow PE has moved word k+1 to its spad: when window k's MACs end.
    assert both.feed_bus.log[2:] == [start + 4 + 1 for start in slow.starts[: 12 - 2]]


def test_deep_fifos_decouple_the_fast_from_the_slow() -> None:
    both, _ = first(CHIP, M=5, W=12, factors={"m": 5, "p": 4, "t": 2})
    slow, fast = both.pes
    assert gaps(slow.starts) == {8}
    # Psums leave in the order of windows, and 32 words of output FIFO hold 12 of them.
    assert gaps(fast.starts) == {4}


def test_a_full_output_stops_the_pe() -> None:
    # One word of psum out and one of psum in: the lower PE's next psum needs the place that the
    # link frees only when the upper PE has taken its psum.
    tight = chip("pe.psum_out_fifo_words=4", "pe.psum_in_fifo_words=4")
    size = {"M": 4, "C": 5, "R": 2, "S": 1, "W": 20, "factors": {"m": 4, "p": 4, "q": 1, "r": 2}}
    _, outcome = first(tight, **size)
    _, roomy = first(CHIP, **size)
    assert causes(outcome, 0, 0)["waiting_psum_in"] > 0
    assert "waiting_psum_out" not in causes(roomy, 3, 0)
    assert outcome.cycles >= roomy.cycles


def test_a_beat_that_never_fits_is_a_deadlock_and_says_who_waits() -> None:
    # A description with such a FIFO is refused when it is read; built past that check, the first
    # beat of 4 words waits for its own place in 3.
    pe = CHIP.pe.model_copy(update={"psum_out_fifo_words": 3})
    broken = CHIP.model_copy(update={"pe": pe})
    shape = shapes(CHIP, M=4, factors={"m": 4, "p": 4})[0]
    with pytest.raises(DeadlockError) as caught:
        pass_machine(shape, broken, prefetched(shape, CHIP)).run()
    # It stands since the first window's MACs ended: started in 3, 4 MACs.
    assert str(caught.value) == (
        "deadlock at cycle 7 of the pass: "
        "the reader of PE (0, 0) psum out waits for entry 0; "
        "the writer of PE (0, 0) psum out waits until entry 0 has left (0 have); "
        "the reader of psum lines out waits for entry 0"
    )


def test_a_missing_bus_is_a_deadlock_and_says_who_waits() -> None:
    shape = shapes(CHIP)[0]
    machine = pass_machine(shape, CHIP, prefetched(shape, CHIP))
    machine.feed_bus.column = []
    with pytest.raises(DeadlockError, match=r"PE \(0, 0\) waits for ifmap word 0"):
        machine.run()


def test_a_deadlock_of_many_names_some_of_each_kind() -> None:
    # 3 x 4 PEs wait for ifmap words and 4 chains for those of their psums.
    shape = shapes(CHIP, R=3, H=6, factors={"e": 4})[0]
    machine = pass_machine(shape, CHIP, prefetched(shape, CHIP))
    machine.feed_bus.column = []
    with pytest.raises(DeadlockError) as caught:
        machine.run()
    waits = str(caught.value).split("; ")
    assert sum("waits for ifmap word 0" in wait for wait in waits) == 6
    assert "and 6 more like these" in waits


def test_a_spad_that_is_never_freed_stops_the_ifmap_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of a row of 40 words the spad takes 12 and the FIFO 16: the next one needs word 12's place.
    monkeypatch.setattr(FeedPort, "release", lambda self, words, cycle: None)
    with pytest.raises(DeadlockError) as caught:
        first(CHIP, W=40)
    assert str(caught.value).split("; ")[1:3] == [
        "PE (0, 0) waits for ifmap word 12",
        "the ifmap bus waits until PE (0, 0) has read word 12",
    ]


def test_a_pass_without_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = shapes(CHIP)[0]
    monkeypatch.setattr(Machine, "_longest", lambda self: 3)
    with pytest.raises(DeadlockError) as caught:
        pass_machine(shape, CHIP, prefetched(shape, CHIP)).run()
    assert str(caught.value) == (
        "no end of the pass after 3 cycles: the reader of PE (0, 0) psum out waits for entry 0; "
        "the reader of psum lines out waits for entry 0"
    )


def test_a_word_sent_to_the_wrong_pe_breaks_a_law() -> None:
    # The upper PE of two gets the lower one's word as well: more words than its windows free.
    shape = shapes(CHIP, R=2)[0]
    machine = pass_machine(shape, CHIP, prefetched(shape, CHIP))
    lower, upper = (pe.port for pe in machine.pes)
    machine.feed_bus.column = [[upper], [upper, lower]]
    with pytest.raises(SimulationError, match=r"^conservation: PE \(0, 0\): 2 ifmap words sent"):
        machine.run()


def test_a_pe_that_skips_work_breaks_a_law() -> None:
    shape = shapes(CHIP, M=3, factors={"m": 3, "p": 3})[0]
    machine = pass_machine(shape, CHIP, prefetched(shape, CHIP))
    machine.pes[0].mac_cycles -= 1
    with pytest.raises(SimulationError, match="2 MACs done, 3 in the pass"):
        machine.run()


def test_one_line_between_port_and_bus_is_enough() -> None:
    """Rows of 3 filter words: the second row's beat lies in two lines, but one fits at a time."""
    machine, outcome = first(chip("noc.bus_fifo_entries=1"), R=3, S=3)
    # A line is read in 0, sent in 1, its place free in 2; the next is read in 2, sent in 3, and so
    # on: the rows' beats end in lines 0, 1 and 2.
    logs = [load.log for load in machine.loads]
    assert logs == [[2], [4], [6]]
    assert outcome.counts["spad.filter.write"] == 9


def test_a_place_freed_in_a_cycle_is_filled_in_the_next() -> None:
    # FIFOs of one beat. Whoever fills them sends in the cycle after the PE has taken the last one.
    tight = chip("pe.psum_out_fifo_words=4", "pe.psum_in_fifo_words=4")
    size = {"M": 4, "C": 2, "R": 2, "W": 6, "factors": {"m": 4, "p": 4}}
    machine, _ = ran(shapes(tight, **size)[1], tight)
    lower, upper = machine.pes
    assert machine.psum_in_bus is not None
    assert machine.psum_in_bus.log[0] == 1
    assert machine.psum_in_bus.log[1:] == [take + 1 for take in lower.takes[:-1]]
    # The link waits for the PE above and for the beat below, which is out 4 cycles after its take.
    assert machine.links[0].log == [
        max(below + 4, above + 1)
        for below, above in zip(lower.takes, [0, *upper.takes[:-1]], strict=True)
    ]
    # And the PE below for the link: a beat is taken in when the one before has left.
    blocked = [sent + 1 for sent in machine.links[0].log[:-1]]
    assert all(take >= free for take, free in zip(lower.takes[1:], blocked, strict=True))
