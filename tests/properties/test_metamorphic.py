"""More of a machine never makes a layer longer: a faster link, wider ports, deeper FIFOs.

Hypothesis draws layers, chips and clocks; each is run twice under the same mapping, as it is and
with more of one thing. docs/machine.md section 8, "What is wider is not slower", has the
exceptions.
"""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_cases import Case, cases, some_shapes

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.dataflow.row_stationary.passes import PassShape
from sim.engine.dram import PrefetchState
from sim.engine.layer_run import simulate_layer
from sim.engine.passes import pass_machine
from sim.plan.make import make_plan

CHIP = load_hardware("eyeriss_v1")

MORE = (
    ("clock", "link_mhz"),
    ("dram", "link_bits"),
    ("glb", "port_bits"),
    ("noc", "gin_ifmap_words_per_cycle"),
    ("noc", "gin_filter_words_per_cycle"),
    ("noc", "bus_fifo_entries"),
    ("pe", "ifmap_fifo_words"),
    ("pe", "psum_in_fifo_words"),
    ("pe", "psum_out_fifo_words"),
    ("pe", "ifmap_spad_words"),
    ("pe", "filter_spad_words"),
    ("pe", "psum_spad_words"),
)


def with_fields(hw: Hardware, changes: dict[str, dict[str, Any]]) -> Hardware:
    """The chip with other values of some fields; the case is dropped where they do not fit."""
    description = hw.to_dict()
    for part, fields in changes.items():
        description[part].update(fields)
    try:
        return Hardware.model_validate(description)
    except ValueError:
        assume(False)
        raise


def more_of(hw: Hardware, part: str, field: str, times: int) -> Hardware:
    """The chip with `times` as much of a field; its port is never narrower than a bus."""
    changes: dict[str, dict[str, Any]] = {part: {field: times * getattr(getattr(hw, part), field)}}
    if part == "noc":
        changes["glb"] = {"port_bits": times * hw.glb.port_bits}
    return with_fields(hw, changes)


def latencies(case: Case, hw: Hardware) -> tuple[int, int]:
    """Processing and total latency of a case on a chip, in cycles."""
    plan = case.plan
    activity = simulate_layer(make_plan(plan.layer, plan.batch, hw, plan.mapping))
    return activity.cycles, activity.cycles + activity.standstill.cycles


def holds(
    case: Case, overlap: str, dump: str, more: tuple[str, str], times: int, mhz: float
) -> None:
    changes = {"dram": {"overlap": overlap, "ofmap_dump": dump}, "clock": {"link_mhz": mhz}}
    hw = with_fields(case.plan.hw, changes)
    assume(more[1] != "gin_filter_words_per_cycle" or hw.glb.filter_load == "exposed")
    before, after = latencies(case, hw), latencies(case, more_of(hw, *more, times))
    assert after[0] <= before[0]
    assert after[1] <= before[1]


drawn = given(
    cases(),
    st.sampled_from(["none", "ifmap", "full"]),
    st.sampled_from(["filter_block", "m_block"]),
    st.sampled_from(MORE),
    st.sampled_from([2, 3, 8]),
    st.sampled_from([5.0, 20.0, 60.0, 66.7, 200.0]),
)


@drawn
@settings(max_examples=150, deadline=None)
def test_more_of_anything_never_makes_a_layer_longer(
    case: Case, overlap: str, dump: str, more: tuple[str, str], times: int, mhz: float
) -> None:
    holds(case, overlap, dump, more, times, mhz)


@pytest.mark.slow
@drawn
@settings(max_examples=6000, deadline=None)
def test_more_of_anything_on_many_layers(
    case: Case, overlap: str, dump: str, more: tuple[str, str], times: int, mhz: float
) -> None:
    holds(case, overlap, dump, more, times, mhz)


def prefetched(shape: PassShape, hw: Hardware) -> PrefetchState:
    return PrefetchState(-(-shape.filter_words // hw.link_beat_words))


@given(cases(), st.sampled_from([2, 3]))
@settings(max_examples=60, deadline=None)
def test_a_wider_psum_bus_costs_at_most_its_longer_first_beat(case: Case, times: int) -> None:
    """A beat goes up a chain as a whole, so a longer one takes longer for each PE but the first.

    With FIFOs as deep as the chip's; a shallower one holds fewer of the longer beats.
    """
    depths = ("ifmap_fifo_words", "psum_in_fifo_words", "psum_out_fifo_words")
    fifos = {name: 2 * getattr(CHIP.pe, name) for name in depths}
    hw = with_fields(case.plan.hw, {"pe": fifos, "glb": {"bank_bytes": 4096}})
    wide = more_of(hw, "noc", "psum_words_per_cycle", times)
    for shape in some_shapes(case.plan, 3):
        before = pass_machine(shape, hw, prefetched(shape, hw)).run().cycles
        after = pass_machine(shape, wide, prefetched(shape, wide)).run().cycles
        p = max(shape.filters)
        longer = min(p, wide.noc.psum_words_per_cycle) - min(p, hw.noc.psum_words_per_cycle)
        chain = len(shape.channels) * shape.filter_rows
        assert after - before <= (chain - 1) * longer
