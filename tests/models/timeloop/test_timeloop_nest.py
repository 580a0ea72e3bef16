"""Mappings of Timeloop become our factors, or the loop that forbids it is named with its line."""

import random
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from hw_models.load import load_hardware
from sim.cli.export_timeloop import chip_of
from sim.cli.export_timeloop import timeloop as export
from sim.cli.model_timeloop import timeloop
from sim.cli.timeloop_nest import factors_of, layer_of
from sim.dataflow.base import find_dataflow
from sim.dataflow.nest import layer_sizes
from sim.errors import InputError
from sim.mapper.choose import read_mappings
from sim.models.timeloop import evaluate, parse_files
from sim.models.timeloop.convolution import as_convolution
from sim.models.timeloop.report import to_dict
from sim.models.timeloop.write import Nest, write_files
from workloads.layer import Layer
from workloads.network import load_network

DATA = Path(__file__).parent / "data"
CONV3 = (DATA / "rs_alexnet_conv3" / "in.yaml").read_text()
FACTORS = {"m": 64, "n": 4, "e": 13, "p": 16, "q": 4, "r": 1, "t": 4}


def imported(tmp_path, text):
    """Return how the command ends, and the layer, its batch and factors that it wrote."""
    (tmp_path / "in.yaml").write_text(text)
    network, mapping = tmp_path / "net.yaml", tmp_path / "map.yaml"
    options = ["--as-network", network, "--as-mapping", mapping, "--name", "CONV3"]
    arguments = [tmp_path / "in.yaml", *options, "-q"]
    done = CliRunner().invoke(timeloop, [str(each) for each in arguments])
    if done.exception is not None:
        return done, None, None, None
    found = load_network(str(network))
    [layer] = found.layers
    factors = read_mappings(str(mapping)).content.layers["CONV3"].model_dump(exclude_none=True)
    return done, layer, found.batch, factors


def test_the_published_mapping_of_conv3_comes_back(tmp_path):
    _, layer, batch, factors = imported(tmp_path, CONV3)
    assert factors == FACTORS
    assert (layer.M, layer.C, layer.H, layer.R, layer.U, batch) == (384, 256, 15, 3, 1, 4)


def test_names_of_rows_and_columns_may_be_turned_round(tmp_path):
    """R and S, P and Q are names: the spatial filter dimension is the filter row."""
    turned = re.sub(
        r"\b[RSPQ]\b|(?<=permutation: )\w+",
        lambda found: found[0].translate(str.maketrans("RSPQ", "SRQP")),
        CONV3,
    )
    assert "R=3 C=4" in turned
    assert imported(tmp_path, turned)[3] == FACTORS


def test_a_file_of_version_04_is_read(tmp_path):
    text = "".join(
        (DATA / "v04_eyeriss_conv4" / f"{name}.yaml").read_text()
        for name in ("arch", "problem", "mapping")
    )
    factors = imported(tmp_path, text)[3]
    assert factors == {"m": 64, "n": 4, "e": 13, "p": 16, "q": 3, "r": 2, "t": 2}


def moved(*pairs):
    text = CONV3
    for before, after in pairs:
        assert before in text, before
        text = text.replace(before, after, 1)
    return text


@pytest.mark.parametrize(
    ("pairs", "place", "reason"),
    [
        (
            [("factors: R=3 C=1 M=4", "factors: M=4"), ("C=64 M=6", "R=3 C=64 M=6")],
            "mapping",
            "one of R and S must be spatial; neither is",
        ),
        (
            [
                ("factors: Q=13 N=4", "factors: Q=13 N=4 M=2"),
                (
                    "permutation: QNRSPCM\n- target: shared",
                    "permutation: MQNRSPC\n- target: shared",
                ),
                ("C=64 M=6", "C=64 M=3"),
                ("depth: 12800", "depth: 25600"),
            ],
            "mapping[4]",
            "M goes on inside N, but a pass walks all of N",
        ),
        (
            [("permutation: QNRSPCM\n- target: shared", "permutation: NQRSPCM\n- target: shared")],
            "mapping[4]",
            "F goes around N at PE: the order is N, F, S, C, M, from the outside (F is",
        ),
        (  # all filters inside the walk over channels: their psums have no room
            [("permutation: CMPNRSQ", "permutation: MCPNRSQ")],
            "loop nest of CONV3 on eyeriss_v1",
            "GLB banks = 129, limit 25",
        ),
    ],
)
def test_what_is_not_row_stationary_is_named_with_its_line(tmp_path, pairs, place, reason):
    text = CONV3
    for before, after in pairs:
        assert before in text, before
        text = text.replace(before, after, 1)
    [fault] = imported(tmp_path, text)[0].exception.faults
    assert fault.field == place
    assert fault.line is not None
    assert reason in fault.message


def test_other_problems_are_no_convolution():
    text = CONV3.replace("- - - C\n      - - - M\n", "- - - C\n", 1)
    read = parse_files([(text, "in.yaml")])
    with pytest.raises(InputError, match="has no part in a convolution"):
        as_convolution(read.problem, read.architecture, read.mapping)


def test_alexnets_even_mappings_are_exported_and_come_back(tmp_path):
    done = CliRunner().invoke(export, ["alexnet", "-o", str(tmp_path)])
    assert done.stdout == "written: CONV3\nwritten: CONV4\nwritten: CONV5\n"
    assert "CONV1: E: its factors make 56 for a size of 55" in done.stderr
    text = (tmp_path / "CONV3.yaml").read_text()
    assert imported(tmp_path, text)[3] == FACTORS
    counts = [evaluated_counts(each) for each in (text, CONV3)]
    assert counts[0] == counts[1]


def evaluated_counts(text):
    read = parse_files([(text, "in.yaml")])
    evaluation = evaluate(read.problem, read.architecture, read.mapping, None)
    return to_dict(evaluation)["counts"]


def divisor(rng, size, most=64):
    return rng.choice([each for each in range(1, min(size, most) + 1) if size % each == 0])


def test_five_hundred_legal_mappings_come_back_with_the_same_factors():
    rng = random.Random(1)
    dataflow, hw = find_dataflow(), load_hardware("eyeriss_v1")
    returned = 0
    for _ in range(20_000):
        rows, columns = rng.choice([1, 3, 5]), rng.choice([1, 3, 5])
        e, f, stride = rng.choice([4, 6, 13, 14, 28]), rng.choice([5, 12, 13]), rng.choice([1, 2])
        layer = Layer(
            name="L", M=rng.choice([16, 48, 64, 96]), C=rng.choice([3, 12, 32]),
            H=(e - 1) * stride + rows, W=(f - 1) * stride + columns,
            R=rows, S=columns, U=stride, V=stride,
        )  # fmt: skip
        batch = rng.choice([1, 4])
        m, qr = divisor(rng, layer.M), divisor(rng, layer.C)
        pt = divisor(rng, m)
        p, q = divisor(rng, pt, 24), divisor(rng, qr, 4)
        given = {"m": m, "n": divisor(rng, batch), "e": divisor(rng, e)}
        given |= {"p": p, "q": q, "r": qr // q, "t": pt // p}
        if rng.random() < 0.3:
            given["f"] = divisor(rng, f, f - 1)
        mapping = dataflow.complete(layer, given, batch, hw)
        if dataflow.mapping_violations(layer, mapping, batch, hw):
            continue
        nest = dataflow.to_nest(SimpleNamespace(layer=layer, batch=batch, hw=hw, mapping=mapping))
        loops = [(loop.dimension, loop.bound, loop.level) for loop in nest.loops]
        sizes = layer_sizes(layer, batch)
        try:
            text = write_files(Nest(sizes, stride, stride, loops), chip_of(hw))
        except ValueError:  # a set that the array folds
            continue
        read = parse_files([(text, "in.yaml")])
        convolution = as_convolution(read.problem, read.architecture, read.mapping)
        assert layer_of(convolution, "L", read.problem.node) == layer
        assert factors_of(convolution, layer, hw, read.mapping.node) == mapping, given
        returned += 1
        if returned == 500:
            return
    raise AssertionError(returned)
