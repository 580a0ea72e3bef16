"""Block names, streams and the builder of templates."""

from __future__ import annotations

import numpy as np
import pytest

from traces.events import (
    DRAM,
    GIN_IFMAP,
    GLB,
    GON,
    Layout,
)
from traces.template import TemplateBuilder, without_blocks

LAYOUT = Layout(12, 14)


def test_names_and_numbers_of_blocks() -> None:
    for block in (DRAM, GLB, GON, LAYOUT.pe(0, 0), LAYOUT.pe(11, 13), LAYOUT.link(3, 4)):
        assert LAYOUT.parse(LAYOUT.name(block)) == [block]
    assert LAYOUT.name(LAYOUT.link(3, 4)) == "link(3,4)"
    assert LAYOUT.place(LAYOUT.link(3, 4)) == (3, 4)
    assert LAYOUT.blocks == 16 + 2 * 168
    assert len(LAYOUT.parse("pe")) == len(LAYOUT.parse("link")) == 168
    assert set(LAYOUT.parse("link")) < set(LAYOUT.parse("noc"))
    groups = {LAYOUT.group(block) for block in (DRAM, GLB, GON, 16, LAYOUT.link(0, 0))}
    assert groups == {"dram", "glb", "noc", "pe"}
    assert LAYOUT.group(LAYOUT.link(0, 0)) == "noc"


@pytest.mark.parametrize("name", ["gin", "", "pe(1)", "PE(1,1)"])
def test_no_such_block(name: str) -> None:
    with pytest.raises(ValueError, match=r"no block '.*known: dram, glb, gin_filter"):
        LAYOUT.parse(name)


@pytest.mark.parametrize("name", ["pe(12,0)", "link(0,14)"])
def test_no_such_place(name: str) -> None:
    with pytest.raises(ValueError, match=r"^no block .*: rows are 0 to 11, columns 0 to 13$"):
        LAYOUT.parse(name)


def built() -> TemplateBuilder:
    out = TemplateBuilder()
    glb, pe = out.set_of(GLB), out.set_of(LAYOUT.pe(0, 0), LAYOUT.pe(1, 1))
    out.add(
        GIN_IFMAP, "send", "ifmap", [4, 9, 9, 12], durations=(1,), words=(1, 2),
        sources=(glb,), destinations=(pe,), data=iter(range(6)),
    )  # fmt: skip
    out.add(
        GLB, "read", "ifmap", [7, 3 + 8], durations=(1,), words=(4,),
        sources=(glb,), destinations=(glb,),
    )  # fmt: skip
    out.add(GLB, "write", "psum", [], durations=(1,), words=(), sources=(), destinations=())
    return out


def test_streams_come_back_as_they_were_added() -> None:
    template = built().build({"cycles": 20})
    assert template.shape == {"cycles": 20, "span": 13}
    assert template.rows == 6
    read, send = template.stream(0), template.stream(1)
    assert (read.block, send.block) == (GLB, GIN_IFMAP)
    assert read.start.tolist() == [7, 11]
    assert read.data is None
    assert send.start.tolist() == [4, 9, 9, 12]
    assert send.words.tolist() == [1, 2, 1, 2]
    assert send.data is not None
    assert send.data.tolist() == list(range(6))
    assert template.sets[int(send.destination[3])] == (LAYOUT.pe(0, 0), LAYOUT.pe(1, 1))
    assert template.steps.dtype == np.int32


def test_blocks_are_left_out_with_their_words() -> None:
    template = built().build({"cycles": 20})
    noc = without_blocks(template, LAYOUT, ["noc"])
    assert noc.stream(0).start.tolist() == [4, 9, 9, 12]
    assert noc.data.tolist() == list(range(6))
    glb = without_blocks(template, LAYOUT, ["glb", "dram"])
    assert glb.stream(0).start.tolist() == [7, 11]
    assert glb.data.size == 0


def test_a_pass_without_events() -> None:
    template = TemplateBuilder().build({"cycles": 1})
    assert template.rows == 0
    assert template.starts.size == 0
    assert template.shape["span"] == 0
