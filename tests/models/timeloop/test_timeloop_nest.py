"""Mappings of Timeloop become our factors, or the loop that forbids it is named with its line."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli.model_timeloop import timeloop
from sim.mapper.choose import read_mappings
from sim.models.timeloop import parse_files
from sim.models.timeloop.convolution import as_convolution
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
    with pytest.raises(Exception, match="has no part in a convolution"):
        as_convolution(read.problem, read.architecture, read.mapping)
