"""Exact search against all tables of small layers, against bottom-up, and its bounds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from neurospector_cases import DATA, RandomCase

from sim.cli import main
from sim.models.neurospector import exact
from sim.models.neurospector.accelerator import Accelerator, read_accelerator
from sim.models.neurospector.analyze import analyze
from sim.models.neurospector.exact import GOALS, Goal, search_exact
from sim.models.neurospector.model import EXACT, Model
from sim.models.neurospector.optimize import optimize, optimize_exact, read_problem
from sim.models.neurospector.rules import valid
from sim.models.neurospector.search import bottom_up, brute_force, dataflow_choices
from sim.models.neurospector.splits import count_splits, unit_limits, walk
from sim.models.neurospector.workload import Layer, Table
from workloads.inputs.faults import InputError

EYERISS = DATA / "a12_conv5_published" / "acc.cfg"
ALEXNET = """[NETWORK]
name=alexnet
[LAYERS]
CONV1=96,1,55,55,3,11,11,1,4
CONV2=256,1,27,27,96,5,5,2,1
CONV3=384,1,13,13,256,3,3,1,1
CONV4=384,1,13,13,384,3,3,2,1
CONV5=256,1,13,13,384,3,3,2,1
"""


def problem(seed: int, folder: Path, most: int = 120_000) -> tuple[Accelerator, Layer] | None:
    """A small random accelerator and layer; None where there are too many tables."""
    RandomCase(seed, small=True).write(folder)
    accelerator, _, chosen = read_problem(folder / "acc.cfg", folder / "net.cfg")
    layer = chosen[0][1]
    rows = len(accelerator.fillable)
    count = math.prod(count_splits(value, rows) for value in layer.size)
    return (accelerator, layer) if count <= most else None


def every_table(
    accelerator: Accelerator, layer: Layer, flows: tuple[str, str], *, divides: bool
) -> tuple[Table, np.ndarray, np.ndarray]:
    """All legal tables, with pJ and cycles of each in 64 bits."""
    model = Model(accelerator, layer, flows, EXACT, divides_inputs=divides)
    rows, base = accelerator.fillable, np.ones((10, 8), np.int64)
    blocks = [t for _, t in walk(layer.size, rows, base, unit_limits(accelerator, rows))]
    tables = np.concatenate(blocks)
    tables = tables[valid(model, tables)]
    figures = model.figures(tables)
    return tables, figures.total_energy, figures.total_cycles


def merged(table: Table) -> bytes:
    """A table without which of an array's two directions a loop runs along."""
    spread = [table[x] * table[x + 1] for x in (1, 4, 7)]
    return np.stack([*spread, table[3], table[6], table[9]]).tobytes()


@pytest.mark.parametrize("seed", range(30))
def test_no_table_is_better(seed: int, tmp_path: Path) -> None:
    """The best three of all tables, by energy, cycles, their product and other weights."""
    found = problem(seed, tmp_path)
    if found is None:
        return
    accelerator, layer = found
    dataflow, divides = ("fixed", "flexible")[seed % 2], seed % 3 == 0
    least: dict[Goal, dict[tuple[object, ...], float]] = {}
    goals = [*GOALS.values(), Goal(1, 2)]
    for flows in dataflow_choices(accelerator, dataflow):
        tables, energy, cycles = every_table(accelerator, layer, flows, divides=divides)
        for goal in goals:
            kept = least.setdefault(goal, {})
            for place, cost in enumerate(goal.cost(energy, cycles)):
                kept[flows, merged(tables[place])] = float(cost)
    for goal in goals:
        arguments = {"dataflow": dataflow, "divides_inputs": divides}
        if not least[goal]:
            with pytest.raises(InputError, match="no table is legal"):
                search_exact(accelerator, layer, goal, **arguments)
            continue
        proof = search_exact(accelerator, layer, goal, top=3, **arguments)
        assert proof.is_proved
        assert proof.gap == 0
        costs = [optimum.cost for optimum in proof.best]
        assert costs == pytest.approx(sorted(least[goal].values())[:3], rel=1e-9)
        kinds = {(optimum.dataflows, merged(optimum.table)) for optimum in proof.best}
        assert len(kinds) == len(proof.best)
        for optimum in proof.best:
            known = least[goal][optimum.dataflows, merged(optimum.table)]
            assert optimum.cost == pytest.approx(known, rel=1e-9)


@pytest.mark.parametrize("seed", range(1, 12))
def test_ways_listed_when_asked_for_end_in_the_same_optimum(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an array can be filled in too many ways to list beforehand, bounds are looser."""
    RandomCase(seed, small=True).write(tmp_path)
    accelerator, _, chosen = read_problem(tmp_path / "acc.cfg", tmp_path / "net.cfg")
    layer = chosen[0][1]
    for goal in GOALS.values():
        costs = []
        for most in (exact.MOST_WAYS, -1):
            monkeypatch.setattr(exact, "MOST_WAYS", most)
            proof = search_exact(accelerator, layer, goal, dataflow="flexible", top=2)
            assert proof.is_proved
            costs.append([optimum.cost for optimum in proof.best])
        assert costs[0] == pytest.approx(costs[1], rel=1e-12)


def test_too_many_tiles_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.cfg").write_text(ALEXNET)
    accelerator, _, chosen = read_problem(EYERISS, tmp_path / "net.cfg")
    monkeypatch.setattr(exact, "MOST_TILES", 1000)
    with pytest.raises(InputError, match=r"layer conv1: 1,413 or more tiles of the GB with chips"):
        search_exact(accelerator, chosen[0][1], GOALS["energy"])


SEEDS = [
    1,
    *(3, 4, 5, 6, 7),
    *(pytest.param(seed, marks=pytest.mark.slow) for seed in (0, 2, *range(8, 40))),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_never_worse_than_bottom_up(seed: int, tmp_path: Path) -> None:
    RandomCase(seed).write(tmp_path)
    accelerator, _, chosen = read_problem(tmp_path / "acc.cfg", tmp_path / "net.cfg")
    layer = chosen[0][1]
    model = Model(accelerator, layer, arithmetic=EXACT, divides_inputs=False)
    for metric in ("energy", "cycle"):
        found = bottom_up(accelerator, layer, metric)
        try:
            proof = search_exact(accelerator, layer, GOALS[metric])
        except InputError:  # no table is legal
            assert not found.strategies
            continue
        assert proof.is_proved
        best = proof.best[0].table
        assert valid(model, best[None])[0]
        assert (np.prod(best, axis=0) == layer.size).all()
        if found.strategies:
            cost = float(model.cost(model.figures(found.table[None]), metric)[0])
            assert proof.best[0].cost <= cost * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(0, 60, 4))
def test_bottom_up_is_legal_and_brute_force_no_worse(seed: int, tmp_path: Path) -> None:
    found = problem(seed, tmp_path)
    if found is None:
        return
    accelerator, layer = found
    metric = ("energy", "cycle")[seed % 8 // 4]
    one = bottom_up(accelerator, layer, metric)
    all_of_them = brute_force(accelerator, layer, metric)
    model = Model(accelerator, layer)
    if one.strategies:
        assert valid(model, one.table[None])[0]
        costs = [model.cost(model.figures(f.table[None]), metric)[0] for f in (all_of_them, one)]
        assert costs[0] <= costs[1]


def test_alexnet_is_proved(tmp_path: Path) -> None:
    """Optima of all five layers, pJ and cycles, on the accelerator that the tool ships."""
    (tmp_path / "net.cfg").write_text(ALEXNET)
    files = EYERISS, tmp_path / "net.cfg"
    energy = optimize_exact(*files, metric="energy")
    assert all(proof.is_proved for _, proof in energy.proofs)
    printed = [f"{proof.best[0].energy_pj:.6g}" for _, proof in energy.proofs]
    assert printed == ["5.56042e+08", "1.01871e+09", "7.55983e+08", "5.69159e+08", "3.83904e+08"]
    cycles = optimize_exact(*files, metric="cycle")
    printed = [f"{proof.best[0].cycles:.6g}" for _, proof in cycles.proofs]
    assert printed == ["4.79265e+06", "8.13994e+06", "6.08237e+06", "4.58611e+06", "3.11501e+06"]


@pytest.mark.slow
def test_how_far_bottom_up_is_above(tmp_path: Path) -> None:
    """What the tool's own search leaves on AlexNet: 0.16 % of energy, 0.90 % of cycles."""
    (tmp_path / "net.cfg").write_text(ALEXNET)
    for metric, above in (("energy", 0.0016), ("cycle", 0.0090)):
        optimum = optimize_exact(EYERISS, tmp_path / "net.cfg", metric=metric)
        tool = optimize(EYERISS, tmp_path / "net.cfg", metric=metric, search="bottom-up")
        least = sum(proof.best[0].cost for _, proof in optimum.proofs)
        found = sum(layer.cost(metric) for layer in tool.layers)
        assert found / least - 1 == pytest.approx(above, abs=1e-4)


def test_a_time_limit_ends_in_a_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No time at all: what bottom-up finds, and a bound that the optimum is not below."""
    (tmp_path / "net.cfg").write_text(ALEXNET)
    accelerator, _, chosen = read_problem(EYERISS, tmp_path / "net.cfg")
    layer = chosen[0][1]
    proved = search_exact(accelerator, layer, GOALS["energy"])
    stopped = search_exact(accelerator, layer, GOALS["energy"], time_limit=0)
    assert not stopped.is_proved
    assert stopped.bound <= proved.best[0].cost <= stopped.best[0].cost
    assert 0 < stopped.gap < 1
    assert stopped.best[0].cost * (1 - stopped.gap) == pytest.approx(stopped.bound)
    files = ["--accelerator", str(EYERISS), "--network", str(tmp_path / "net.cfg")]
    limits = ["--search", "exact", "--metric", "energy", "--layer", "1", "--time-limit", "0"]
    assert main(["model", "neurospector", "optimize", *files, *limits]) == 0
    assert "stopped by the time limit, at most" in capsys.readouterr().out


def test_reads_that_are_left_out_do_not_win(capsys: pytest.CaptureFixture[str]) -> None:
    """Quirk Q2: its rule finds a table that is cheap by inputs that are not read."""
    case = DATA / "a03_is_is"
    files = ["--accelerator", str(case / "acc.cfg"), "--network", str(case / "net.cfg")]
    command = ["model", "neurospector", "optimize", *files, "--search", "exact"]
    costs = []
    for more in ([], ["--divide-inputs"]):
        given = [*command, "--metric", "energy", "--json", "-", *more]
        assert main(given) == 0
        layer = json.loads(capsys.readouterr().out)["layers"][0]
        assert layer["proved"]
        costs.append(layer["best"][0]["energy_pj"])
    assert costs[1] < costs[0]
    assert main([*command, "--metric", "energy"]) == 0
    assert "without quirk Q2" in capsys.readouterr().out


def test_a_found_table_is_a_file_of_the_tool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.cfg").write_text(ALEXNET)
    files = ["--accelerator", str(EYERISS), "--network", str(tmp_path / "net.cfg")]
    goal = ["--metric", "edp", "--search", "exact", "--layer", "5", "--tables", str(tmp_path / "t")]
    assert main(["model", "neurospector", "optimize", *files, *goal, "--json", "-"]) == 0
    best = json.loads(capsys.readouterr().out)["layers"][0]["best"][0]
    table = tmp_path / "t" / "eyeriss-alexnet_5-exact.cfg"
    figures = analyze(EYERISS, tmp_path / "net.cfg", table).figures
    assert figures.total_energy[0] == pytest.approx(best["energy_pj"], rel=1e-5)
    assert figures.total_cycles[0] == pytest.approx(best["cycles"], rel=1e-5)
    assert best["cost"] == pytest.approx(best["energy_pj"] * best["cycles"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--search", "bottom-up", "--top", "2"], "--top is an option of --search exact"),
        (["--search", "exact", "--cross-layer"], "--cross-layer is an option of --search bottom"),
        (["--search", "brute-force", "--metric", "edp"], "--metric edp is an option of --search"),
        (["--search", "exact", "--original", "o"], "--original has no meaning with --search exact"),
        (["--search", "exact", "--weights", "0,0"], "must be two exponents from 0 to 8"),
        (
            ["--search", "bottom-up", "--multi-chip-partitioning", "1;2"],
            "must be numbers of",
        ),
        (["--search", "bottom-up", "--layer", "9"], "no layer 9; the network has 5"),
        (["--search", "brute-force", "--layer", "2"], "17,685,937,500 tables, limit 50,000,000"),
        (["--search", "best"], "no choice 'best'; known: bottom-up"),
    ],
)
def test_a_mistake_is_told(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.cfg").write_text(ALEXNET)
    files = ["--accelerator", str(EYERISS), "--network", str(tmp_path / "net.cfg")]
    metric = [] if "--metric" in options else ["--metric", "energy"]
    assert main(["model", "neurospector", "optimize", *files, *metric, *options]) == 2
    assert words in capsys.readouterr().err


def test_infinite_costs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.cfg").write_text(ALEXNET)
    for old, new, words in (
        ("FREQUENCY=200", "", "every table costs infinite static energy"),
        ("BANDWIDTH=64", "BANDWIDTH=0", "every table takes infinitely long"),
    ):
        (tmp_path / "acc.cfg").write_text(EYERISS.read_text().replace(old, new))
        layer = read_problem(tmp_path / "acc.cfg", tmp_path / "net.cfg")[2][0][1]
        with pytest.raises(InputError, match=words):
            search_exact(read_accelerator(tmp_path / "acc.cfg"), layer, GOALS["energy"])
