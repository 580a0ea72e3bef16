"""The machine on random passes: counts, values, bounds, and no dependence on the order of events.

`Machine.run` itself checks its conservation laws, so each run here also says that they hold.
"""

from collections.abc import Generator

import numpy as np
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cases import (
    Case,
    ShuffledEnvironment,
    cases,
    pass_data,
    prefetch_states,
    some_shapes,
    story,
    usable,
)

from hw_models.vocabulary import CAUSES
from sim.account.ledger import published_glb_bytes
from sim.account.result import layer_result
from sim.dataflow.program import PassData
from sim.dataflow.row_stationary.passes import PassShape, Plan
from sim.dataflow.row_stationary.words import psum_block
from sim.engine.dram import PrefetchState
from sim.engine.layer_run import simulate_layer
from sim.engine.passes import pass_machine

seeds = st.integers(0, 2**32 - 1)


def ceil_div(value: int, by: int) -> int:
    return -(-value // by)


def section_4(plan: Plan) -> dict[str, int]:
    """The counts of docs/machine.md section 4 in closed form, from layer and mapping alone."""
    layer, mapping, N = plan.layer, plan.mapping, plan.batch
    M, C, G, E, F, R, S = layer.M, layer.C, layer.G, layer.E, layer.F, layer.R, layer.S
    m, n, e, p, q, r, t = (getattr(mapping, name) for name in "mnepqrt")
    tiles = ceil_div(F, mapping.f)
    strips, image_blocks, channel_blocks = ceil_div(E, e), ceil_div(N, n), ceil_div(C, q * r)
    rows = sum((min(e, E - y) - 1) * min(layer.U, R) + R for y in range(0, E, e))
    # Columns of all tiles: between two of them the halo is loaded again.
    Wp = (F - tiles) * min(layer.V, S) + tiles * S
    m_blocks = [min(m, layer.Mg - k) for k in range(0, layer.Mg, m)]
    passes_per_channel_block = sum(ceil_div(block, p * t) for block in m_blocks)
    pes_across = sum(ceil_div(block, p) for block in m_blocks)  # filter sets, all passes together
    psums = N * M * E * F
    macs = psums * C * R * S

    filters = M * C * R * S * strips * tiles * image_blocks
    ifmap = rows * Wp * C * G * N * passes_per_channel_block
    psum_write = psums * channel_blocks
    psum_read = psums * (channel_blocks - 1)
    # Each PE row of a set has its filter words e times, each PE its ifmap row once a pass.
    filter_deliveries = M * C * R * S * E * tiles * image_blocks
    ifmap_deliveries = N * E * R * Wp * C * G * pes_across
    sets_on_channels = ceil_div(C, q)  # over all channel blocks
    accumulations = psums * R * (C * S - sets_on_channels)
    return {
        "dram.filter.read": filters,
        "dram.ifmap.read": rows * Wp * C * G * N * len(m_blocks),
        "dram.ofmap.write": psums,
        "glb.filter.write": filters,
        "glb.filter.read": filters,
        "glb.ifmap.write": rows * Wp * C * G * N * len(m_blocks),
        "glb.ifmap.read": ifmap,
        "glb.psum.read": psum_read,
        "glb.psum.write": psum_write,
        "glb.ofmap.read": psums,
        "glb.ofmap.write": 0,
        "noc.gin_filter.words": filters,
        "noc.gin_filter.deliveries": filter_deliveries,
        "noc.gin_filter.y_bus": filters,
        "noc.gin_ifmap.words": ifmap,
        "noc.gin_ifmap.deliveries": ifmap_deliveries,
        "noc.gin_ifmap.y_bus": ifmap,
        "noc.gin_psum.words": psum_read,
        "noc.gin_psum.deliveries": psum_read,
        "noc.gon_psum.words": psum_write,
        "noc.local_psum.words": psums * (R * sets_on_channels - channel_blocks),
        "spad.ifmap.write": ifmap_deliveries,
        "spad.ifmap.read": macs,
        "spad.ifmap.read_new": N * E * F * R * S * C * G * pes_across,
        "spad.filter.write": filter_deliveries,
        "spad.filter.read": macs,
        "spad.psum.read": accumulations,
        "spad.psum.write": accumulations,
        "mac.total": macs,
        "mac.gated": 0,
    }


@given(cases())
@settings(max_examples=800, deadline=None)
def test_counts_are_those_of_section_4(case: Case) -> None:
    plan = case.plan
    activity = simulate_layer(plan)
    expected = section_4(plan)
    assert {name: activity.counts[name] for name in expected} == expected
    assert sum(activity.multicast.values()) == expected["glb.ifmap.read"]
    reached = sum(pes * words for pes, words in activity.multicast.items())
    assert reached == expected["noc.gin_ifmap.deliveries"]
    assert int(activity.macs.sum()) == expected["mac.total"]

    result = layer_result(
        plan,
        activity,
        causes=activity.causes,
        stalls=activity.stalls,
        passes_simulated=activity.passes_simulated,
    )
    glb = ("glb.ifmap.read", "glb.psum.read", "glb.psum.write", "glb.ofmap.read")
    assert published_glb_bytes(result.entries) == 2 * sum(expected[name] for name in glb)


@given(cases())
@settings(max_examples=150, deadline=None)
def test_every_cycle_of_every_pe_has_one_cause(case: Case) -> None:
    activity = simulate_layer(case.plan)
    assert (activity.stalls >= 0).all()
    assert (activity.stalls.sum(axis=0) == activity.cycles).all()
    used = activity.stalls[CAUSES.index("clock_gated")] < activity.cycles
    assert int(used.sum()) <= case.plan.active_pes
    assert (used == (activity.macs > 0)).all()


@given(cases())
@settings(max_examples=80, deadline=None)
def test_reused_passes_are_the_passes_simulated_anew(case: Case) -> None:
    reused = simulate_layer(case.plan)
    anew = simulate_layer(case.plan, every_pass=True)
    assert reused.counts == anew.counts
    assert reused.multicast == anew.multicast
    assert reused.pass_cycles.tolist() == anew.pass_cycles.tolist()
    assert (reused.stalls == anew.stalls).all()
    assert (reused.macs == anew.macs).all()


def test_the_shuffle_shuffles() -> None:
    def order(env: simpy.Environment) -> list[int]:
        seen: list[int] = []

        def process(name: int) -> Generator[simpy.Event, None, None]:
            yield env.timeout(5)
            seen.append(name)

        for name in range(6):
            env.process(process(name))
        env.run()
        return seen

    assert order(simpy.Environment()) == list(range(6))
    orders = {tuple(order(ShuffledEnvironment(seed))) for seed in range(20)}
    assert len(orders) > 10
    assert {tuple(sorted(found)) for found in orders} == {tuple(range(6))}


@given(cases(), prefetch_states(), seeds)
@settings(max_examples=150, deadline=None)
def test_the_order_of_events_within_a_cycle_changes_nothing(
    case: Case, state: PrefetchState, seed: int
) -> None:
    hw = case.plan.hw
    for shape in some_shapes(case.plan, 2):
        start = usable(state, shape, hw)
        data = pass_data(shape, seed)
        machine = pass_machine(shape, hw, start, data)
        told = story(machine, machine.run())
        for shuffle in range(3):
            shuffled = pass_machine(
                shape, hw, start, data, lambda n=seed + shuffle: ShuffledEnvironment(n)
            )
            assert story(shuffled, shuffled.run()) == told


def convolved(shape: PassShape, data: PassData) -> np.ndarray:
    """The pass's psums, product by product of the definition."""
    psums = np.zeros(
        (shape.images, sum(shape.filters), shape.strip_rows, shape.ofmap_columns), np.int64
    )
    for y in range(shape.strip_rows):
        for x in range(shape.ofmap_columns):
            top, left = y * shape.row_step, x * shape.column_step
            window = data.ifmap[
                :, :, top : top + shape.filter_rows, left : left + shape.filter_columns
            ]
            psums[:, :, y, x] = np.einsum("ncrs,mcrs->nm", window, data.filters)
    return psums if data.psums is None else psums + data.psums


@given(cases(), prefetch_states(), seeds)
@settings(max_examples=150, deadline=None)
def test_the_psums_that_leave_are_the_convolution(
    case: Case, state: PrefetchState, seed: int
) -> None:
    """Every word arrived at the right PE in the right order; and values change no cycle."""
    hw = case.plan.hw
    for shape in some_shapes(case.plan, 3):
        start = usable(state, shape, hw)
        data = pass_data(shape, seed)
        outcome = pass_machine(shape, hw, start, data).run()
        assert outcome.psums is not None
        assert (psum_block(shape, outcome.psums, hw) == convolved(shape, data)).all()
        without = pass_machine(shape, hw, start).run()
        assert outcome.cycles == without.cycles
        assert (outcome.stalls == without.stalls).all()
        # A product is gated where its ifmap word is zero.
        ones = PassData((data.ifmap == 0).astype(np.int64), np.ones_like(data.filters), None)
        assert outcome.gated_macs == int(convolved(shape, ones).sum())


@given(cases(), st.integers(1, 8), seeds)
@settings(max_examples=150, deadline=None)
def test_truncated_psums_are_the_convolution_modulo_their_width(
    case: Case, bits: int, seed: int
) -> None:
    hw = case.plan.hw
    narrow = hw.model_copy(
        update={"arithmetic": hw.arithmetic.model_copy(update={"psum_bits": bits})}
    )
    for shape in some_shapes(case.plan, 2):
        data = pass_data(shape, seed)
        outcome = pass_machine(shape, narrow, PrefetchState(), data).run()
        assert outcome.psums is not None
        half = 1 << (bits - 1)
        assert -half <= outcome.psums.min() <= outcome.psums.max() < half
        assert not (
            (psum_block(shape, outcome.psums, hw) - convolved(shape, data)) % (2 * half)
        ).any()


@given(cases(), prefetch_states())
@settings(max_examples=200, deadline=None)
def test_no_pass_beats_the_bounds_of_section_5(case: Case, state: PrefetchState) -> None:
    hw = case.plan.hw
    noc = hw.noc
    for shape in some_shapes(case.plan, 3):
        outcome = pass_machine(shape, hw, usable(state, shape, hw)).run()
        p, q = max(shape.filters), max(shape.channels)
        array = shape.windows * p * (q * shape.filter_columns + 1)
        beats = sum(ceil_div(filters, noc.psum_words_per_cycle) for filters in shape.filters)
        psum = shape.windows * shape.strip_rows * beats
        ifmap = ceil_div(shape.ifmap_words, noc.gin_ifmap_words_per_cycle)
        filters = ceil_div(shape.filter_words, noc.gin_filter_words_per_cycle)
        exposed = hw.glb.filter_load == "exposed"
        assert outcome.cycles > max(array, psum) + (filters if exposed else 0)
        assert outcome.cycles > max(ifmap, filters)
