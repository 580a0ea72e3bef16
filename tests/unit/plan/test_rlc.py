"""The run-length coder: its bits by hand, what it refuses, round trips, and the expected size."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.plan.rlc import (
    LONGEST_RUN,
    decode,
    encode,
    expected_pairs,
    expected_words64,
    pairs_of,
    pairs_per_word,
)

FLAG = 1 << 63
ROUND_TRIPS = 10_000


def pair(run: int, level: int) -> int:
    """21 bits: the level below, the run above it."""
    return run << 16 | level


def word(*pairs: int, last: bool = False) -> int:
    """64 bits: three pairs from the low end, and the flag on top."""
    return sum(p << (21 * slot) for slot, p in enumerate(pairs)) | (FLAG if last else 0)


def coded(*words: int) -> np.ndarray:
    return np.array(words, np.uint64)


# --- the bits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], []),
        ([7], [word(pair(0, 7), last=True)]),
        ([0], [word(pair(0, 0), last=True)]),
        ([0, 0, 5], [word(pair(2, 5), last=True)]),
        ([5, 0, 0], [word(pair(0, 5), pair(1, 0), last=True)]),
        ([1, 2, 3], [word(pair(0, 1), pair(0, 2), pair(0, 3), last=True)]),
        ([1, 2, 3, 4], [word(pair(0, 1), pair(0, 2), pair(0, 3)), word(pair(0, 4), last=True)]),
        ([-1, -32768, 32767], [word(pair(0, 0xFFFF), pair(0, 0x8000), pair(0, 0x7FFF), last=True)]),
        # 31 zeros are a full run; the 32nd is the level of the pair that it takes.
        ([0] * 31 + [9], [word(pair(31, 9), last=True)]),
        ([0] * 31, [word(pair(30, 0), last=True)]),
        ([0] * 32, [word(pair(31, 0), last=True)]),
        ([0] * 32 + [9], [word(pair(31, 0), pair(0, 9), last=True)]),
        ([0] * 33 + [9], [word(pair(31, 0), pair(1, 9), last=True)]),
        ([0] * 96, [word(pair(31, 0), pair(31, 0), pair(31, 0), last=True)]),
        ([0] * 97, [word(pair(31, 0), pair(31, 0), pair(31, 0)), word(pair(0, 0), last=True)]),
        # Every bit but the flag, which stands alone on top.
        (
            ([0] * 31 + [-1]) * 3 + [1],
            [FLAG - 1, word(pair(0, 1), last=True)],
        ),
    ],
)
def test_layout(words: list[int], expected: list[int]) -> None:
    found = encode(words)
    assert found.dtype == np.uint64
    assert [hex(value) for value in found.tolist()] == [hex(value) for value in expected]
    assert decode(found, len(words)).tolist() == words


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_any_type_of_whole_number_gives_the_same_stream(dtype: type[np.integer]) -> None:
    words = [0, 5, 0, 0, 127]
    assert encode(np.array(words, dtype)).tolist() == encode(words).tolist()


def test_arrays_of_any_shape_are_read_in_order() -> None:
    words = np.arange(24).reshape(2, 3, 4) % 5
    assert encode(words).tolist() == encode(words.reshape(-1)).tolist()


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([0, 32768], "32768 does not fit a 16-bit word"),
        ([-32769], "-32769 does not fit a 16-bit word"),
        (np.array([2**64 - 1], np.uint64), "18446744073709551615 does not fit a 16-bit word"),
        ([1.0, 2.5], "words of type float64, whole numbers are needed"),
        ([True], "words of type bool, whole numbers are needed"),
    ],
)
def test_words_that_are_none(words: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        encode(words)


FOUR = (word(pair(0, 1), pair(0, 2), pair(0, 3)), word(pair(0, 4), last=True))


@pytest.mark.parametrize(
    ("stream", "length", "message"),
    [
        (FOUR[:1], 3, "64-bit word 0 of 1: the stream is cut: no end mark"),
        (FOUR[:1], 4, "64-bit word 0 of 1: the stream is cut: no end mark"),
        (FOUR[1:] + FOUR[:1], 4, "64-bit word 0 of 2: the stream goes on behind its end mark"),
        (FOUR + FOUR[1:], 5, "64-bit word 1 of 3: the stream goes on behind its end mark"),
        ((), 1, "0 64-bit words cannot hold 1 words: the stream is cut"),
        (FOUR, 10**15, "2 64-bit words cannot hold 1000000000000000 words: the stream is cut"),
        (FOUR, 3, "the stream goes on after its 3 words"),
        (FOUR, 2, "the stream goes on after its 2 words"),
        # A whole word of filler is a word too many, also where there should be none at all.
        ((FOUR[0], FLAG), 3, "the stream goes on after its 3 words"),
        ((FLAG,), 0, "the stream goes on after its 0 words"),
        # Filler is zero.
        ((word(pair(0, 4), pair(1, 0), last=True),), 1, "the stream goes on after its 1 words"),
        ((word(pair(0, 4), 0, pair(0, 1), last=True),), 1, "the stream goes on after its 1 words"),
        ((word(pair(5, 4), last=True),), 5, "a run goes beyond the 5 words of the stream"),
        ((word(pair(31, 4), last=True),), 1, "a run goes beyond the 1 words of the stream"),
        (FOUR, 20, "the stream holds 6 words, 20 were expected"),
        (FOUR, -1, "a stream cannot hold -1 words"),
    ],
)
def test_a_stream_that_is_cut_or_forged(stream: tuple[int, ...], length: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        decode(coded(*stream), length)


# --- words of other widths ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "pairs"),
    [(1, 10), (3, 7), (4, 7), (8, 4), (11, 3), (16, 3), (26, 2), (27, 1)],
)
def test_as_many_pairs_as_fit_beside_the_flag(bits: int, pairs: int) -> None:
    """Words without zeros take a pair each; where pairs would fill all 64 bit, one is too many."""
    assert pairs_per_word(bits) == pairs
    assert encode([-1] * (4 * pairs + 1), bits).size == 5
    assert expected_words64(4 * pairs + 1, 0.0, bits) == 5


def test_levels_of_8_bit_by_hand() -> None:
    stream = [0, 0, 5, -1, 127, -128, 9]
    first = [2 << 8 | 5, 0xFF, 0x7F, 0x80]
    assert encode(stream, 8).tolist() == [
        sum(one << (13 * slot) for slot, one in enumerate(first)),
        FLAG | 9,
    ]
    assert decode(encode(stream, 8), 7, 8).tolist() == stream


@given(st.integers(1, 58), st.data())
def test_words_of_every_width_come_back(bits: int, data: st.DataObject) -> None:
    half = 1 << (bits - 1)
    value = st.one_of(st.just(0), st.integers(-half, half - 1))
    words = data.draw(st.lists(value, max_size=80))
    assert decode(encode(words, bits), len(words), bits).tolist() == words


def test_a_word_beyond_its_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^128 does not fit a 8-bit word$"):
        encode([128], 8)
    for coder in (lambda: encode([1], 59), lambda: expected_words64(1, 0.5, 59)):
        with pytest.raises(ValueError, match=r"^no pair with a level of 59 bit fits 64 bit$"):
            coder()


def test_coded_words_are_unsigned() -> None:
    with pytest.raises(ValueError, match="coded words of type int64, uint64 is needed"):
        decode(np.array([1]), 1)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40), st.data())
def test_every_cut_is_seen(words: list[int], data: st.DataObject) -> None:
    stream = encode(words)
    left = data.draw(st.integers(0, stream.size - 1))
    with pytest.raises(ValueError, match="is cut"):
        decode(stream[:left], len(words))


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=6),
    st.integers(0, 200),
)
def test_garbage_is_refused_or_is_a_stream(words: list[int], length: int) -> None:
    stream = coded(*words)
    try:
        found = decode(stream, length)
    except ValueError:
        return
    assert found.shape == (length,)
    assert decode(encode(found), length).tolist() == found.tolist()


# --- round trips ----------------------------------------------------------------------------------


def cases() -> Iterator[list[int]]:
    """10,000 cases: all sizes to 200, all zero, long runs around 31, extremes, every density."""
    draw = random.Random(2017)
    yield []
    for length in range(1, 1001):
        yield [0] * length
    extremes = [-32768, -1, 1, 32767]
    for place in range(1000):
        length = draw.randint(1, 8)
        runs = [draw.choice([0, 1, 30, 31, 32, 33, 62, 63, 64, 65, 95, 96]) for _ in range(length)]
        case = [value for run in runs for value in [0] * run + [draw.choice(extremes)]]
        yield case + [0] * (place % 70)
    while True:
        zeros = draw.choice([0, 0.1, 0.5, 0.9, 0.99])
        yield [
            0 if draw.random() < zeros else draw.randint(-32768, 32767)
            for _ in range(draw.randint(0, 200))
        ]


def test_ten_thousand_round_trips() -> None:
    for number, words in zip(range(ROUND_TRIPS), cases(), strict=False):
        stream = encode(words)
        assert decode(stream, len(words)).tolist() == words, number
        # The flag is on the last word and on no other.
        assert [value >> 63 for value in stream.tolist()] == [0] * (stream.size - 1) + [1] * bool(
            words
        )
        # A pair for each word that is not zero, one for 32 zeros, and one at the end.
        most = sum(map(bool, words)) + len(words) // (LONGEST_RUN + 1) + 1
        assert stream.size <= -(-most // pairs_per_word(16))


@given(st.lists(st.one_of(st.just(0), st.integers(-32768, 32767)), max_size=300))
def test_round_trip(words: list[int]) -> None:
    assert decode(encode(words), len(words)).tolist() == words


# --- expected size --------------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [0.0, 0.016, 0.248, 0.5, 0.725, 0.885, 0.95, 0.99, 0.999])
def test_expected_size_is_that_of_the_coder_on_independent_zeros(zeros: float) -> None:
    words = 200_000
    generator = np.random.default_rng(31)
    data = np.where(generator.random(words) < zeros, 0, generator.integers(1, 32768, words))
    found = encode(data).size
    # Pairs are about a binomial count of the words that are not zero; the zeros' share is smaller.
    deviation = np.sqrt(words * zeros * (1 - zeros)) / pairs_per_word(16)
    assert abs(found - expected_words64(words, zeros)) <= 4 * deviation + 2


@pytest.mark.parametrize("words", [0, 1, 2, 31, 32, 33, 64, 1000, 10**7])
def test_expected_size_at_both_ends_is_exact(words: int) -> None:
    assert expected_pairs(words, 0.0) == words
    assert expected_words64(words, 0.0) == -(-words // 3)
    assert expected_pairs(words, 1.0) == -(-words // 32)
    if words <= 1000:
        assert encode([0] * words).size == expected_words64(words, 1.0)
        assert encode([3] * words).size == expected_words64(words, 0.0)


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_more_zeros_never_take_more_room(words: int, one: float, other: float) -> None:
    fewer, more = sorted((one, other))
    assert expected_pairs(words, more) <= expected_pairs(words, fewer) <= words
    assert expected_pairs(words, more) >= -(-words // 32)


@given(
    st.lists(st.tuples(st.integers(0, 70), st.booleans()), max_size=12),
    st.integers(1, 40),
)
def test_pairs_are_those_that_the_coder_makes(runs: list[tuple[int, bool]], bits: int) -> None:
    words = [word for zeros, level in runs for word in [0] * zeros + [-1] * level]
    zero = np.array(words, np.int64) == 0
    per_word = pairs_per_word(bits)
    assert -(-pairs_of(zero) // per_word) == encode(words, bits).size
