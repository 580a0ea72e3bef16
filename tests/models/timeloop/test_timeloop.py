"""Timeloop's model held against the statistics that the programs wrote, to the byte."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli.model_timeloop import timeloop
from sim.errors import InputError
from sim.models.timeloop import evaluate, parse_files, read_files, read_prices
from sim.models.timeloop.explain import dataflow, explain

DATA = Path(__file__).parent / "data"
CASES = ("conv1d_two_levels", "rs_alexnet_conv3", "rs_alexnet_conv4_group")
CASES += ("weight_stationary_bypass",)
VERSIONS = {"3.0": "v3.0.3", "2025": "4cf6d4c"}
EYERISS_04 = [
    DATA / "v04_eyeriss_conv4" / f"{name}.yaml"
    for name in ("arch", "problem", "mapping", "ERT", "ART")
]


def run(*arguments):
    return CliRunner().invoke(timeloop, [str(argument) for argument in arguments])


@pytest.mark.parametrize("rules", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_recorded_files_come_out_to_the_byte(case, rules, tmp_path):
    written, found = tmp_path / "stats.txt", tmp_path / "found.json"
    options = ["--rules", rules, "--original", written, "--json", found]
    done = run(DATA / case / "in.yaml", *options)
    assert done.exit_code == 0, done.output
    recorded = (DATA / case / f"stats.{VERSIONS[rules]}.txt").read_text()
    assert written.read_text() == recorded
    expected = json.loads((DATA / case / "expected.json").read_text())[VERSIONS[rules]]
    figures = json.loads(found.read_text())
    assert {key: figures[key] for key in expected} == expected


def test_files_of_version_04_are_lowered_as_the_front_end_does(tmp_path):
    written = tmp_path / "stats.txt"
    done = run(*EYERISS_04, "--original", written)
    assert done.exit_code == 0, done.output
    recorded = DATA / "v04_eyeriss_conv4" / "stats.4cf6d4c.txt"
    assert written.read_text() == recorded.read_text()


def test_a_mapping_is_explained_in_words():
    read = read_files([str(DATA / "rs_alexnet_conv3" / "in.yaml")])
    evaluation = evaluate(read.problem, read.architecture, read.mapping, None)
    assert dataflow(evaluation).startswith("row stationary")
    lines = explain(evaluation)
    assert "  Side by side: M 4, R 3 along Y." in lines
    assert "  Outputs: summed over 3 instances on their way out." in lines
    other = read_files([str(DATA / "weight_stationary_bypass" / "in.yaml")])
    evaluation = evaluate(other.problem, other.architecture, other.mapping, None)
    assert dataflow(evaluation).startswith("Weights stationary")


# A line of PEs slides over a row of words: all written by hand, and small enough to count.
ROW = """architecture:
  version: 0.4
  nodes:
  - !Container {name: chip, attributes: {datawidth: 16, words: 8}}
  - !Component {name: Main, class: DRAM, attributes: {width: 16}}
  - !Component {name: GLB, class: SRAM, attributes: {width: 16, depth: words * (1 + 1)}}
  - !Component
    name: reg
    class: regfile
    attributes: {width: 16, depth: 3}
    spatial: {meshX: 4}
  - !Component {name: mac, class: intmac, attributes: &nothing {}}
problem:
  shape:
    dimensions: [R, P]
    data-spaces:
    - {name: W, projection: [[[R]]]}
    - {name: I, projection: [[[R], [P]]]}
    - {name: O, projection: [[[P]]], read-write: true}
  instance: {R: 3, P: 4}
mapping:
- {target: reg, type: spatial, factors: [P=4]}
- {target: GLB, type: temporal, factors: R=3}
"""


def evaluated(text, rules="2025"):
    read = parse_files([(text, "row.yaml")])
    prices = read_prices(rules, read.architecture, read.ert)
    return evaluate(read.problem, read.architecture, read.mapping, prices, rules)


def level(evaluation, name):
    return next(each for each in evaluation.levels if each.storage.name == name)


def test_neighbours_hand_on_what_they_had_a_step_before():
    """PE x wants word x + r in step r: after the first step it has come to PE x + 1 already."""
    evaluation = evaluated(ROW)
    weights, inputs, _ = level(evaluation, "inter_reg_spatial").networks
    assert weights.multicast == 4
    assert inputs.traffic.links == 2 * 3  # two steps, all but the last PE
    assert level(evaluation, "GLB").held[1].reads == 4 + 1 + 1
    assert level(evaluation, "reg").held[1].fills == 3
    # Version 3.0 gives each of 4 PEs whole words of the 6 that were handed on.
    assert level(evaluated(ROW, "3.0"), "reg").held[1].fills == 2
    assert (evaluation.cycles, evaluation.utilization) == (3, 1.0)
    alone = ROW.replace("[P=4]}", "[P=4], no_link_transfer: [I]}")
    assert level(evaluated(alone), "GLB").held[1].reads == 3 * 4


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("factors: R=3", "factors: R=2", "the factors of R make 2, its bound is 3"),
        ("meshX: 4", "meshX: 2", "4 instances along X exceed the fan-out 2 of inter_reg_spatial"),
        ("[P=4]", "[P=4, R=3]", "the factors of R make 9, its bound is 3"),
        ("[P=4]}", "[P=4], split: 0}", "4 instances along Y exceed the fan-out 1"),
        (
            "depth: words * (1 + 1)",
            "depth: 8",
            "GLB: mapped tile size 13 exceeds buffer capacity 8",
        ),
        ("depth: words * (1 + 1)", "depth: word", "no variable or attribute word"),
        ("depth: words * (1 + 1)", "depth: 9**9**9", "its power is too large"),
        ("depth: words * (1 + 1)", "depth: depth", "depth goes in a circle"),
        ("depth: words * (1 + 1)", "depths: 3", "GLB: needs depth, entries or sizeKB"),
        ("factors: R=3", 'factors: "R=2,1"', "imperfect factors are not modelled"),
        ("factors: R=3", "factors: R<=3", "a bound for the mapper"),
        ("factors: R=3", "factors: T=3", "no dimension 'T'"),
        ("target: GLB", "target: GBL", "did you mean 'GLB'"),
        ("target: GLB, type: temporal", "target: GLB, type: skew", "skewed loops"),
        ("target: GLB", "target: inter_reg_spatial", "has spatial loops alone"),
        ("target: reg", "target: Main", "Main has no fan-out"),
        ("[[[P]]], read-write: true", "[[[P]]]", "one of them must be read-write"),
        ("[[[R], [P]]]", "[[[R], [P, V]]]", "no coefficient 'V'"),
        ("class: SRAM", "class: router", "no class 'router' of storage or compute"),
        ("!Container", "!Contained", "tag '!Contained' is not allowed"),
        ("instance: {R: 3, P: 4}", "instance: {R: 3}", "needs P"),
        ("&nothing {}", "&nothing {a: *nothing}", "has no anchor that ends before it"),
        ("version: 0.4\n  nodes", "version: 0.3\n  nodes", "must be 0.4 for nodes"),
        ("name: chip", "name: '{{chip}}'", "Jinja2 templates are not evaluated"),
        ("mapping:", "sparse_optimizations: {}\nmapping:", "sparse optimizations are not modelled"),
        ("mapping:", "mappings:", "did you mean 'mapping'?"),
    ],
)
def test_each_broken_rule_is_named_with_its_line(before, after, message):
    assert before in ROW
    with pytest.raises(InputError) as refused:
        evaluated(ROW.replace(before, after, 1))
    assert message in str(refused.value)
    assert all(fault.line is not None for fault in refused.value.faults)


def test_an_energy_that_the_table_lacks_is_named():
    table = "ERT:\n  tables:\n  - {name: chip.mac, actions: [{name: add, energy: 1}]}\n"
    with pytest.raises(InputError, match="no table of 'reg'"):
        evaluated(ROW + table)
    assert evaluated(ROW).energy is None


def test_a_second_tile_that_stays_is_where_the_rules_differ():
    """Input tiles go 0, 1, 1, 2: version 3.0 takes the stop for a change of direction."""
    loops = "- {target: GLB, type: temporal, factors: R=3}"
    twice = ROW.replace("instance: {R: 3, P: 4}", "instance: {R: 3, P: 4, M: 2}").replace(
        "dimensions: [R, P]", "dimensions: [R, P, M]"
    )
    twice = twice.replace("name: W, projection: [[[R]]]", "name: W, projection: [[[R]], [[M]]]")
    twice = twice.replace("name: O, projection: [[[P]]]", "name: O, projection: [[[P]], [[M]]]")
    twice = twice.replace(
        loops, "- {target: Main, type: temporal, factors: R=3 M=2, permutation: [M, R]}"
    )
    reads = {rules: level(evaluated(twice, rules), "Main").held[1].reads for rules in VERSIONS}
    assert reads == {"2025": 4 + 1 + 1, "3.0": 4 + 4 + 4}


def test_the_oldest_files_are_read():
    """`arch` with the innermost level first, a shape that is known by its name."""
    text = """arch:
  arithmetic: {instances: 2, word-bits: 16}
  storage:
  - {name: Reg, entries: 64, instances: 2, word-bits: 16}
  - {name: Main, technology: DRAM, instances: 1, word-bits: 16}
problem: {shape: cnn-layer, R: 3, S: 1, P: 4, Q: 1, C: 1, K: 2, N: 1, Wstride: 2}
mapping:
- {target: 0, type: temporal, factors: R3 P4, permutation: RPSQCKN}
- {target: Main, type: spatial, factors: K0}
"""
    evaluation = evaluated(text)
    assert evaluation.cycles == 12
    assert level(evaluation, "Reg").held[1].size == 3 * 2 + 3  # (P - 1) Wstride + R


def outcome(texts):
    try:
        read = parse_files(texts)
        prices = read_prices("2025", read.architecture, read.ert)
        evaluate(read.problem, read.architecture, read.mapping, prices)
    except InputError as error:
        return error.faults
    return ()


def test_two_hundred_damaged_files_are_evaluated_or_refused():
    rng = random.Random(1)
    recorded = [
        [(path.read_text(), path.name) for path in EYERISS_04],
        [((DATA / "conv1d_two_levels" / "in.yaml").read_text(), "in.yaml")],
        [(ROW, "row.yaml")],
    ]
    refused = 0
    for _ in range(200):
        texts = list(rng.choice(recorded))
        which = rng.randrange(len(texts))
        text, name = texts[which]
        for _ in range(rng.randint(1, 3)):
            at, length = rng.randrange(len(text)), rng.randint(1, 20)
            part = text[at : at + length]
            filler = ["", part * 2, "&a *a", "[" * 50, "9" * 30, "\x1b[2J", "(" * 150, "-", "1e300"]
            text = text[:at] + rng.choice(filler) + text[at + length :]
        texts[which] = text, name
        faults = outcome(texts)
        refused += bool(faults)
        assert all(fault.file and str(fault).isprintable() for fault in faults)
    assert refused > 100


def test_aliases_cannot_grow_a_file():
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True):
        bomb += f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    [fault] = outcome([(bomb, "bomb.yaml")])
    assert "aliases repeat more than the limit" in fault.message
