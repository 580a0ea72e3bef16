"""Thousands of random layers in one process: memory has a ceiling, and does not grow with them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_memory import peak

from sim.plan.limits import mib

CEILING = 512 << 20  # half of what a process may take, for what is kept of layers that are unlike


def random_network(layers: int, seed: int) -> str:
    """Small layers of all kinds, hardly any two alike, that the chip takes under some mapping."""
    draw = random.Random(seed)
    lines = [f"network: soak{seed}\nlayers:"]
    for number in range(layers):
        size, filter_size = draw.randint(1, 8), draw.randint(1, 3)
        size = max(size, filter_size)
        channels = draw.randint(1, 12)
        shape = f"name: L{number}, ifmap: {size}, channels: {channels}, filter: {filter_size}"
        if draw.random() < 0.15:
            lines.append(f"- {{{shape}, type: depthwise}}")
            continue
        padding, stride = draw.randint(0, filter_size - 1), draw.choice((1, 1, 2))
        lines.append(
            f"- {{{shape}, filters: {draw.randint(1, 12)}, stride: {stride}, padding: {padding}}}"
        )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("layers", [pytest.param(2000, marks=pytest.mark.slow), 20])
@pytest.mark.parametrize("link_mhz", ["60", pytest.param("59.999", marks=pytest.mark.slow)])
def test_random_layers_stay_under_a_fixed_ceiling(
    layers: int, link_mhz: str, tmp_path: Path, tell: Callable[[str, str], None]
) -> None:
    argv = f"run f.yaml -q --mapping auto --set clock.link_mhz={link_mhz}"
    code, used, told = peak(argv, tmp_path, 7200, f__yaml=random_network(layers, layers))
    tell("peak of memory, MiB", f"{mib(used):5} {layers} random layers, link of {link_mhz} MHz")
    assert code == 0, told[-500:]
    assert used < CEILING


@pytest.mark.slow
def test_random_cases_of_unlike_chips_stay_under_the_ceiling(
    tmp_path: Path, tell: Callable[[str, str], None]
) -> None:
    code, used, told = peak("check --random 2000 --seed 2000 -q", tmp_path, 7200)
    tell("peak of memory, MiB", f"{mib(used):5} 2000 random cases")
    assert code == 0, told[-500:]
    assert used < CEILING
