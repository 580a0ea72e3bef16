"""Value change dumps, for GTKWave and other viewers of waveforms."""

from __future__ import annotations

from collections import defaultdict
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from hw_models.vocabulary import CAUSES
from traces.columns import Events
from traces.export.selection import Selected, Stalls
from traces.export.tracks import Tracks
from traces.reader import LayerTrace, Trace

if TYPE_CHECKING:
    from vcd.writer import Variable, VCDWriter

    Changes = defaultdict[int, dict[Variable[Any], int | str]]

NO_STALL = "none"


def write_vcd(trace: Trace, layer: LayerTrace, chosen: Selected, out: IO[bytes]) -> None:
    """Write for each track `busy`, the `words` under way, and the number of `events` so far.

    The track of a PE has also `stall`: what it waits for, as text, and `none` while it works.
    """
    from vcd import VCDWriter  # noqa: PLC0415 (wanted for this alone)

    events, stalls = chosen.events, chosen.stalls
    tracks = Tracks.of(trace, chosen)
    text = TextIOWrapper(out, "ascii", newline="\n")
    with (
        VCDWriter(
            text,
            timescale="1 ns",
            date="",  # the same trace gives the same file
            version=_plain(trace.description["program"]),
            comment=f"network {_plain(trace.description['network'])}, layer {_plain(layer.name)}; "
            "1 ns in this file is 1 core cycle of the layer's processing latency",
            check_values=False,
            init_timestamp=min([*events.start[:1].tolist(), *stalls.start[:1].tolist()], default=0),
        ) as writer
    ):
        changes: Changes = defaultdict(dict)
        _add_stalls(writer, tracks, stalls, changes)
        _add_events(writer, tracks, events, changes)
        for cycle in sorted(changes):
            for variable, value in changes[cycle].items():
                writer.change(variable, cycle, value)
    text.detach()  # the caller's file stays open


def _scope(tracks: Tracks, track: int) -> tuple[str, str, str]:
    group, name = tracks.names[track]
    return "eyeriss", _identifier(group), _identifier(name)


def _add_stalls(writer: VCDWriter, tracks: Tracks, stalls: Stalls, changes: Changes) -> None:
    variables = {
        track: writer.register_var(_scope(tracks, track), "stall", "string", init=NO_STALL)
        for track in np.unique(tracks.of_stall).tolist()
    }
    for track, start, duration, cause in zip(
        tracks.of_stall.tolist(), stalls.start.tolist(), stalls.duration.tolist(),
        stalls.cause.tolist(), strict=True,
    ):  # fmt: skip
        changes[start][variables[track]] = CAUSES[cause]
        # Unless the next stall begins in that cycle.
        changes[start + duration].setdefault(variables[track], NO_STALL)


def _add_events(writer: VCDWriter, tracks: Tracks, events: Events, changes: Changes) -> None:
    for track in range(len(tracks.names)):
        scope = _scope(tracks, track)
        busy = writer.register_var(scope, "busy", "wire", 1, init=0)
        words = writer.register_var(scope, "words", "reg", 32, init=0)
        count = writer.register_var(scope, "events", "integer", 32, init=0)
        rows = np.flatnonzero(tracks.of_row == track)
        starts, ends = events.start[rows], (events.start + events.duration)[rows]
        cycles = np.unique(np.concatenate([starts, ends]))
        by_start, by_end = np.sort(starts), np.sort(ends)
        begun = np.searchsorted(by_start, cycles, side="right")
        ended = np.searchsorted(by_end, cycles, side="right")
        moved = np.concatenate([[0], np.cumsum(events.words[rows][np.argsort(starts)])])
        gone = np.concatenate([[0], np.cumsum(events.words[rows][np.argsort(ends)])])
        live, held = (begun > ended).astype(int), moved[begun] - gone[ended]
        for cycle, *levels in zip(
            cycles.tolist(), live.tolist(), held.tolist(), begun.tolist(), strict=True
        ):
            changes[cycle].update(zip((busy, words, count), levels, strict=True))


def _identifier(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).strip("_")


def _plain(text: object) -> str:
    return "".join(c for c in str(text) if c.isascii() and c.isprintable() and c != "$")[:200]
