"""What the DRAM link carries beside filters: ifmap strips and ofmap blocks.

Sizes, and the form of the answer; when they move is the engine's and the closed form's business
(docs/machine.md 3, 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from sim.plan.rlc import WORD_BITS, expected_words64, pairs_of, pairs_per_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from workloads.layer import Layer


@dataclass(frozen=True, slots=True)
class DramStall:
    """Cycles in which the array waits for tiles, and the bits of these on the link.

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


Coding: TypeAlias = Literal["raw", "expected", "words"]
"""How a tensor crosses the link: as it is, coded with the size expected of its share of zeros, or
coded with the size that its own words have."""

_MANY = 10**9  # words, so that nothing is lost in rounding up


@lru_cache(maxsize=1024)
def _coded_bits(words: int, zero_fraction: float, level_bits: int) -> int:
    """Return the coded bits of a tile; cached, as a layer has thousands of tiles of few sizes."""
    return expected_words64(words, zero_fraction, level_bits) * WORD_BITS


@dataclass(frozen=True, slots=True)
class Traffic:
    """How the words of a layer cross the link; an ofmap has the width of the ifmap that it becomes.

    A zero fraction of None means that the words go as they are: nothing is known of them, the code
    would be no smaller, or they may not be coded: the network's input, or on a chip without
    run-length coding. `beat` is core cycles per beat.
    """

    word_bits: int
    link_bits: int
    beat: Fraction
    ifmap_zero_fraction: float | None
    ofmap_zero_fraction: float | None
    ifmap_codable: bool = False
    ofmap_codable: bool = False

    @classmethod
    def of(cls, layer: Layer, hw: Hardware) -> Traffic:
        """Return the traffic of a layer on a chip."""
        bits = hw.word_bits.ifmap
        coded = hw.dram.rlc and pairs_per_word(bits) > 0
        ifmap_coded = coded and not layer.network_input

        def gaining(fraction: float | None) -> float | None:
            # Asked of the share alone, so that a tensor is the same as an ofmap and as an ifmap.
            if fraction is None or _coded_bits(_MANY, fraction, bits) >= _MANY * bits:
                return None
            return fraction

        return cls(
            word_bits=bits,
            link_bits=hw.dram.link_bits,
            beat=hw.link_beat_cycles,
            ifmap_zero_fraction=gaining(layer.ifmap_zero_fraction) if ifmap_coded else None,
            ofmap_zero_fraction=gaining(layer.ofmap_zero_fraction) if coded else None,
            ifmap_codable=ifmap_coded,
            ofmap_codable=coded,
        )

    @property
    def coding(self) -> dict[str, Coding]:
        """How `ifmap` and `ofmap` cross where no real words move."""
        return {
            "ifmap": "raw" if self.ifmap_zero_fraction is None else "expected",
            "ofmap": "raw" if self.ofmap_zero_fraction is None else "expected",
        }

    def _bits(self, words: int, zero_fraction: float | None) -> int:
        if zero_fraction is None:
            return words * self.word_bits
        return _coded_bits(words, zero_fraction, self.word_bits)

    def ifmap_bits(self, words: int) -> int:
        """Return the bits on the link of an ifmap strip of `words`."""
        return self._bits(words, self.ifmap_zero_fraction)

    def ofmap_bits(self, words: int) -> int:
        """Return the bits on the link of `words` of ofmap."""
        return self._bits(words, self.ofmap_zero_fraction)

    def ticks(self, bits: int) -> int:
        """Return the time on the link, in ticks of `beat.denominator` per core cycle."""
        return -(-bits // self.link_bits) * self.beat.numerator

    def real_bits(
        self, tiles: Sequence[RealTile], *, codable: bool
    ) -> tuple[Coding, tuple[int, ...]]:
        """Return how a tensor of real words crosses the link, and the bits of each of its tiles.

        Coded where all of its tiles together are smaller so.
        """
        raw = tuple(tile.words * self.word_bits for tile in tiles)
        if codable:
            pairs = pairs_per_word(self.word_bits)
            coded = tuple(-(-tile.pairs // pairs) * WORD_BITS for tile in tiles)
            if sum(coded) < sum(raw):
                return "words", coded
        return "raw", raw


class RealTile(NamedTuple):
    """An ifmap strip or an ofmap block of real words: how many, and the pairs of their code."""

    words: int
    pairs: int

    @classmethod
    def of(cls, zero: NDArray[np.bool_]) -> RealTile:
        """Return the tile of a stream of words that are zero where `zero` is."""
        return cls(zero.size, pairs_of(zero))
