"""The channel's two logs, and the table that says when an entry has room."""

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from sim.engine.fifo import Fifo, room_table


def brute_force(sizes: list[int], depth: int) -> list[int]:
    """For each entry, how many must have left before it fits, found by pushing and popping."""
    table = []
    for entry, size in enumerate(sizes):
        queue = list(range(entry))
        left = -1
        while sum(sizes[k] for k in queue) + size > depth:
            left = queue.pop(0)
        table.append(left)
    return table


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(0, 20),
)
def test_room_table_is_what_a_queue_does(window: list[int], windows: int, spare: int) -> None:
    depth = max(window) + spare
    assert room_table(window, windows, depth) == brute_force(window * windows, depth)


@pytest.mark.parametrize(
    ("window", "windows", "depth", "expected"),
    [
        # Four beats of four words fit 16; the fifth needs the first one's place.
        ([4], 6, 16, [-1, -1, -1, -1, 0, 1]),
        # A beat of 4 and one of 2 in 8 words: 4+2 fit, a third of 4 makes 10, so beat 0 must go.
        ([4, 2], 2, 8, [-1, -1, 0, 0]),
        # Depth 7 holds one full beat and one short one at a time.
        ([4, 2], 2, 7, [-1, -1, 0, 1]),
        ([1], 3, 1, [-1, 0, 1]),
    ],
)
def test_room_table_by_hand(
    window: list[int], windows: int, depth: int, expected: list[int]
) -> None:
    assert room_table(window, windows, depth) == expected


def test_reader_and_writer_wait_for_what_is_not_in_the_log() -> None:
    env = simpy.Environment()
    fifo = Fifo(env, "channel", room_table([1], 2, 1))
    log: list[str] = []

    def writer():
        fifo.put(1)
        log.append(f"{env.now} wrote 0")
        yield fifo.place(fifo.room[1])
        fifo.put(fifo.freed[0] + 1)
        log.append(f"{env.now} wrote 1")

    def reader():
        yield env.timeout(7)
        fifo.take(8)
        log.append(f"{env.now} took 0")
        yield fifo.entry()
        log.append(f"{env.now} saw 1, readable at {fifo.ready[1]}")

    env.process(writer())
    env.process(reader())
    env.run()
    assert log == ["0 wrote 0", "7 took 0", "7 wrote 1", "7 saw 1, readable at 9"]
    assert fifo.waiting == ""


def test_a_writer_is_not_woken_by_an_earlier_departure() -> None:
    env = simpy.Environment()
    fifo = Fifo(env, "channel", room_table([2, 1], 2, 3))
    place = fifo.place(1)
    fifo.take(1)
    assert not place.triggered
    fifo.take(2)
    assert place.triggered


def test_waiting_names_who_waits_for_what() -> None:
    env = simpy.Environment()
    fifo = Fifo(env, "psum out", [-1, 0])
    fifo.entry()
    fifo.place(0)
    assert fifo.waiting == (
        "the reader of psum out waits for entry 0; "
        "the writer of psum out waits until entry 0 has left (0 have)"
    )
