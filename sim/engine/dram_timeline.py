"""The layer on the time scale of tiles: passes, ifmap loads and ofmap dumps on one DRAM link.

docs/machine.md section 3, "Two latencies". The array runs pass after pass and stands still where a
strip is not there yet or psums must leave first; the link serves one job at a time. Filters go
before everything else while a pass runs, and tiles get what they leave. Nothing here competes, one
step follows the other, so a clock does where the passes themselves need a queue of events.

`dram.overlap` says what may cross the link while the array computes: nothing but the ofmap of
filter blocks that are done (`none`), also the next ifmap strip (`ifmap`), or whole ofmaps behind
the m-blocks that follow (`full`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sim.plan.dram_traffic import DramStall, Traffic

if TYPE_CHECKING:
    from hw_models.spec import Hardware


class TimedPass(NamedTuple):
    """A pass as the tiles see it: its cycles, the link time of its filters, and its tiles.

    Bits are those of the strip that is loaded before it and of the ofmap tile that leaves behind
    it where real words move; where they are None, tiles have the size that `Traffic` expects.
    """

    cycles: int
    filter_ticks: int
    ifmap_load_words: int
    ofmap_final_words: int
    ends_m_block: bool
    ifmap_load_bits: int | None = None
    ofmap_dump_bits: int | None = None


class TileLink:
    """The link's time for tiles: jobs in the order in which they were issued.

    A job issued while the array computes uses what filters leave; `finish` is where the array
    waits for it, with the link for itself.
    """

    def __init__(self, per_cycle: int) -> None:
        self.per_cycle = per_cycle
        self.backlog: deque[tuple[str, int, int]] = deque()

    def issue(self, kind: str, m_block: int, ticks: int) -> None:
        """Queue a tile of `ticks` that belongs to an m-block."""
        self.backlog.append((kind, m_block, ticks))

    def serve(self, ticks: int) -> None:
        """Work off the queue for `ticks` of link time."""
        while ticks > 0 and self.backlog:
            kind, m_block, left = self.backlog.popleft()
            if left > ticks:
                self.backlog.appendleft((kind, m_block, left - ticks))
            ticks -= left

    def finish(self, kind: str, m_block: int) -> int:
        """Work off every `kind` up to `m_block`, and what is queued before it.

        Returns the cycles that it takes, in which the array waits.
        """
        # Jobs never overtake each other: the last one that is waited for decides, and all that was
        # issued before it is served, and waited for, too.
        waiting = 0
        for place, (queued, block, _) in enumerate(self.backlog, start=1):
            if queued == kind and block <= m_block:
                waiting = place
        ticks = sum(self.backlog.popleft()[2] for _ in range(waiting))
        return -(-ticks // self.per_cycle)


class TileTimeline:
    """Runs the passes of a layer against the tiles on the link."""

    def __init__(self, hw: Hardware, traffic: Traffic, passes: Sequence[TimedPass]) -> None:
        self.hw = hw
        self.traffic = traffic
        self.passes = passes
        self.now = 0
        self.link = TileLink(traffic.beat.denominator)
        self.latency_ticks = hw.dram.first_access_latency_cycles * traffic.beat.denominator
        self.ifmap_cycles = self.ofmap_cycles = 0
        self.ifmap_bits = self.ofmap_bits = 0

    def run(self) -> DramStall:
        """Run the whole layer."""
        link, dram = self.link, self.hw.dram
        ahead = dram.overlap in ("ifmap", "full")
        each_filter_block = dram.ofmap_dump == "filter_block"
        loads = iter([self._strip(step) for step in self.passes if step.ifmap_load_words])
        m_block = 0
        held = 0
        if ahead:
            self._load(*next(loads), m_block)
        for step in self.passes:
            if step.ifmap_load_words:
                if not ahead:
                    self._load(*next(loads), m_block)
                self.ifmap_cycles += self._stand("ifmap", m_block)
                if ahead:
                    self._load(*next(loads, (0, 0)), m_block)
            self.now += step.cycles
            link.serve(step.cycles * link.per_cycle - step.filter_ticks)
            held += step.ofmap_final_words
            if held and (each_filter_block or step.ends_m_block):
                bits = step.ofmap_dump_bits
                self._dump(held, self.traffic.ofmap_bits(held) if bits is None else bits, m_block)
                held = 0
            if step.ends_m_block:
                # With room for two, only the psums of the m-block before must be gone by now.
                gone = m_block - 1 if dram.overlap == "full" else m_block
                self.ofmap_cycles += self._stand("ofmap", gone)
                m_block += 1
        self.ofmap_cycles += self._stand("ofmap", m_block)
        return DramStall(self.ifmap_cycles, self.ofmap_cycles, self.ifmap_bits, self.ofmap_bits)

    def _stand(self, kind: str, m_block: int) -> int:
        """Return the cycles in which the array waits for tiles of `kind` up to `m_block`."""
        cycles = self.link.finish(kind, m_block)
        self.now += cycles
        return cycles

    def _strip(self, step: TimedPass) -> tuple[int, int]:
        """Return the words and bits of the strip that is loaded before a pass."""
        words, bits = step.ifmap_load_words, step.ifmap_load_bits
        return words, self.traffic.ifmap_bits(words) if bits is None else bits

    def _load(self, words: int, bits: int, m_block: int) -> None:
        self.ifmap_bits += bits
        self._issue("ifmap", m_block, bits)

    def _dump(self, words: int, bits: int, m_block: int) -> None:
        self.ofmap_bits += bits
        self._issue("ofmap", m_block, bits)

    def _issue(self, kind: str, m_block: int, bits: int) -> None:
        if bits:
            ticks = self.traffic.ticks(bits) + self.latency_ticks
            self.link.issue(kind, m_block, ticks)
