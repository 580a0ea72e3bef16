"""The facade: results that can be compared, and where the words of a run come from."""

from dataclasses import replace

import numpy as np

from sim.engine.values import random_words
from sim.run import Values, estimate, prepare, run


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
