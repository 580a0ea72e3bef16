"""The DRAM link, a core cycle at a time (docs/machine.md sections 3 and 8).

Times are fractions of core cycles: a beat takes 10/3 of them on the chip.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from math import ceil

from hw_models.spec import Hardware


class FilterLink:
    """Brings the filters of the running pass, then those of the next one, beat by beat."""

    def __init__(self, hw: Hardware, words: list[int]) -> None:
        self.beat_cycles = hw.link_beat_cycles
        self.beat_words = hw.dram.link_bits // hw.word_bits.filter
        self.latency = hw.dram.first_access_latency_cycles
        self.places = hw.glb.filter_banks * hw.glb.bank_bytes * 8 // hw.word_bits.filter
        self.taken = 0  # places of words that are there or on the way
        self.freed = 0  # of these, words read in this cycle
        self.to_fetch = list(words)  # of each pass
        self.there = [0] * len(words)
        self.running = 0  # the pass whose filters the array reads
        self.fetching = 0  # the pass whose filters the link brings
        self.first = True
        self.waiting = Fraction(0)  # for the first access
        self.carrying = Fraction(0)  # time that the beat under way still takes
        self.under_way = 0  # its words
        self.arrived: list[tuple[int, int]] = []  # in this cycle: pass and words of each beat

    def readable(self, words: int) -> bool:
        return self.there[self.running] >= words

    def read(self, words: int) -> None:
        self.there[self.running] -= words
        self.freed += words

    def step(self) -> Fraction:
        """Pass a cycle; return the part of it that the link has left for tiles."""
        time = Fraction(1)
        carried = Fraction(0)
        self.arrived = []
        while time and (self.waiting or self.carrying or self.begin_beat()):
            if self.waiting:
                part = min(time, self.waiting)
                self.waiting -= part
            else:
                part = min(time, self.carrying)
                self.carrying -= part
                carried += part
                if not self.carrying:
                    self.arrived.append((self.fetching, self.under_way))
            time -= part
        return 1 - carried

    def begin_beat(self) -> bool:
        """Begin the next beat, where there is one and places for its words."""
        if not self.to_fetch[self.fetching]:
            following = self.fetching + 1
            if following == len(self.to_fetch) or following > self.running + 1:
                return False
            self.fetching = following
            self.first = True
        words = min(self.beat_words, self.to_fetch[self.fetching])
        # Ahead of its pass the link does not know how short the last beat will be.
        needed = words if self.fetching == self.running else self.beat_words
        if self.taken + needed > self.places:
            return False
        self.taken += words
        self.to_fetch[self.fetching] -= words
        self.under_way = words
        self.waiting = Fraction(self.latency if self.first else 0)
        self.carrying = self.beat_cycles
        self.first = False
        return True

    def end_of_cycle(self) -> None:
        for number, words in self.arrived:
            self.there[number] += words
        self.taken -= self.freed
        self.freed = 0

    def next_pass(self) -> None:
        self.running += 1


class Tiles:
    """Ifmap strips and ofmap blocks, served in the order in which they were issued."""

    def __init__(self, hw: Hardware) -> None:
        self.link_bits = hw.dram.link_bits
        self.beat_cycles = hw.link_beat_cycles
        self.latency = hw.dram.first_access_latency_cycles
        self.queue: deque[tuple[int, Fraction]] = deque()
        self.issued = 0
        self.done = 0

    def issue(self, bits: int) -> int:
        """Put a tile behind the others; return its number."""
        beats = ceil(Fraction(bits, self.link_bits))
        self.issued += 1
        self.queue.append((self.issued, self.latency + beats * self.beat_cycles))
        return self.issued

    def step(self, time: Fraction, wanted: int | None = None) -> None:
        """Give the tiles so much of a cycle, up to the end of the one that the array waits for."""
        while self.queue and time and self.done != wanted:
            number, left = self.queue.popleft()
            part = min(time, left)
            time -= part
            if left > part:
                self.queue.appendleft((number, left - part))
            else:
                self.done = number
