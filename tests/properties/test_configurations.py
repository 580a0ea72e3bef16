"""Layers of several configurations, against a counter that walks filter by filter.

A configuration of the chip holds so many filters and channels (docs/machine.md sections 6 and 8).
The plan decides where blocks are cut, and engine and closed form both believe it; so here nothing
of the plan is used. Each filter and channel is put into its block one at a time.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import pytest

from hw_models.load import load_hardware
from sim.analytic.form import estimate_layer
from sim.dataflow.row_stationary.mapping import Mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.layer_run import simulate_layer
from sim.errors import MappingError
from sim.mapper.choose import choose_mappings
from sim.plan.make import make_plan
from workloads.layer import Layer
from workloads.network import load_network


def blocks(total: int, share: int, size: int) -> list[list[int]]:
    """Put each number below `total` into its block: a new one where it is full or a share ends."""
    found: list[list[int]] = []
    for item in range(total):
        if item % share == 0 or len(found[-1]) == size:
            found.append([])
        found[-1].append(item)
    return found


@dataclass(frozen=True)
class Walked:
    """What a walk over all passes of a layer finds."""

    passes: int
    configurations: int
    counts: dict[str, int]
    channels: set[int]
    filters: set[int]


def walked(layer: Layer, batch: int, m: Mapping, most: tuple[int, int]) -> Walked:
    """Walk through the passes of a layer, `most` filters and channels to a configuration."""
    most_filters, most_channels = most
    counts: Counter[str] = Counter()
    passes = 0
    configured: set[object] = set()
    room = 0  # filters that the configuration still takes, of whole groups
    channel_sizes: set[int] = set()
    filter_sizes: set[int] = set()
    for group in range(layer.G):
        if layer.Mg > room:
            room, group_of = most_filters, group
        room -= layer.Mg
        for first_image in range(0, batch, m.n):
            images = min(m.n, batch - first_image)
            for first_row in range(0, layer.E, m.e):
                strip = min(m.e, layer.E - first_row)
                words = images * ((strip - 1) * min(layer.U, layer.R) + layer.R)
                words *= (layer.F - 1) * min(layer.V, layer.S) + layer.S
                for m_block in blocks(layer.Mg, most_filters, m.m):
                    for place, channels in enumerate(blocks(layer.C, most_channels, m.q * m.r)):
                        wanted: object = group_of
                        if layer.C > most_channels:
                            share = channels[0] // most_channels
                            wanted = group, first_image, first_row, m_block[0], share
                        elif layer.Mg > most_filters:
                            wanted = group, m_block[0] // most_filters
                        configured.add(wanted)
                        counts["dram.ifmap.read"] += words * len(channels)
                        for filters in blocks(len(m_block), len(m_block), m.p * m.t):
                            passes += 1
                            psums = images * strip * layer.F * len(filters)
                            counts["glb.ifmap.read"] += words * len(channels)
                            counts["glb.psum.write"] += psums
                            counts["glb.psum.read"] += psums if place else 0
                            taken = len(filters) * len(channels) * layer.R * layer.S
                            counts["glb.filter.read"] += taken
                            counts["mac.total"] += psums * len(channels) * layer.R * layer.S
                            channel_sizes.add(len(channels))
                            filter_sizes.add(len(filters))
    return Walked(passes, len(configured), dict(counts), channel_sizes, filter_sizes)


def compared(plan: Plan, *, engine: bool = True) -> Walked:
    limits = plan.hw.limits
    most = limits.filters[1], limits.channels[1]
    found = walked(plan.layer, plan.batch, plan.mapping, most)
    told = [estimate_layer(plan).counts, *([simulate_layer(plan).counts] if engine else [])]
    for counts in told:
        assert {name: counts[name] for name in found.counts} == found.counts
    assert plan.passes == found.passes
    assert plan.configurations == found.configurations
    shapes = plan.classes
    assert {sum(shape.channels) for shape in shapes} == found.channels
    assert {sum(shape.filters) for shape in shapes} == found.filters
    assert max(found.channels) <= most[1]
    return found


def test_a_pass_takes_no_more_channels_than_a_configuration() -> None:
    hw = load_hardware("eyeriss_v1", ["limits.channels=[1,2]"])
    layer = Layer(name="L", M=8, C=12, H=6, W=6, R=3, S=3)
    mapping = Mapping(m=8, n=1, e=4, p=8, q=3, r=2, t=1)
    plan = make_plan(layer, 1, hw, mapping)
    assert compared(plan).channels == {2}
    assert plan.configurations == 6
    assert (plan.mapping.q, plan.mapping.r) == (2, 1)


@pytest.mark.parametrize(
    ("groups", "filters", "most", "count"),
    [(4, 8, 8, 1), (4, 8, 6, 2), (4, 8, 2, 4), (4, 8, 1, 8), (3, 15, 8, 3), (5, 10, 5, 3)],
)
def test_filters_of_a_configuration_are_those_of_all_its_groups(
    groups: int, filters: int, most: int, count: int
) -> None:
    """Of 4 groups of 2 filters a configuration for 6 takes three, then one."""
    hw = load_hardware("eyeriss_v1", [f"limits.filters=[1,{most}]"])
    layer = Layer(name="L", G=groups, M=filters, C=2, H=3, W=3, R=2, S=2)
    plan = make_plan(layer, 1, hw, Mapping(m=1, n=1, e=2, p=1, q=2, r=1, t=1))
    compared(plan)
    assert plan.configurations == count


def test_random_layers_of_several_configurations() -> None:
    draw = random.Random(5)
    tried = several = 0
    while tried < 120:
        most = draw.randint(1, 9), draw.randint(1, 7)
        hw = load_hardware(
            "eyeriss_v1", [f"limits.filters=[1,{most[0]}]", f"limits.channels=[1,{most[1]}]"]
        )
        groups = draw.choice([1, 1, 2, 3, 5])
        layer = Layer(
            name="L", G=groups, M=groups * draw.randint(1, 20), C=draw.randint(1, 16),
            H=draw.randint(3, 6), W=draw.randint(3, 5), R=draw.randint(1, 3), S=draw.randint(1, 3),
        )  # fmt: skip
        mapping = Mapping(
            m=draw.randint(1, most[0]), n=draw.randint(1, 2), e=draw.randint(1, 4),
            p=draw.randint(1, 4), q=draw.randint(1, 4), r=draw.randint(1, 3), t=draw.randint(1, 3),
        )  # fmt: skip
        try:
            plan = make_plan(layer, draw.randint(1, 2), hw, mapping)
        except MappingError:
            continue
        tried += 1
        several += plan.configurations > 1
        compared(plan, engine=tried % 4 == 0)
    assert several > 60


@pytest.mark.parametrize(
    ("network", "layers"),
    [("alexnet", ["FC6", "FC7", "FC8"]), ("resnet50", ["CONV5_1c", "CONV5_2a", "FC"])],
)
def test_no_block_of_the_shipped_networks_reaches_over_1024(
    network: str, layers: list[str]
) -> None:
    hw = load_hardware("eyeriss_v1")
    whole = load_network(network)
    for layer in whole.layers:
        if layer.name in layers:
            (choice,) = choose_mappings("auto", network, (layer,), 1, hw)
            assert not isinstance(choice, MappingError)
            compared(make_plan(layer, 1, hw, choice.mapping), engine=False)


def test_channels_of_resnets_last_layers_are_58_blocks() -> None:
    """2048 channels in blocks of 36 would be 57; of two shares of 1024 each is 29."""
    layer = Layer(name="L", M=32, C=2048, H=1, W=1, R=1, S=1)
    mapping = Mapping(m=32, n=1, e=1, p=8, q=12, r=3, t=4)
    plan = make_plan(layer, 1, load_hardware("eyeriss_v1"), mapping)
    assert len(plan.channel_blocks) == 58
    compared(plan, engine=False)
