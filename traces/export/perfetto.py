"""Chrome trace JSON, for ui.perfetto.dev."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hw_models.vocabulary import CAUSES
from traces.events import ACTIONS, KINDS
from traces.export.selection import Selected
from traces.export.tracks import Tracks
from traces.reader import LayerTrace, Trace
from traces.text import set_text


def write_perfetto(trace: Trace, layer: LayerTrace, chosen: Selected, out: IO[bytes]) -> None:
    """Write Chrome trace JSON, which Perfetto opens: a track for each PE, bus and port.

    What a PE waits for is a slice between its events, with the cause's name. A slice never
    overlaps the next one of its track, as the format asks; `args.cycles` has the full duration of
    an event that the next one overtakes.
    """
    events, stalls = chosen.events, chosen.stalls
    tracks = Tracks.of(trace, chosen)
    groups = sorted({group for group, _ in tracks.names})
    about = {
        "network": trace.description["network"],
        "layer": layer.name,
        "program": trace.description["program"],
        "time unit": "1 us in this file is 1 core cycle of the layer's processing latency",
    }
    out.write(
        f'{{"displayTimeUnit":"ms","otherData":{json.dumps(about)},"traceEvents":[\n'.encode()
    )
    out.write(",\n".join(_perfetto_names(tracks, groups)).encode())
    gaps = _until_next(tracks.of_row, events.start)
    duration = np.minimum(events.duration, gaps)
    labels: dict[int, str] = {}
    for row in range(len(events)):
        track = int(tracks.of_row[row])
        group = tracks.names[track][0]
        for number in (int(events.source[row]), int(events.destination[row])):
            if number not in labels:
                labels[number] = set_text(trace.layout, trace.sets[number], most=256)
        kind = KINDS[int(events.kind[row])]
        action = ACTIONS[int(events.action[row])]
        data = events.words_of(row).tolist()
        args: dict[str, Any] = {
            "cycle": int(events.start[row]),
            "cycles": int(events.duration[row]),
            "words": int(events.words[row]),
            "pass": int(events.pass_[row]),
            "from": labels[int(events.source[row])],
            "to": labels[int(events.destination[row])],
            **({"data": data} if data else {}),
        }
        slice_: dict[str, Any] = {
            "ph": "X",
            "name": action if kind == "none" else f"{action} {kind}",
            "cat": group,
            "pid": groups.index(group) + 1,
            "tid": track + 1,
            "ts": int(events.start[row]),
            "dur": int(duration[row]),
            "args": args,
        }
        out.write(b",\n" + json.dumps(slice_, separators=(",", ":")).encode())
    for row in range(len(stalls)):
        track = int(tracks.of_stall[row])
        slice_ = {
            "ph": "X",
            "name": CAUSES[int(stalls.cause[row])],
            "cat": "stalls",
            "pid": groups.index(tracks.names[track][0]) + 1,
            "tid": track + 1,
            "ts": int(stalls.start[row]),
            "dur": int(stalls.duration[row]),
            "args": {"cycle": int(stalls.start[row]), "cycles": int(stalls.duration[row]),
                     "pass": int(stalls.pass_[row])},
        }  # fmt: skip
        out.write(b",\n" + json.dumps(slice_, separators=(",", ":")).encode())
    out.write(b"\n]}\n")


def _perfetto_names(tracks: Tracks, groups: list[str]) -> Iterator[str]:
    for place, group in enumerate(groups):
        yield json.dumps(
            {"ph": "M", "name": "process_name", "pid": place + 1, "args": {"name": group}}
        )
    for track, (group, name) in enumerate(tracks.names):
        at = {"pid": groups.index(group) + 1, "tid": track + 1}
        yield json.dumps({"ph": "M", "name": "thread_name", **at, "args": {"name": name}})


def _until_next(track: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the cycles until the next event of the same track starts."""
    order = np.lexsort((start, track))
    gaps = np.full(len(start), np.iinfo(np.int64).max, np.int64)
    if len(start) > 1:
        same = track[order][1:] == track[order][:-1]
        gaps[order[:-1]] = np.where(same, np.diff(start[order]), np.iinfo(np.int64).max)
    return gaps
