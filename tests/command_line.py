"""Run a command of `eyeriss-sim` in this process, and find sections and rows of what it prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sim.cli import main

Capture = pytest.CaptureFixture[str]


def out(capsys: Capture, *args: str) -> str:
    assert main(list(args)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def data(capsys: Capture, *args: str) -> Any:
    return json.loads(out(capsys, *args, "--json", "-"))


def error(capsys: Capture, *args: str) -> str:
    assert main(list(args)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def section(text: str, title: str) -> list[str]:
    (block,) = (block for block in text.split("\n\n") if block.startswith(title))
    return block.splitlines()[1:]


def row(lines: list[str], name: str) -> list[str]:
    (found,) = (line.split() for line in lines if line.split()[:1] == [name])
    return found[1:]
