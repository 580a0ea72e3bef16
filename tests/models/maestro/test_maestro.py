"""MAESTRO's model held against what the program itself wrote, to the byte."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli.model_maestro import maestro
from sim.errors import InputError
from sim.models.maestro import Hardware, evaluate, parse_network, read_network
from sim.models.maestro.explain import dataflow, explain

DATA = Path(__file__).parent / "data"
RECORDED = json.loads((DATA / "recorded.json").read_text())
CASES = sorted(RECORDED["cases"])

LAYER = """Constant four 4
Network toy {{ // a comment
Layer L {{
  Type: CONV
  Dimensions {{ K: four, C: 4, R: 3, S: 3, Y: 6, X: 6 }}
  Dataflow {{ {} }}
}} }}
"""
WHOLE = "TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"


def run(*arguments):
    return CliRunner().invoke(maestro, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", CASES)
def test_recorded_files_come_out_to_the_byte(name, tmp_path):
    flags = RECORDED["cases"][name].split()
    done = run(DATA / f"{name}.m", *flags, "--csv", tmp_path / "out.csv")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out.csv").read_text() == (DATA / f"{name}.csv").read_text()
    assert done.output == (DATA / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("no_dataflow.m", 1, "has no Dataflow"),
        ("no_spatial_map.m", 1, "one or two SpatialMaps, this one has 0"),
        ("part_of_the_filter.m", 2, "must take all of it, (3,3)"),
        ("shipped_rs_x_for_y.m", 2, "computes nothing, and MAESTRO divides by zero"),
        ("too_few_pes.m", 2, "the clusters take 8 PEs, there are 7"),
        ("zero_size.m", 1, "Dimensions K: must be 1 to 1000000, got '0'"),
    ],
)
def test_files_on_which_the_program_stops_are_refused_with_line_and_reason(name, line, reason):
    assert name in RECORDED["refused"]
    with pytest.raises(InputError) as refused:
        evaluate(read_network(str(DATA / "refused" / name)), Hardware())
    [fault] = refused.value.faults
    assert (fault.line, reason in fault.message) == (line, True), fault


@pytest.mark.parametrize(
    ("dataflow_text", "reason"),
    [
        (f"SpatialMap(1,1) Q; {WHOLE}", "the layer's Dimensions have no 'Q'"),
        (f"SpatialMap(1,1) K; SpatialMap(1,1) K; {WHOLE}", "K is mapped twice in one cluster"),
        ("SpatialMap(1,1) K; TemporalMap(1,1) Y';", "its cluster needs a map of R"),
        (f"SpatialMap(1,1) K; {WHOLE} TemporalMap(2,2) Y; TemporalMap(2,2) X;", "smaller than"),
        ("Cluster(1,P); " * 4 + "SpatialMap(1,1) K;", "has 5 cluster levels"),
        ("SpatialMap(1,x) K;", "must be a number from 1 to 1000000, got 'x'"),
        ("SpatialMap(1,Sz(Q)) K;", "Sz(Q): the Dimensions have no 'Q'"),
        ("{SpatialMap(1,1) K;", "expected TemporalMap, SpatialMap, Cluster or '}'"),
    ],
)
def test_each_broken_rule_is_named(dataflow_text, reason):
    with pytest.raises(InputError, match=r"toy\.m:") as refused:
        evaluate(parse_network(LAYER.format(dataflow_text), "toy.m"), Hardware(pes=64))
    assert reason in str(refused.value)


def test_strides_output_sizes_and_hardware_files_count(tmp_path):
    """Figures that the program printed for this file under these options."""
    text = (DATA / "tiny_one_level.m").read_text()
    hardware = tmp_path / "four.m"
    hardware.write_text("num_pes: 4\nNoC_NumHops: 1\n")
    by_file = run(DATA / "tiny_one_level.m", "--HW_file", hardware)
    by_flags = run(DATA / "tiny_one_level.m", "--num_pes=4", "--noc_hop_latency=1")
    assert by_file.output == by_flags.output
    assert "Runtime: 1296 cycles" not in by_flags.output  # the latency counts
    primed = text.replace("Y: 8, X: 8", "Y': 6, X': 6")
    plain, outputs = (evaluate(parse_network(each, "a.m"), Hardware(4)) for each in (text, primed))
    assert plain[0].cost == outputs[0].cost


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("rs_alexnet_conv3_4", "row stationary"),
        ("nvdla_kcp_two_layers", "stationary"),
        ("gemm_nmk", "stationary"),
    ],
)
def test_directives_are_explained_in_words(name, word):
    network = read_network(str(DATA / f"{name}.m"))
    report = evaluate(network, Hardware(pes=256))[0]
    assert word in dataflow(report.nest)
    lines = explain(report.nest, report.layer.type, 256)
    assert any(line.startswith("Level 0: ") for line in lines)


def test_json_names_the_figures_of_the_csv():
    done = run(DATA / "tiny_one_level.m", "--num_pes=4", "--json", "-")
    [layer] = json.loads(done.output)["layers"]
    assert layer["Runtime (Cycles)"] == 1296
    assert layer["Compute Delay (Max)"] == 18


def damaged(text, rng):
    """Return the text with bytes dropped, doubled, swapped or grown beyond reason."""
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(text)), rng.randint(1, 40)
        part = text[at : at + length]
        text = (
            text[:at]
            + rng.choice(["", part * 2, part[::-1], "9" * rng.randint(1, 400), "{", "}", "\x1b[2J"])
            + text[at + length :]
        )
    return text


def outcome(path):
    try:
        evaluate(read_network(str(path)), Hardware(pes=168))
    except InputError as error:
        return error.faults
    return ()


def test_two_hundred_damaged_files_are_evaluated_or_refused(tmp_path):
    rng = random.Random(1)
    texts = [(DATA / f"{name}.m").read_text() for name in CASES]
    path = tmp_path / "damaged.m"
    refused = 0
    for _ in range(200):
        path.write_text(damaged(rng.choice(texts), rng))
        faults = outcome(path)
        refused += bool(faults)
        for fault in faults:
            assert fault.file == str(path)
            assert fault.line is not None
            assert str(fault).isprintable()
    assert refused > 100  # else the damage is too mild to show anything
