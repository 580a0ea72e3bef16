"""A row stationary pass by hand: what goes where, what it counts, and words there and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw_models.load import load_hardware
from sim.dataflow.program import Beat, Burst, PassData, Stream, beat_sizes
from sim.dataflow.row_stationary.mapping import Mapping
from sim.dataflow.row_stationary.passes import PassShape
from sim.dataflow.row_stationary.program import feed_order, pass_program, psum_beats
from sim.dataflow.row_stationary.words import psum_block, stream_words
from sim.errors import SimulationError
from sim.plan.make import make_plan
from workloads.layer import Layer

CHIP = load_hardware("eyeriss_v1")


def shapes(**factors: int) -> list[PassShape]:
    """A layer of 3 filters, 2 channels, 2 x 2 words each, on a 3 x 5 ifmap, two images."""
    layer = Layer(name="L", M=3, C=2, H=3, W=5, R=2, S=2)
    mapping = Mapping(**{**dict.fromkeys("mneqprt", 1), "m": 3, "n": 2, "e": 2, **factors})
    return [step.shape for step in make_plan(layer, 2, CHIP, mapping)]


@pytest.mark.parametrize(
    ("words", "beat", "sizes"),
    [(1, 4, (1,)), (4, 4, (4,)), (5, 4, (4, 1)), (16, 4, (4,) * 4), (6, 8, (6,)), (3, 1, (1,) * 3)],
)
def test_the_last_beat_may_be_short(words: int, beat: int, sizes: tuple[int, ...]) -> None:
    assert beat_sizes(words, beat) == sizes


def test_a_pass_by_hand() -> None:
    """Two chains of 2 PEs, side by side; PEs 0 and 2 are the lower ones and hold filter row 1."""
    program = pass_program(shapes(p=3)[0], CHIP)
    assert [(pe.row, pe.column) for pe in program.pes] == [(1, 0), (0, 0), (1, 1), (0, 1)]
    assert program.links == ((0, 1), (2, 3))
    # 3 filters of one channel and 2 columns: six words for each row of PEs, the upper row first.
    assert [(load.pes, load.beats) for load in program.loads] == [
        ((1, 3), (4, 2)),
        ((0, 2), (4, 2)),
    ]
    # They arrive as f0x0 f0x1 f1x0 ...; products go f0x0 f1x0 f2x0 f0x1 ...
    assert program.loads[0].uses == (0, 3, 1, 4, 2, 5)
    # Ifmap row 1 is on the diagonal of the lower PE of the left chain and the upper of the right.
    assert program.feed.pattern == (Beat(1, (1,)), Beat(1, (0, 3)), Beat(1, (2,)))
    assert program.feed.times == 2 * 5
    for pe in program.pes:
        assert pe.bursts == (Burst(2, 1), Burst(1, 1), Burst(1, 1), Burst(1, 2, clears=True))
        assert (pe.times, pe.operands, pe.outputs, pe.beats) == (2, 2, 3, (3,))
    assert program.psums_in is None
    assert program.psums_out == Stream("psum", "gon_psum", (Beat(3, (1,)), Beat(3, (3,))), 8)


def test_its_counts_by_hand() -> None:
    counts = pass_program(shapes(p=3)[1], CHIP).counts()
    assert counts["mac.total"] == 4 * 8 * 6
    assert counts["noc.gin_filter.words"] == 12
    assert counts["noc.gin_filter.deliveries"] == counts["spad.filter.write"] == 24
    assert counts["noc.gin_filter.x_bus"] == 12
    assert counts["noc.gin_ifmap.words"] == 30
    assert counts["noc.gin_ifmap.deliveries"] == counts["spad.ifmap.write"] == 40
    assert counts["noc.gin_ifmap.x_bus"] == 40  # the two PEs of a diagonal stand in two rows
    assert counts["noc.gin_psum.words"] == counts["noc.gon_psum.words"] == 3 * 2 * 8
    assert counts["noc.local_psum.words"] == 3 * 2 * 8
    # Two products for each sum and PE: one of them reads, one writes.
    assert counts["spad.psum.read"] == counts["spad.psum.write"] == 4 * 8 * 3


def test_equal_programs_are_the_same_pass() -> None:
    first, second = shapes(p=3)
    assert pass_program(first, CHIP) == pass_program(replace(second, first_channels=True), CHIP)
    assert hash(pass_program(first, CHIP)) == hash(pass_program(replace(first), CHIP))
    assert pass_program(first, CHIP) != pass_program(second, CHIP)


def test_a_program_that_is_not_all_of_its_pass_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = shapes(p=3)[0]
    monkeypatch.setattr(PassShape, "macs", property(lambda self: 193))
    with pytest.raises(SimulationError, match="the program has 192 products, the pass 193"):
        pass_program(shape, CHIP)


@pytest.mark.parametrize("factors", [{"p": 3}, {"p": 2, "t": 2}, {"p": 1, "q": 2, "t": 3}])
def test_psums_go_there_and_back(factors: dict[str, int]) -> None:
    for shape in shapes(**factors):
        filters, channels = sum(shape.filters), sum(shape.channels)
        psums = np.arange(shape.psum_words).reshape(2, filters, 2, 4)
        data = PassData(np.zeros((2, channels, 3, 5)), np.zeros((filters, channels, 2, 2)), psums)
        words = stream_words(shape, data, CHIP).psums_in
        assert words is not None
        # The first chain's first filters, in the first column of the first image.
        assert words[: shape.filters[0]].tolist() == psums[0, : shape.filters[0], 0, 0].tolist()
        assert (psum_block(shape, words, CHIP) == psums).all()


def test_orders_by_hand() -> None:
    # Two filter sets of 6 and 2 filters, two channel sets of 2 and 1 channels, R = 2, S = 1.
    settings = ["noc.psum_order=beat", "noc.filter_order=use", "noc.ifmap_order=word"]
    hw = load_hardware("eyeriss_v1", settings)
    layer = Layer(name="L", M=8, C=3, H=3, W=1, R=2, S=1)
    plan = make_plan(layer, 1, hw, Mapping(m=8, n=1, e=2, p=6, q=2, r=2, t=2))
    (shape,) = plan.classes
    # A beat to each chain in turn: both filter sets of row 0, of row 1, then the second beats.
    assert [tuple(beat) for beat in psum_beats(shape, hw)] == [
        (0, 0, 0, 4), (1, 0, 0, 2), (0, 1, 0, 4), (1, 1, 0, 2), (0, 0, 4, 2), (0, 1, 4, 2),
    ]  # fmt: skip
    # (set, channel, row): channel 0 of both sets by row, then channel 1 of the first.
    assert feed_order(shape, hw) == [
        (0, 0, 0), (1, 0, 0), (0, 0, 1), (1, 0, 1), (0, 0, 2), (1, 0, 2),
        (0, 1, 0), (0, 1, 1), (0, 1, 2),
    ]  # fmt: skip
    program = pass_program(shape, hw)
    # By filter row, then channel set, then filter set; then what is left of those with more beats.
    assert [load.name for load in program.loads] == [
        f"filter set {k}, channel set {c}, row {row}"
        for row in range(2) for c in range(2) for k in range(2)
    ]  # fmt: skip
    assert [load.beats for load in program.loads[:4]] == [(4, 4, 4), (4,), (4, 2), (2,)]
    assert program.load_order == (*range(8), 0, 2, 4, 6, 0, 4)
    assert program.loads[0].uses == tuple(range(12))
    assert program.counts() == pass_program(shape, CHIP).counts()
