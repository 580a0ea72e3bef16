"""A pass as a program: where psums belong, what bursts take and free, what a legend says."""

from __future__ import annotations

import numpy as np
import pytest

from traces.events import GIN_IFMAP, Layout
from traces.state import PassView
from traces.template import NO_PATTERN, OfmapBlock, TemplateBuilder, ofmap_pattern_fault

IMAGE, FILTER, ROW, COLUMN = range(4)


def test_psums_of_a_block_belong_where_its_loops_lead() -> None:
    """Every second column of two images, three filters innermost, from filter 1 and row 2 on."""
    block = OfmapBlock((0, 1, 2, 0), ((IMAGE, 2, 1), (COLUMN, 3, 2), (FILTER, 3, 1)))
    assert block.psums == 18
    assert block.last() == [1, 3, 2, 4]
    ofmap = np.full((3, 6, 4, 7), -1)
    base = (1, 2, 0, 1)
    ofmap[block.index(base)] = np.arange(18).reshape(2, 3, 3)
    for image in range(2):
        for place in range(3):
            for output in range(3):
                word = ofmap[1 + image, 3 + output, 2, 1 + 2 * place]
                assert word == (image * 3 + place) * 3 + output
    assert (ofmap >= 0).sum() == 18


def test_one_axis_may_have_two_loops() -> None:
    block = OfmapBlock((0, 0, 0, 0), ((COLUMN, 2, 4), (COLUMN, 2, 1)))
    ofmap = np.zeros((1, 1, 1, 6), np.int64)
    ofmap[block.index((0, 0, 0, 0))] = np.array([[1, 2], [3, 4]])
    assert ofmap.reshape(-1).tolist() == [1, 2, 0, 0, 3, 4]


def test_a_block_of_one_psum_has_no_loop() -> None:
    block = OfmapBlock((0, 1, 0, 0), ())
    assert (block.psums, block.last()) == (1, [0, 1, 0, 0])
    assert [int(axis) for axis in block.index((1, 1, 0, 2))] == [1, 2, 0, 2]


@pytest.mark.parametrize(
    "values",
    [
        [0, 0, 0],
        [0, 0, 0, 0, IMAGE, 2],
        [0, 0, 0, 0, 4, 2, 1],
        [0, 0, 0, 0, IMAGE, 0, 1],
        [0, 0, 0, 0, *[IMAGE, 1, 1] * 17],
    ],
    ids=["an axis less", "half a loop", "a fifth axis", "a loop of nothing", "too many loops"],
)
def test_a_pattern_that_is_no_block(values: list[int]) -> None:
    assert ofmap_pattern_fault(values)
    assert not ofmap_pattern_fault([0, 0, 0, 0, IMAGE, 2, 1, FILTER, 3, 1])


def test_pes_come_back_as_they_were_added() -> None:
    out = TemplateBuilder()
    uses, needs, frees = (out.pattern(values) for values in ((0, 2, 1, 3), (4, 2), (2, 4)))
    ofmap = out.pattern((0, 1, 0, 0, IMAGE, 2, 1))
    out.add_pe(
        3, 4, operands=2, outputs=2, uses=uses, needs=needs, frees=frees, bubble=1,
        ofmap=ofmap, legend=(0, 7),
    )  # fmt: skip
    out.add_pe(
        3, 5, operands=2, outputs=2, uses=uses, needs=needs, frees=frees, bubble=0, legend=(1, 8)
    )
    template = out.build({"cycles": 9}, ("filter set", "row"))
    one, other = template.work[3, 4], template.work[3, 5]
    assert (one.operands, one.outputs, one.bubble, other.bubble) == (2, 2, 1, 0)
    assert one.uses.tolist() == [0, 2, 1, 3]
    assert one.needs.tolist() == [4, 2]
    assert one.frees.tolist() == other.frees.tolist() == [2, 4]
    assert one.ofmap == OfmapBlock((0, 1, 0, 0), ((IMAGE, 2, 1),))
    assert other.ofmap is None
    assert template.pes["ofmap"].tolist() == [ofmap, NO_PATTERN]
    assert template.legends == {"filter set": [0, 1], "row": [7, 8]}
    assert template.part(3, 5) == "filter set 1, row 8"


def test_a_dataflow_may_say_nothing_of_its_pes() -> None:
    out = TemplateBuilder()
    number = out.pattern((1,))
    out.add_pe(0, 0, operands=1, outputs=1, uses=number, needs=number, frees=number, bubble=0)
    template = out.build({"cycles": 1})
    assert template.legends == {}
    assert template.part(0, 0) == ""


def test_a_burst_may_free_nothing() -> None:
    """Two bursts on the same words: the first keeps them, the second lets them go for others."""
    layout = Layout(1, 1)
    pe, out = layout.pe(0, 0), TemplateBuilder()
    own, bus = (out.set_of(pe),), (out.set_of(GIN_IFMAP),)
    needs, frees, uses = out.pattern((2, 0, 2)), out.pattern((0, 2, 2)), out.pattern((0, 1))
    out.add_pe(0, 0, operands=2, outputs=1, uses=uses, needs=needs, frees=frees, bubble=0)
    out.add(
        GIN_IFMAP, "send", "ifmap", [0, 1, 2, 3], durations=(1,), words=(1,), sources=bus,
        destinations=own, data=[5, 6, 7, 8],
    )  # fmt: skip
    out.add(
        pe, "fill", "ifmap", [1, 2, 3, 4], durations=(1,), words=(1,), sources=bus,
        destinations=own,
    )  # fmt: skip
    out.add(pe, "mac", "none", [4, 6, 8], durations=(2,), words=(2,), sources=own, destinations=own)
    view = PassView(out.build({"cycles": 12, "streamed": 0, "shift_spad": 0}), layout)
    assert [view.level("spad.ifmap(0,0)", cycle) for cycle in (3, 5, 7, 8, 10)] == [2, 4, 4, 2, 0]
    assert view.contents("spad.ifmap(0,0)", 7) == [5, 6, 7, 8]
    assert view.contents("spad.ifmap(0,0)", 9) == [7, 8]
