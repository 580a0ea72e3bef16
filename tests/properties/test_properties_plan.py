"""Plans of random layers: placement, blocks and words against docs/machine.md sections 1 to 4."""

from collections import Counter
from math import prod

from hypothesis import given, settings
from hypothesis import strategies as st
from random_cases import Case, cases, chips, layers

from hw_models.spec import Hardware
from sim.dataflow.base import find_dataflow
from sim.dataflow.row_stationary.mapping import Mapping, checked_mapping, mapping_violations
from sim.errors import MappingError
from sim.mapper.auto import auto_mapping
from sim.plan.make import make_plan

SMALLEST = Mapping(m=1, n=1, e=1, p=1, q=1, r=1, t=1)


def with_few_banks(hw: Hardware, banks: int) -> Hardware:
    """`hw` with a global buffer of a few hundred words, so that capacity is what decides."""
    glb = hw.glb.model_copy(update={"banks": banks, "bank_bytes": 64})
    return hw.model_copy(update={"glb": glb})


def ceil_div(value: int, by: int) -> int:
    return -(-value // by)


@given(cases())
@settings(max_examples=200, deadline=None)
def test_no_two_pes_of_a_placement_are_the_same_and_all_are_on_the_array(case: Case) -> None:
    placement, mapping, layer = case.plan.placement, case.plan.mapping, case.plan.layer
    seen = set()
    for filter_set in range(mapping.t):
        for ofmap_row in range(mapping.e):
            chain = placement.chain(filter_set, ofmap_row, mapping.r)
            # Straight up one column, filter rows from the last to the first in each channel set.
            assert len(chain) == layer.R * mapping.r
            assert {site.column for site in chain} == {chain[0].column}
            assert [site.row for site in chain] == list(
                range(chain[0].row, chain[0].row - len(chain), -1)
            )
            on_top = case.plan.hw.array.first_channel_set == "top"
            sets = range(mapping.r)
            assert [(site.channel_set, site.filter_row) for site in chain] == [
                (k, i) for k in (sets[::-1] if on_top else sets) for i in reversed(range(layer.R))
            ]
            for site in chain:
                assert 0 <= site.row < case.plan.hw.array.rows
                assert 0 <= site.column < case.plan.hw.array.columns
                assert (site.row, site.column) not in seen
                seen.add((site.row, site.column))
            # At the edge of the channel loop the chain keeps the end where channel set 0 stands.
            for fewer in range(1, mapping.r):
                steps = layer.R * fewer
                kept = chain[-steps:] if on_top else chain[:steps]
                assert placement.chain(filter_set, ofmap_row, fewer) == kept
    assert len(seen) == case.plan.active_pes


@given(cases())
@settings(max_examples=200, deadline=None)
def test_a_mapping_comes_back_from_its_loop_nest(case: Case) -> None:
    plan = case.plan
    dataflow = find_dataflow(plan.dataflow)
    nest = dataflow.to_nest(plan)
    assert dataflow.from_nest(nest, plan.layer, plan.batch, plan.hw) == plan.mapping
    # The loops outside the array are the passes, unless their last blocks are short.
    outside = prod(loop.bound for loop in nest.loops if loop.level in ("DRAM", "GLB"))
    assert plan.passes <= outside


@given(cases())
@settings(max_examples=200, deadline=None)
def test_the_schedule_covers_every_product_once(case: Case) -> None:
    plan, layer, mapping = case.plan, case.plan.layer, case.plan.mapping
    steps = list(plan)
    assert len(steps) == plan.passes
    assert plan.classes == Counter(step.shape for step in steps)
    assert sum(step.shape.macs for step in steps) == layer.macs(plan.batch)

    blocks: Counter[tuple[int, ...]] = Counter()
    for step in steps:
        shape = step.shape
        assert shape.images <= mapping.n
        assert shape.strip_rows <= mapping.e
        assert max(shape.filters) <= mapping.p
        assert len(shape.filters) <= mapping.t
        assert max(shape.channels) <= mapping.q
        assert len(shape.channels) <= mapping.r
        assert shape.first_channels == (step.channel_base == 0)
        for image in range(step.image_base, step.image_base + shape.images):
            for row in range(step.row_base, step.row_base + shape.strip_rows):
                for column in range(step.column_base, step.column_base + shape.ofmap_columns):
                    for f in range(step.filter_base, step.filter_base + sum(shape.filters)):
                        for c in range(step.channel_base, step.channel_base + sum(shape.channels)):
                            blocks[step.group, image, row, column, f, c] += 1
    assert set(blocks.values()) == {1}
    assert len(blocks) == layer.G * plan.batch * layer.E * layer.F * layer.Mg * layer.C


@given(cases())
@settings(max_examples=200, deadline=None)
def test_words_of_the_schedule(case: Case) -> None:
    plan, layer, mapping, N = case.plan, case.plan.layer, case.plan.mapping, case.plan.batch
    steps = list(plan)
    image_blocks, strips = ceil_div(N, mapping.n), ceil_div(layer.E, mapping.e)
    tiles = ceil_div(layer.F, mapping.f)
    columns = sum(
        (min(mapping.f, layer.F - base) - 1) * min(layer.V, layer.S) + layer.S
        for base in range(0, layer.F, mapping.f)
    )
    rows = sum(
        (min(mapping.e, layer.E - base) - 1) * min(layer.U, layer.R) + layer.R
        for base in range(0, layer.E, mapping.e)
    )
    per_image = rows * columns * layer.C * layer.G
    m_blocks = [min(mapping.m, layer.Mg - base) for base in range(0, layer.Mg, mapping.m)]
    filter_blocks = sum(ceil_div(block, mapping.p * mapping.t) for block in m_blocks)
    channel_blocks = ceil_div(layer.C, mapping.q * mapping.r)

    filters = sum(step.shape.filter_words for step in steps)
    assert filters == layer.M * layer.C * layer.R * layer.S * strips * tiles * image_blocks
    assert sum(step.ifmap_load_words for step in steps) == N * per_image * len(m_blocks)
    assert sum(step.shape.ifmap_words for step in steps) == N * per_image * filter_blocks
    psums = N * layer.M * layer.E * layer.F
    assert sum(step.shape.psum_words for step in steps) == psums * channel_blocks
    later = [step.shape for step in steps if not step.shape.first_channels]
    assert sum(shape.psum_words for shape in later) == psums * (channel_blocks - 1)
    assert sum(step.ofmap_final_words for step in steps) == psums
    assert sum(step.ends_m_block for step in steps) == (
        layer.G * image_blocks * tiles * strips * len(m_blocks)
    )


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_the_mapper_returns_is_legal(data: st.DataObject) -> None:
    hw = with_few_banks(data.draw(chips()), data.draw(st.integers(2, 40)))
    layer = data.draw(layers(hw))
    batch = data.draw(st.integers(1, 5))
    try:
        found = auto_mapping(layer, batch, hw)
    except MappingError as error:
        refusals = [fault.message for fault in error.faults]
    else:
        assert checked_mapping(layer, found, batch, hw) == found
        assert make_plan(layer, batch, hw, found).mapping == found
        return
    # These layers keep the chip's limits, so what it names is a rule that every mapping breaks.
    assert refusals == [
        f"no legal mapping: {violation}"
        for violation in mapping_violations(layer, SMALLEST, hw, batch)
    ]
    assert refusals


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_the_mapper_finds_a_mapping_where_the_smallest_one_is_legal(data: st.DataObject) -> None:
    hw = with_few_banks(data.draw(chips()), data.draw(st.integers(2, 40)))
    layer = data.draw(layers(hw))
    batch = data.draw(st.integers(1, 5))
    if not mapping_violations(layer, SMALLEST, hw, batch):
        auto_mapping(layer, batch, hw)
