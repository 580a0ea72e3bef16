"""The facade: results that can be compared, and where the words of a run come from."""

from dataclasses import replace

import numpy as np
import pytest

from sim.engine.values import random_words
from sim.run import Values, estimate, prepare, run
from workloads.inputs.document import parse_document
from workloads.network import Network, network_from_document


def test_results_are_equal_where_their_files_are() -> None:
    found = run("lenet5", layers=["C1"])
    assert found == run("lenet5", layers=["C1"], jobs=2)
    assert found != estimate("lenet5", layers=["C1"])
    (layer,) = found.layers
    assert layer != replace(layer, pe_macs=layer.pe_macs + np.int64(1))


def test_words_that_are_drawn_name_their_seed() -> None:
    (plan,) = prepare("lenet5", layers=["C1"]).plans
    ifmap, filters = random_words(plan, seed=3)
    drawn = run("lenet5", layers=["C1"], values=Values(seed=3)).layers[0].values
    half = run("lenet5", layers=["C1"], values=Values(seed=3, ifmap=ifmap)).layers[0].values
    given = run("lenet5", layers=["C1"], values=Values(ifmap=ifmap, filters=filters)).layers[0]
    assert drawn is not None
    assert half is not None
    assert given.values is not None
    assert (drawn.seed, half.seed, given.values.seed) == (3, 3, None)
    assert np.array_equal(drawn.ofmap, half.ofmap)


PRODUCT = "network: mine\nlayers:\n  - {name: FF, type: gemm, M: %d, K: %d, N: %d, batch: %d}\n"


def product(rows: int, inner: int, columns: int, batch: int = 1) -> Network:
    return network_from_document(parse_document(PRODUCT % (rows, inner, columns, batch), "g.yaml"))


def test_a_product_of_matrices_takes_the_best_of_its_readings() -> None:
    network = product(128, 768, 3072)
    alone = {
        (reading.E, reading.F): estimate(
            replace(network, layers=(replace(reading, kind="conv"),))
        ).total_cycles
        for reading in network.layers[0].readings
    }
    assert {(128, 1), (8, 16), (1, 128)} < set(alone)
    found = estimate(network)
    (layer,) = found.layers
    assert found.total_cycles == min(alone.values()) == alone[layer.layer.E, layer.layer.F]
    assert 3 * found.processing_cycles < estimate_of_a_column(network)
    assert found.milliseconds(found.processing_cycles) < 16
    ofmap = f"{layer.layer.E} x {layer.layer.F}"
    assert f"FF: 128 x 768 by 768 x 3072 read as an ofmap of {ofmap}, best of 8" in found.notes


def estimate_of_a_column(network: Network) -> int:
    column = replace(network.layers[0], kind="conv")
    assert (column.E, column.F) == (128, 1)
    return estimate(replace(network, layers=(column,))).processing_cycles


def test_products_side_by_side_are_those_of_numpy() -> None:
    rng = np.random.default_rng(3)
    left = rng.integers(-9, 9, (2, 20, 12))  # product, column, row
    right = rng.integers(-9, 9, (2, 20, 10))
    words = Values(
        ifmap=left.reshape(1, 40, 12, 1),
        filters=right.transpose(0, 2, 1).reshape(20, 20, 1, 1),
    )
    (layer,) = run(product(12, 20, 10, batch=2), values=words).layers
    assert layer.values is not None
    assert layer.values.wrong == 0
    expected = np.einsum("gkm,gkn->gnm", left, right)
    assert np.array_equal(layer.values.ofmap.reshape(2, 10, 12), expected)


def test_simulation_and_closed_form_agree_on_a_product() -> None:
    network = product(36, 24, 40)
    simulated, estimated = run(network), estimate(network)
    assert simulated.layers[0].layer == estimated.layers[0].layer
    assert simulated.entries == estimated.entries
    assert simulated.processing_cycles == pytest.approx(estimated.processing_cycles, rel=0.01)


def test_a_product_that_no_reading_makes_legal_is_refused_once() -> None:
    found = estimate(product(12, 20, 10), mapping="m=10,n=1,e=1,p=30,q=20,r=1,t=1")
    assert [layer.name for layer in found.refused] == ["FF"]
    assert found.notes == ()
    assert found.left_out == ("FF",)
