"""Use of the FIFOs of a pass: how full they get, how long writers wait for room; from the logs.

Nothing is counted while the pass runs. An entry takes its place in the cycle in which its writer
commits it, and gives it up in the cycle from which the place can be written again (`Fifo.freed`).
So a FIFO as deep as its peak is as good as a deeper one: no writer ever waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.dataflow.program import Program, Stream
    from sim.engine.fifo import Fifo
    from sim.engine.glb import ReadPort
    from sim.engine.noc import FeedBus, LocalLink, PsumInBus, PsumOutBus
    from sim.engine.pe import PE


@dataclass(frozen=True, slots=True)
class QueueUse:
    """Use of all FIFOs of one kind.

    `peak` is the most that any of them held at a time, in words at a PE and in lines at a bus.
    `blocked_cycles` are cycles that their writers waited for room alone, summed over the writers.
    """

    peak: int
    blocked_cycles: int


def queue_use(
    program: Program,
    hw: Hardware,
    *,
    pes: Sequence[PE],
    links: Sequence[LocalLink],
    load_port: ReadPort,
    feed_port: ReadPort,
    feed_bus: FeedBus,
    psum_port: ReadPort | None,
    psum_in_bus: PsumInBus | None,
    psum_out_bus: PsumOutBus,
) -> dict[str, QueueUse]:
    """Return the use of each kind of FIFO in a pass that has run.

    `ifmap_fifo`, `psum_in_fifo` and `psum_out_fifo` are those of the PEs, as the hardware names
    them; the writer of the first is the bus, of the second the link from the PE below or the bus,
    of the third the PE. `NETWORK_lines` is between a port of the global buffer and its bus.
    """
    into, out = psum_in_bus, psum_out_bus
    loaded = _port_use(load_port)
    use = {
        # Words that are kept come in entries, which the port reads some at a time.
        f"{program.load_stream.network}_lines": QueueUse(
            -(-loaded.peak // load_port.per_cycle), loaded.blocked_cycles
        ),
        f"{program.feed.network}_lines": _port_use(feed_port),
        f"{program.psums_out.network}_lines": QueueUse(
            _peak(out.lines.freed, out.log), _waited(out.log, _in_order(out.turns, out.rounds))
        ),
        "ifmap_fifo": _ifmap_fifos(program.feed, feed_bus, pes),
    }
    # A PE takes the place of a beat of its own in the cycle in which it takes the beat from below,
    # and a link writes above what it takes from below.
    takes = _arrays([pe.takes for pe in pes])
    leaves = _arrays([pe.psum_out.freed for pe in pes])
    freed = _arrays([pe.psum_in.freed if pe.psum_in is not None else [] for pe in pes])
    beats = [pe.program.beats for pe in pes]
    use["psum_out_fifo"] = QueueUse(
        _peak_words(zip(takes, leaves, beats, strict=True)),
        sum(pe.wait_psum_out for pe in pes),
    )
    depth, least = hw.pe.psum_in_fifo_words, min(map(min, beats))
    peak = _peak_words((leaves[low] - 1, freed[up], beats[up]) for low, up in program.links)
    blocked = 0
    if peak + least > depth:  # else no link waits
        blocked = sum(_waited(link.log, link.below.ready) for link in links)
    if into is not None and psum_port is not None and program.psums_in is not None:
        use[f"{program.psums_in.network}_lines"] = _port_use(psum_port)
        blocked += _waited(into.log, into.lines.ready)
        rounds = np.array(into.log, np.int64).reshape(into.rounds, -1)
        columns: dict[int, list[int]] = {}
        for column, (_, (pe,)) in enumerate(program.psums_in.pattern):
            columns.setdefault(pe, []).append(column)
        fed = _peak_words(
            (rounds[:, own].ravel(), freed[pe], beats[pe]) for pe, own in columns.items()
        )
        peak = max(peak, fed)
    use["psum_in_fifo"] = QueueUse(peak, blocked)
    return use


def _waited(log: Sequence[int], ready: Sequence[int] | NDArray[np.int64]) -> int:
    """Return the cycles that a writer of one beat per cycle waited with its beat in hand."""
    written = np.array(log, np.int64)
    able = np.array(ready, np.int64)
    np.maximum(able[1:], written[:-1] + 1, out=able[1:])
    return int(written.sum() - able.sum())


def _port_use(port: ReadPort) -> QueueUse:
    """Return the lines that a port of the global buffer reads ahead of its bus."""
    written = np.array(port.lines.ready, np.int64) - 1
    able = np.concatenate([[port.begins], written[:-1]])
    late = able[port.per_cycle :]  # entries that the port cannot read in the cycle of those before
    np.maximum(late, written[: late.size] + 1, out=late)
    if port.source is not None:
        able = np.maximum(able, port.source.ready)
    blocked = int((written - able).sum())
    return QueueUse(_peak(port.lines.freed, written), blocked)


def _peak(
    freed: Sequence[int] | NDArray[np.int64], written: Sequence[int] | NDArray[np.int64]
) -> int:
    """Return the most entries that were in a FIFO at a time."""
    places = np.arange(1, len(written) + 1)
    return int((places - np.searchsorted(np.array(freed, np.int64), written, "right")).max())


def _in_order(turns: Sequence[tuple[Fifo, int, int]], rounds: int) -> NDArray[np.int64]:
    """Return when each beat that a bus takes from FIFOs could be read, in the bus's order."""
    ready = {
        id(fifo): np.array(fifo.ready, np.int64).reshape(rounds, beats) for fifo, _, beats in turns
    }
    return np.stack([ready[id(fifo)][:, place] for fifo, place, _ in turns], axis=1).ravel()


def _arrays(logs: Sequence[Sequence[int]]) -> list[NDArray[np.int64]]:
    """Return the logs as arrays: to convert all of them together is faster than one by one."""
    ends = np.cumsum([len(log) for log in logs])
    return np.split(np.fromiter(chain.from_iterable(logs), np.int64, ends[-1]), ends[:-1])


def _peak_words(
    fifos: Iterable[tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, ...]]],
) -> int:
    """Return the most words that any FIFO of psums held at a time.

    Each with the cycles in which its beats were written, those from which their places could be
    written again, and the words of a burst's beats.
    """
    # FIFOs of equal beats are looked at together.
    alike: dict[tuple[tuple[int, ...], int], list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}
    for written, freed, beats in fifos:
        alike.setdefault((beats, written.size), []).append((written, freed))
    peak = 0
    for (beats, count), dates in alike.items():
        if len(set(beats)) > 1:
            ends = np.concatenate([[0], np.cumsum(np.tile(beats, count // len(beats)))])
            for written, freed in dates:
                gone = ends[np.searchsorted(freed, written, "right")]
                peak = max(peak, int((ends[1:] - gone).max()))
            continue
        written, freed = (np.stack(logs) for logs in zip(*dates, strict=True))
        # Whether some FIFO ever holds so many beats is one comparison of all logs, and a yes for
        # fewer follows from a yes for more: search by doubling from the peak so far, then halving.
        # Most FIFOs hold few beats; to count them at each date takes a search for every beat.
        reached, beyond, step = peak // beats[0], count + 1, 1
        while beyond - reached > 1:
            held = min(reached + step, (reached + beyond) // 2)
            # Beat i is there when beat i + held - 1 is written, for some i.
            if (freed[:, : count - held + 1] > written[:, held - 1 :]).any():
                reached, step = held, 2 * step
            else:
                beyond, step = held, 1
        peak = max(peak, reached * beats[0])
    return peak


def _ifmap_fifos(feed: Stream, bus: FeedBus, pes: Sequence[PE]) -> QueueUse:
    """Return the use of the PEs' ifmap FIFOs; the bus writes a word to several of them."""
    written = np.array(bus.log, np.int64)
    able = np.repeat(np.array(bus.lines.ready, np.int64), bus.line_words)[: written.size]
    free = written[:-1] + 1
    if bus.words_per_cycle > 1:
        # The next word may go in the same cycle, until so many have.
        sent = np.arange(1, written.size) - np.searchsorted(written, written[:-1])
        free -= sent < bus.words_per_cycle
    np.maximum(able[1:], free, out=able[1:])
    blocked = int(written.sum() - able.sum())
    if blocked:  # the bus waits for a word to leave a full FIFO, and for nothing else
        return QueueUse(bus.fifo_words, blocked)
    places: list[list[int]] = [[] for _ in pes]
    words = [beat.pes for beat in feed.pattern for _ in range(beat.words)]
    for place, reached in enumerate(words):
        for number in reached:
            places[number].append(place)
    by_column = written.reshape(feed.times, -1)
    peak = 0
    for pe, mine in zip(pes, places, strict=True):
        freed = np.array(pe.port.entered, np.int64) + 1
        peak = max(peak, _peak(freed, by_column[:, mine].ravel()))
    return QueueUse(peak, 0)
