"""The trace file: event vocabulary, writer, reader, replay, diff, exports. Knows no simulator.

`traces.open(path)` gives a `Trace`; `FORMAT.md` beside this file specifies the format.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from sim.recorder import TraceRecorder
>>> from sim.run import prepare, simulate
>>> from traces.reader import open_trace
>>> prepared = prepare("lenet5", layers=["C1"], mapping="m=6,n=1,e=14,p=6,q=1,r=1,t=1")
>>> with TemporaryDirectory() as folder:
...     with TraceRecorder(Path(folder) / "c1.trace", prepared) as recorder:
...         result = simulate(prepared, observers=[recorder])
...     with open_trace(Path(folder) / "c1.trace") as trace:
...         trace.event_count(trace.layer("C1"))
27320
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from traces.header import TraceError

if TYPE_CHECKING:
    from pathlib import Path

    from traces.reader import Trace

__all__ = ["TraceError", "open"]


def open(path: Path | str) -> Trace:
    """Open a trace for reading; see `traces.reader.open_trace`."""
    from traces.reader import open_trace  # noqa: PLC0415 - h5py takes its time

    return open_trace(path)
