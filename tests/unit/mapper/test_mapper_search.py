"""The search: what it proves, every legal mapping evaluated by itself confirms."""

import random
from collections.abc import Iterator
from fractions import Fraction

import pytest

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.account.result import Pricing
from sim.analytic.row_stationary.many import many_counts, many_cycles
from sim.dataflow.row_stationary.mapping import Mapping
from sim.dataflow.row_stationary.space import Mappings, Space
from sim.engine.layer_run import PassMemory, simulate_layer
from sim.errors import InputError, MappingError
from sim.mapper.objectives import Objective, Prices
from sim.mapper.proof import prove
from sim.mapper.search import Evaluator, best_mappings
from sim.plan.make import make_plan
from sim.run import estimate, load_pricing
from workloads.layer import Layer, ShapeError
from workloads.network import Network, load_network

CHIP = load_hardware("eyeriss_v1")
OBJECTIVES = ["energy", "latency", "processing", "dram", "edp", "energy^2*latency"]
SMALL = {
    "strided": Layer(name="strided", M=8, C=3, H=11, W=11, R=5, S=5, U=2, V=2),
    "groups": Layer(name="groups", G=2, M=8, C=5, H=7, W=5, R=3, S=3, ifmap_zero_fraction=0.6),
    "single": Layer(name="single", M=7, C=3, H=1, W=1, R=1, S=1),
}


def exhaustive(evaluator: Evaluator, space: Space) -> float:
    """The least value of all mappings, by the closed form of each."""
    return min(float(evaluator.values(some, float("inf")).min()) for some in space)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", SMALL)
def test_the_optimum_is_that_of_all_mappings(name: str, objective: str) -> None:
    layer, pricing = SMALL[name], load_pricing()
    found = best_mappings(layer, 2, CHIP, Objective.read(objective), pricing)
    evaluator = Evaluator(layer, 2, CHIP, Objective.read(objective), pricing)
    assert found.proved
    assert found.gap == 0
    assert found.work.evaluated < found.work.size
    least = exhaustive(evaluator, Space(layer, 2, CHIP))
    assert float(found.best[0].value) == pytest.approx(least, rel=1e-12)


def test_least_energy_of_a_published_layer_is_that_of_all_its_mappings() -> None:
    layer, pricing = load_network("alexnet").layer("CONV1"), load_pricing()
    fixed = {"f": layer.F}
    found = best_mappings(layer, 4, CHIP, Objective.read("energy"), pricing, fixed=fixed)
    evaluator = Evaluator(layer, 4, CHIP, Objective.read("energy"), pricing)
    assert found.proved
    assert float(found.best[0].value) == exhaustive(evaluator, Space(layer, 4, CHIP, fixed))


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["energy", "latency", "processing", "edp"])
@pytest.mark.parametrize("name", ["lenet5 C1", "lenet5 C3", "alexnet CONV1", "alexnet CONV2"])
def test_the_optimum_of_shipped_layers(name: str, objective: str) -> None:
    network, layer_name = name.split()
    layer, pricing = load_network(network).layer(layer_name), load_pricing()
    fixed = {"f": layer.F}
    found = best_mappings(layer, 2, CHIP, Objective.read(objective), pricing, fixed=fixed)
    evaluator = Evaluator(layer, 2, CHIP, Objective.read(objective), pricing)
    least = exhaustive(evaluator, Space(layer, 2, CHIP, fixed))
    assert float(found.best[0].value) == pytest.approx(least, rel=1e-12)


def random_layers(seed: int) -> Iterator[tuple[Layer, int, Hardware]]:
    draw = random.Random(seed)
    while True:
        rows, columns = draw.randint(1, 4), draw.randint(1, 4)
        layer = None
        while layer is None:
            try:
                layer = Layer(
                    name="L",
                    G=draw.choice([1, 1, 2]),
                    M=2 * draw.randint(1, 12),
                    C=draw.randint(1, 9),
                    H=draw.randint(rows, 12),
                    W=draw.randint(columns, 12),
                    R=rows,
                    S=columns,
                    U=draw.choice([1, 1, 2]),
                    V=draw.choice([1, 1, 2]),
                )
            except ShapeError:
                continue
        changes = [
            f"array.rows={draw.randint(rows, 8)}",
            f"array.columns={draw.randint(2, 8)}",
            f"glb.bank_bytes={draw.choice([256, 4096])}",
            f"clock.link_mhz={draw.choice([10, 60, 200])}",
            f"limits.filters=[1,{draw.choice([7, 1024])}]",
            f"limits.channels=[1,{draw.choice([4, 1024])}]",
            f"dram.ofmap_dump={draw.choice(['filter_block', 'm_block'])}",
        ]
        yield layer, draw.randint(1, 3), load_hardware("eyeriss_v1", changes)


def check_random(seed: int, cases: int) -> None:
    draw = random_layers(seed)
    done = 0
    while done < cases:
        layer, batch, hw = next(draw)
        if not 0 < Space(layer, batch, hw).size < 10_000:
            continue
        done += 1
        for name in ("energy", "latency"):
            objective, pricing = Objective.read(name), load_pricing()
            found = best_mappings(layer, batch, hw, objective, pricing)
            evaluator = Evaluator(layer, batch, hw, objective, pricing)
            least = exhaustive(evaluator, Space(layer, batch, hw))
            assert float(found.best[0].value) == pytest.approx(least, rel=1e-12), (layer, hw)


def test_the_optimum_of_random_layers_and_chips() -> None:
    check_random(1, 6)


@pytest.mark.slow
def test_the_optimum_of_200_random_layers_and_chips() -> None:
    check_random(2, 200)


@pytest.mark.parametrize("table", ["isca2016", "eyeriss_65nm_calibrated", "nn_dataflow_65nm"])
@pytest.mark.parametrize("precision", [None, "alexnet_pruned"])
def test_figures_are_those_of_the_ledger(table: str, precision: str | None) -> None:
    network = load_network("alexnet")
    pricing = load_pricing(table, precision, network)
    for name in ("CONV1", "CONV3"):
        layer = network.layer(name)
        factors = {"f": layer.F, "e": 13, "p": 16, "q": 1}
        objective = Objective.read("edp")
        found = best_mappings(layer, 4, CHIP, objective, pricing, fixed=factors, top=2)
        for rated in found.best:
            result = estimate(
                Network("one", 4, (layer,)), mapping=str(rated.mapping), pricing=pricing
            ).layers[0]
            assert result.energy is not None
            assert rated.energy == result.energy.total
            assert rated.total == result.total_cycles
            assert rated.processing == result.processing_cycles
            assert rated.value == result.energy.total * result.total_cycles


def test_several_best_are_in_order_and_end_where_the_next_is_worse() -> None:
    layer, objective, pricing = SMALL["strided"], Objective.read("latency"), load_pricing()
    found = best_mappings(layer, 2, CHIP, objective, pricing, top=20)
    values = sorted(
        int(value)
        for some in Space(layer, 2, CHIP)
        for value in many_cycles(layer, 2, CHIP, some).total
    )
    assert [rated.total for rated in found.best] == values[:20]
    assert len({rated.mapping for rated in found.best}) == 20


def test_a_search_that_is_cut_off_says_how_far_it_may_be_off() -> None:
    layer, objective = load_network("resnet50").layer("CONV2_1a"), Objective.read("latency")
    whole = best_mappings(layer, 1, CHIP, objective, load_pricing())
    part = best_mappings(layer, 1, CHIP, objective, load_pricing(), most_evaluated=1)
    assert not part.proved
    assert part.bound <= float(whole.best[0].value) <= float(part.best[0].value)
    assert 0 < part.gap < 1
    assert part.proof.startswith("within ")
    assert part == best_mappings(layer, 1, CHIP, objective, load_pricing(), most_evaluated=1)


def test_an_m_that_is_no_multiple_of_the_filter_blocks_may_win() -> None:
    """The largest multiple of p*t is what a mapping file without `m` gets; it is not the best."""
    layer = load_network("alexnet").layer("CONV3")
    objective = Objective.read("energy")
    best = best_mappings(layer, 4, CHIP, objective, load_pricing()).best[0]
    mapping = best.mapping
    assert mapping.m % (mapping.p * mapping.t)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"e": 99}, "e=99 excludes all mappings: e is 1 to "),
        ({"n": 4}, "n=4 excludes all mappings: n is 1 to 1 here"),
        ({"e": 21, "r": 2}, "no legal mapping with e=21,r=2: rows of a folded PE set = 16, limit"),
        ({"p": 8, "m": 3}, "p=8,m=3 excludes all mappings: no block is filled so far"),
    ],
)
def test_factors_that_exclude_all_mappings(fixed: dict[str, int], message: str) -> None:
    layer = Layer(name="L", M=12, C=8, H=24, W=24, R=4, S=3)
    with pytest.raises(MappingError) as caught:
        best_mappings(layer, 1, CHIP, Objective.read("latency"), load_pricing(), fixed=fixed)
    assert message in str(caught.value)


def test_a_layer_that_the_chip_refuses_names_the_rules() -> None:
    layer = Layer(name="big", M=1, C=1, H=64, W=64, R=13, S=3)
    with pytest.raises(MappingError, match=r"filter rows R = 13, limit 1 to 12"):
        best_mappings(layer, 1, CHIP, Objective.read("latency"), load_pricing())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("enery", "'enery' is no objective: energy, latency, processing, dram, edp, or a product"),
        ("energy^0", "the power of energy must be above 0 and at most 4, got 0"),
        ("energy*energy", "energy is named twice; give it a power"),
        ("", "'' is no objective"),
    ],
)
def test_objectives_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Objective.read(text)
    assert message in str(caught.value)


def test_a_table_that_prices_hops_has_no_bound() -> None:
    pricing = load_pricing()
    noc = pricing.table.noc.model_copy(update={"hop": 1.0})
    hops = Pricing(table=pricing.table.model_copy(update={"noc": noc}), bits={}, pruned={})
    with pytest.raises(InputError, match="prices hops"):
        Prices(SMALL["single"], 1, CHIP, hops)


def test_prices_are_exact() -> None:
    layer = SMALL["groups"]
    mapping = Mapping(m=7, n=2, e=3, p=4, q=2, r=2, t=1)
    counts = many_counts(layer, 2, CHIP, Mappings.of([mapping], layer.F))
    prices = Prices(layer, 2, CHIP, load_pricing())
    energy = prices.exact(
        {name: int(each[0]) for name, each in counts.items()}, {"ifmap": 0, "ofmap": 0}, 0
    )
    assert isinstance(energy, Fraction)


@pytest.mark.parametrize("name", ["strided", "groups"])
def test_the_best_by_the_engine_is_that_of_all_mappings_simulated(name: str) -> None:
    layer, objective, pricing = SMALL[name], Objective.read("latency"), load_pricing()
    fixed = {"f": layer.F, "n": 1, "m": layer.Mg}
    found = best_mappings(layer, 1, CHIP, objective, pricing, fixed=fixed)
    simulated = prove(found, layer, 1, CHIP, objective, pricing, fixed=fixed)
    assert simulated is not None
    assert simulated.proof == "proved by the engine"
    memory, least = PassMemory(CHIP, 1 << 27), None
    for some in Space(layer, 1, CHIP, fixed):
        for place in range(len(some)):
            activity = simulate_layer(make_plan(layer, 1, CHIP, some.mapping(place)), memory=memory)
            total = activity.cycles + activity.standstill.cycles
            least = total if least is None else min(least, total)
    assert simulated.best.total == least


def test_counts_need_no_proof_by_the_engine() -> None:
    layer, objective, pricing = SMALL["strided"], Objective.read("dram"), load_pricing()
    found = best_mappings(layer, 1, CHIP, objective, pricing)
    assert prove(found, layer, 1, CHIP, objective, pricing) is None
