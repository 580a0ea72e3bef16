"""Ctrl-C in the middle: a real SIGINT, exit code 130, one word on stderr, every file as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# Tells when the first pass is simulated, so that the signal comes in the middle and not before.
PROGRAM = """
import os, sys
from sim.cli import main
from sim.engine.machine import Machine
run = Machine.run
def told(machine):
    open(os.environ["STARTED"], "w").close()
    return run(machine)
Machine.run = told
sys.exit(main())
"""
LONG = [
    "run vgg16 --every-pass --json old.json",
    "run vgg16 --every-pass --jobs 2 --json old.json",
    "run alexnet --values --ofmap old.npz --json old.json",
    "run vgg16 --every-pass --trace old.trace",
    "check --random 1000000 --json old.json",
    "validate vgg16 --hw ./slow.yaml --json old.json",
]
SLOW = "base: eyeriss_v1\nclock: {core_mhz: 199.999}\n"


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("argv", LONG)
def test_ctrl_c_leaves_everything_as_it_was(
    argv: str, tmp_path: Path, count: Callable[[str, str, int], None]
) -> None:
    count("bad inputs", "Ctrl-C in the middle", 1)
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "slow.yaml").write_text(SLOW)
    for name in ("old.json", "old.npz", "old.trace"):
        (folder / name).write_text(f"the {name} of before")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    started = tmp_path / "started"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *argv.split()],
        cwd=folder,
        env={**os.environ, "STARTED": str(started)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not started.exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it, too
        _, stderr = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert stderr == "interrupted\n"
    assert process.returncode == 130
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
