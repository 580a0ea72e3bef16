"""What the DRAM link carries beside filters: ifmap strips and ofmap blocks.

Sizes, and the form of the answer; when they move is the engine's and the closed form's business
(docs/machine.md 3, 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from sim.plan.rlc import WORD_BITS, expected_words64, pairs_per_word

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from workloads.layer import Layer


@dataclass(frozen=True, slots=True)
class Standstill:
    """Cycles in which the array stands still for tiles, and the bits of these on the link.

    Bits are those after run-length coding, where it is on.
    """

    ifmap_cycles: int
    ofmap_cycles: int
    ifmap_bits: int
    ofmap_bits: int

    @property
    def cycles(self) -> int:
        """All of the standstill."""
        return self.ifmap_cycles + self.ofmap_cycles


@lru_cache(maxsize=1024)
def _coded_bits(words: int, zero_fraction: float, level_bits: int) -> int:
    """A layer has thousands of tiles of few sizes."""
    return expected_words64(words, zero_fraction, level_bits) * WORD_BITS


@dataclass(frozen=True, slots=True)
class Traffic:
    """How the words of a layer cross the link; an ofmap has the width of the ifmap that it becomes.

    A zero fraction of None means that the words go as they are: the first layer's ifmap, data of
    which nothing is known, or a chip without run-length coding. `beat` is core cycles per beat.
    """

    word_bits: int
    link_bits: int
    beat: Fraction
    ifmap_zero_fraction: float | None
    ofmap_zero_fraction: float | None

    @classmethod
    def of(cls, layer: Layer, hw: Hardware) -> Traffic:
        """The traffic of a layer on a chip."""
        coded = hw.dram.rlc and pairs_per_word(hw.word_bits.ifmap) > 0
        return cls(
            word_bits=hw.word_bits.ifmap,
            link_bits=hw.dram.link_bits,
            beat=hw.link_beat_cycles,
            ifmap_zero_fraction=layer.ifmap_zero_fraction
            if coded and not layer.network_input
            else None,
            ofmap_zero_fraction=layer.ofmap_zero_fraction if coded else None,
        )

    def _bits(self, words: int, zero_fraction: float | None) -> int:
        if zero_fraction is None:
            return words * self.word_bits
        return _coded_bits(words, zero_fraction, self.word_bits)

    def ifmap_bits(self, words: int) -> int:
        """Bits on the link of an ifmap strip of `words`."""
        return self._bits(words, self.ifmap_zero_fraction)

    def ofmap_bits(self, words: int) -> int:
        """Bits on the link of `words` of ofmap."""
        return self._bits(words, self.ofmap_zero_fraction)

    def ticks(self, bits: int) -> int:
        """Time on the link, in ticks of `beat.denominator` a core cycle."""
        return -(-bits // self.link_bits) * self.beat.numerator
