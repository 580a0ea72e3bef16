"""Run-length coding of ifmaps and ofmaps on their way to DRAM and back (docs/machine.md section 4).

A pair is 5 bit of zero run and a level, as wide as the words that are coded; a 64-bit word holds as
many pairs as fit beside its flag bit: three with the chip's 16-bit words. A run above 31 spends a
pair of run 31 and level 0, which itself counts as a 32nd zero. The flag marks the last word of a
stream (JSSC 2017, section V-C).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RUN_BITS = 5
WORD_BITS = 64
LONGEST_RUN = (1 << RUN_BITS) - 1
_FLAG = 1 << (WORD_BITS - 1)
# Pairs a word are taken to nine decimal places, rounded up.
_SCALE = 10**9


def pairs_per_word(level_bits: int) -> int:
    """Return the pairs in a 64-bit word beside its flag; 0 where a level is too wide for any."""
    return (WORD_BITS - 1) // (RUN_BITS + level_bits)


def encode(words: Sequence[int] | NDArray[np.integer], level_bits: int = 16) -> NDArray[np.uint64]:
    """Encode two's complement words of `level_bits` as a stream of 64-bit words.

    Pairs fill a 64-bit word from its low end, each as level, then run above it; bit 63 is the flag.
    What the last word has no pairs for is zero. A stream that ends in zeros ends in a pair whose
    level is the last of them, so decoding needs its length; an empty stream has no word at all.

    Raises:
        ValueError: a word is not a whole number of `level_bits`, or no pair of them fits 64 bit.

    """
    many, pair_bits = _pairs_that_fit(level_bits), RUN_BITS + level_bits
    half = 1 << (level_bits - 1)
    mask = 2 * half - 1
    values = np.asarray(words).reshape(-1)
    if values.size and values.dtype.kind not in "iu":
        raise ValueError(f"words of type {values.dtype}, whole numbers are needed")
    outside = values[(values < -half) | (values >= half)]
    if outside.size:
        raise ValueError(f"{outside[0]} does not fit a {level_bits}-bit word")
    pairs: list[int] = []
    run = 0
    for value in values.tolist():
        if value == 0 and run < LONGEST_RUN:
            run += 1
            continue
        # A level of 0 is one more zero behind a full run.
        pairs.append(run << level_bits | (value & mask))
        run = 0
    if run:
        # The last zero of a trailing run is its level.
        pairs.append((run - 1) << level_bits)
    coded: list[int] = []
    for place in range(0, len(pairs), many):
        word = 0
        for slot, pair in enumerate(pairs[place : place + many]):
            word |= pair << (slot * pair_bits)
        coded.append(word)
    if coded:
        coded[-1] |= _FLAG
    return np.array(coded, dtype=np.uint64)


def decode(coded: NDArray[np.uint64], length: int, level_bits: int = 16) -> NDArray[np.int64]:
    """Decode the `length` words of a coded stream whose levels have `level_bits`.

    Raises:
        ValueError: the stream is cut, goes on after its end, or does not hold `length` words; or no
            pair of such levels fits 64 bit.

    """
    many, pair_bits = _pairs_that_fit(level_bits), RUN_BITS + level_bits
    half = 1 << (level_bits - 1)
    mask = 2 * half - 1
    if length < 0:
        raise ValueError(f"a stream cannot hold {length} words")
    if coded.dtype != np.uint64:
        raise ValueError(f"coded words of type {coded.dtype}, uint64 is needed")
    # A pair codes 32 words at most; so no forged length takes all memory.
    if length > coded.size * many * (LONGEST_RUN + 1):
        raise ValueError(f"{coded.size} 64-bit words cannot hold {length} words: the stream is cut")
    result = np.zeros(length, np.int64)
    place = 0
    last = coded.size - 1
    for index, word in enumerate(coded.reshape(-1).tolist()):
        if bool(word & _FLAG) != (index == last):
            what = "is cut: no end mark" if index == last else "goes on behind its end mark"
            raise ValueError(f"64-bit word {index} of {coded.size}: the stream {what}")
        if place == length:
            raise ValueError(f"the stream goes on after its {length} words")
        pairs = word & ~_FLAG
        for _ in range(many):
            if place == length:
                # What is left of the last word is filler.
                if pairs:
                    raise ValueError(f"the stream goes on after its {length} words")
                break
            level = pairs & mask
            place += pairs >> level_bits & LONGEST_RUN
            pairs >>= pair_bits
            if place >= length:
                raise ValueError(f"a run goes beyond the {length} words of the stream")
            result[place] = level - 2 * half if level >= half else level
            place += 1
    if place != length:
        raise ValueError(f"the stream holds {place} words, {length} were expected")
    return result


def pairs_of(zero: NDArray[np.bool_]) -> int:
    """Count the pairs that `encode` makes of a stream whose words are zero where `zero` is.

    A pair for each word that is not zero and for each 32 zeros of the run before it; a run at the
    end has its last zero as a level.
    """
    levels = np.flatnonzero(~zero.reshape(-1))
    if not levels.size:
        return -(-zero.size // (LONGEST_RUN + 1))
    runs = np.diff(levels, prepend=-1) - 1
    trailing = zero.size - 1 - int(levels[-1])
    return levels.size + int((runs // (LONGEST_RUN + 1)).sum()) - (-trailing // (LONGEST_RUN + 1))


def expected_pairs(words: int, zero_fraction: float) -> int:
    """Return the pairs that `words` words need on average, rounded up; zeros are independent.

    A pair for each word that is not zero, and one for every 32 zeros in a row: a run of zeros is
    at least 32k long with probability z^32k, which sums to (1 - z) / (1 - z^32) pairs a word.
    """
    # (1 - z^32) / (1 - z) as its sum, which loses no digits where z is close to 1.
    words_per_pair = 0.0
    for _ in range(LONGEST_RUN + 1):
        words_per_pair = words_per_pair * zero_fraction + 1
    # Whole numbers from here on, so that the size is the same on every machine.
    return -(-words * math.ceil(_SCALE / words_per_pair) // _SCALE)


def expected_words64(words: int, zero_fraction: float, level_bits: int = 16) -> int:
    """Return the 64-bit words of the coded stream, on average, rounded up.

    Raises:
        ValueError: no pair of such levels fits 64 bit.

    """
    return -(-expected_pairs(words, zero_fraction) // _pairs_that_fit(level_bits))


def _pairs_that_fit(level_bits: int) -> int:
    many = pairs_per_word(level_bits)
    if not many:
        raise ValueError(f"no pair with a level of {level_bits} bit fits {WORD_BITS} bit")
    return many
