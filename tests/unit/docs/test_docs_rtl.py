"""docs/rtl.md: what each rule of the public RTL is worth, and the order of psums on the chip."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hw_models.load import load_hardware
from sim.reference.rtl import compare_with_rtl
from sim.reference.tables import load_rtl_passes
from sim.run import run

PAGE = (Path(__file__).parents[3] / "docs" / "rtl.md").read_text("utf-8")
RULES = re.findall(r"^\| `([^`|]+)` \| (.+) \|$", PAGE, re.MULTILINE)
CHIP = re.findall(r"^\| (AlexNet|VGG-16) \| (\d) beats \| (.+) \|$", PAGE, re.MULTILINE)


def test_the_tables_are_there() -> None:
    assert len(RULES) == 14
    assert len(CHIP) == 4


@pytest.mark.parametrize(("settings", "cells"), RULES)
def test_what_a_rule_is_worth(settings: str, cells: str) -> None:
    compared = compare_with_rtl(load_rtl_passes(), settings=settings.split())
    found = [
        text
        for part in compared.summary()
        for text in (f"{part.mean_percent:.2f}", f"{part.worst_percent:+.2f}")
    ]
    assert found == cells.split(" | ")


@pytest.mark.slow
@pytest.mark.parametrize(("network", "beats", "cells"), CHIP)
def test_what_the_order_of_psums_would_mean(network: str, beats: str, cells: str) -> None:
    words = 4 * int(beats)
    fifos = [f"pe.psum_in_fifo_words={words}", f"pe.psum_out_fifo_words={words}"]
    name = network.replace("-", "").lower()
    times = []
    for order in ("chain", "beat"):
        hw = load_hardware("eyeriss_v1", [f"noc.psum_order={order}", *fifos])
        result = run(name, layers=["CONV*"], hw=hw)
        times.append(sum(layer.processing_cycles for layer in result.layers) / 200_000)
    chain, beat = times
    assert cells == f"{chain:,.2f} | {beat:,.2f} | {100 * (beat / chain - 1):+.1f} %"
