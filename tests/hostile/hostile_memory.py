"""Commands whose memory is measured, in processes of their own, and files nearly too large.

A test in this folder imports from here by name: `from hostile_memory import peak`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workloads.inputs.document import MAX_BYTES, MAX_VALUES

BOUND = 1 << 30
ADDRESSES = 3 << 30  # address space: what breaks the bound by far is stopped before it hurts
PROGRAM = r"""
import re, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (%d, %d))
seconds = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
from sim.cli import main
code = main()
# Not ru_maxrss: a process starts with that of the one that started it.
status = Path("/proc/self/status").read_text()
print("peak", re.search(r"VmHWM:\s*(\d+) kB", status)[1], file=sys.stderr)
sys.exit(code)
""" % (ADDRESSES, ADDRESSES)  # noqa: UP031  braces of the program


def slow(case: str) -> Any:
    """A case that takes its time."""
    return pytest.param(case, marks=pytest.mark.slow)


def peak(argv: str, folder: Path, seconds: int = 60, **files: str) -> tuple[int, int, str]:
    """Exit code, peak of resident bytes and last words of a command in a process of its own.

    It is killed where it computes for longer than `seconds`.
    """
    if sys.platform != "linux":
        pytest.skip("limits and units of memory are Linux's")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seconds), *argv.split()],
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    *told, last = done.stderr.splitlines() or [""]
    assert last.startswith("peak "), f"no end after {seconds} seconds: {done.stderr[-2000:]}"
    return done.returncode, int(last.split()[1]) * 1024, "\n".join(told)


def many(entry: str, before: str = "", after: str = "", values: int = 1) -> str:
    """A file of nearly all that is read, full of an entry of so many values; `%x` counts."""
    longest = len(entry.replace("%x", "fffff"))
    room = (MAX_BYTES - len(before) - len(after) - 1) // longest
    count = min(room, (MAX_VALUES - 50) // values)
    return before + "".join(entry.replace("%x", f"{n:x}") for n in range(count)) + after
