"""Total latency in closed form: the time in which the array stands still for DRAM.

An ifmap strip that is not loaded ahead costs its own time on the link. The ofmap of an m-block
leaves while the filter blocks behind it still compute; what the link does not manage by then, and
the last filter block's part, is waited for. With more overlap only what the link has too little
time for is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.plan.tiles import Standstill, Traffic

if TYPE_CHECKING:
    from sim.plan.schedule import Plan


@dataclass(frozen=True, slots=True)
class PassTime:
    """A kind of pass on the tiles' scale: cycles, and link ticks of the filters of such a pass."""

    cycles: int
    filter_ticks: int


# (images, strip rows, filters, channels, first channel block) -> the time of such a pass
PassTimes = dict[tuple[int, int, int, int, bool], PassTime]


def _spare(passes: Sequence[PassTime], per_cycle: int, buffer_ticks: int) -> list[int]:
    """Link ticks that filters leave in each pass of a channel block.

    During a pass the link brings what is missing of its own filters, then those of the next one as
    far as the buffer holds them. Another channel block of the same filters comes before and after.
    """
    spare: list[int] = []
    ahead = min(passes[0].filter_ticks, buffer_ticks)
    for _ in range(2):  # the second time with what the channel block before leaves behind
        spare = []
        for place, step in enumerate(passes):
            following = passes[(place + 1) % len(passes)]
            left = max(0, step.cycles * per_cycle - (step.filter_ticks - ahead))
            ahead = min(following.filter_ticks, buffer_ticks, left)
            spare.append(left - ahead)
    return spare


def standstill(plan: Plan, times: PassTimes) -> Standstill:
    """The standstill of a layer whose passes take `times`."""
    layer, hw = plan.layer, plan.hw
    traffic = Traffic.of(layer, hw)
    per_cycle = traffic.beat.denominator
    latency = hw.dram.first_access_latency_cycles * per_cycle
    overlap = hw.dram.overlap
    buffer_bits = hw.glb.filter_banks * hw.glb.bank_bytes * 8
    buffer_ticks = buffer_bits // hw.dram.link_bits * traffic.beat.numerator
    ifmap_cycles = ofmap_cycles = ifmap_bits = ofmap_bits = 0
    link_ticks = spare_ticks = 0
    first_load = last_dump = 0

    for images, image_blocks in Counter(plan.image_blocks).items():
        for strip, strips in Counter(plan.strips).items():
            for m_block, m_blocks in Counter(plan.m_blocks).items():
                many = layer.G * image_blocks * strips * m_blocks
                filters = plan.filter_blocks(m_block)
                tiles = []
                for place, channels in enumerate(plan.channel_blocks):
                    words = images * channels * layer.ifmap_rows(strip) * layer.ifmap_columns
                    bits = traffic.ifmap_bits(words)
                    passes = [times[images, strip, f, channels, place == 0] for f in filters]
                    spare = _spare(passes, per_cycle, buffer_ticks)
                    tiles.append((traffic.ticks(bits) + latency, bits, spare))
                ifmap_bits += many * sum(bits for _, bits, _ in tiles)
                parts = list(filters)
                if hw.dram.ofmap_dump == "m_block":
                    parts = [0] * (len(filters) - 1) + [m_block]
                dumps = [traffic.ofmap_bits(images * f * strip * layer.F) for f in parts]
                ofmap_bits += many * sum(dumps)
                dump_ticks = [traffic.ticks(bits) + latency if bits else 0 for bits in dumps]

                loads = [ticks for ticks, _, _ in tiles]
                first_load, last_dump = first_load or loads[0], dump_ticks[-1]
                link_ticks += many * (sum(loads) + sum(dump_ticks))
                spare_ticks += many * sum(sum(spare) for _, _, spare in tiles)
                # While the last strip's passes run, the link has the dumps to do (and, where
                # ifmaps are loaded ahead, the next strip before them).
                backlog = 0 if overlap == "none" else loads[0]
                for left, ticks in zip(tiles[-1][2], dump_ticks, strict=True):
                    backlog = max(0, backlog - left) + ticks
                ofmap_cycles += many * -(-backlog // per_cycle)
                if overlap == "none":
                    ifmap_cycles += many * sum(-(-ticks // per_cycle) for ticks in loads)
                else:
                    waits = (
                        max(0, ticks - sum(before[2]))
                        for ticks, before in zip(loads[1:], tiles, strict=False)
                    )
                    ifmap_cycles += many * sum(-(-ticks // per_cycle) for ticks in waits)
    if overlap == "ifmap":
        ifmap_cycles += -(-first_load // per_cycle)
    if overlap == "full":
        ifmap_cycles = -(-first_load // per_cycle)
        behind = max(last_dump, link_ticks - first_load - spare_ticks)
        ofmap_cycles = -(-behind // per_cycle)
    return Standstill(ifmap_cycles, ofmap_cycles, ifmap_bits, ofmap_bits)
