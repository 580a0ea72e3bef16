"""What is written is the same to the byte on every Python.

From 3.12 on `sum` adds floats with a compensation, before that one after the other: the last digit
differs. So floats are added by `math.fsum`, which is exact, or by an explicit fold where the order
is a program's that is followed to its digits.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sim.cli import main

OWN = ("sim", "hw_models", "workloads", "traces")
add_up = builtins.sum


def sum_of_no_floats(items: Iterable[Any], /, start: Any = 0) -> Any:
    """`sum`, which fails where this project adds floats with it."""
    listed = list(items)
    frame = sys._getframe(1)
    if frame.f_globals["__name__"].partition(".")[0] in OWN:
        floats = add_up(isinstance(item, float) for item in (start, *listed))
        assert floats < 2, f"{frame.f_code.co_filename}:{frame.f_lineno} adds {floats} floats"
    return add_up(listed, start)


@pytest.mark.parametrize(
    "argv",
    [
        "validate alexnet --json out.json",
        "run lenet5 -v --energy eyeriss_65nm_calibrated --json out.json --report out.html",
        "estimate alexnet -v --precision alexnet_pruned --report out.html",
        "model first-order alexnet --json out.json",
        "model fodlam alexnet --json out.json",
        "check lenet5 --json out.json",
        "check --random 3 --json out.json",
        "audit alexnet --json out.json",
        "calibrate --json out.json",
    ],
)
def test_no_floats_are_added_by_a_sum_that_differs_between_versions(
    argv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builtins, "sum", sum_of_no_floats)
    assert main(argv.split()) == 0
