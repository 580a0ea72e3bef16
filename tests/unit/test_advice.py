"""Every sentence of advice is true: its options are given to the program, and its gain is found."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hw_models.load import load_hardware
from hw_models.vocabulary import Resource
from sim.advice import LEAST_GAIN, advise
from sim.analytic.bound import layer_bound
from sim.analytic.form import total_cycles
from sim.mapper.auto import auto_mapping
from sim.plan.make import make_plan
from sim.report.diagnosis import time_of
from sim.report.load import of_result
from sim.report.page.html import page_data
from sim.report.text.passes import render_passes
from sim.report.views import layer_view
from sim.run import estimate, prepare, run
from workloads.layer import Layer

NETWORKS = ("lenet5", "alexnet", "vgg16", "mobilenet_v1", "resnet50")
SENTENCE = re.compile(r"\((?P<options>--[^)]+)\)\..* Tried: (?P<factor>[\d.]+) times as fast in ")


def told(network: str) -> Iterator[tuple[str, str]]:
    """(layer, sentence) of all advice on the page of a network."""
    (page,) = page_data([(network, of_result(estimate(network)))])["runs"]
    for view in page["views"]:
        for line in view["story"][2]["answer"]:
            name, sentence = view["name"], line
            if view["whole"] and ": " in line:
                name, _, sentence = line.partition(": ")
            if "Tried" in sentence or sentence.startswith("Little"):
                yield name, sentence


def as_told(network: str, layer: str, sentence: str) -> None:
    """Give the options of a sentence to the program, and hold its gain against what is found."""
    found = SENTENCE.search(sentence)
    assert found is not None, sentence
    options = shlex.split(found["options"])
    given = list(zip(options[::2], options[1::2], strict=True))
    settings = [value for name, value in given if name == "--set"]
    others = {name: value for name, value in given if name != "--set"}
    assert set(others) <= {"--mapping", "--batch"}, sentence
    now = estimate(network, layers=[layer])
    then = estimate(
        network,
        layers=[layer],
        batch=int(others["--batch"]) if "--batch" in others else None,
        hw=load_hardware("eyeriss_v1", settings),
        mapping=others.get("--mapping", str(now.layers[0].mapping)),
    )
    assert then.refused == (), sentence
    factor = now.total_cycles / now.batch / (then.total_cycles / then.batch)
    assert f"{factor:.2f}" == found["factor"], (layer, sentence)
    assert factor > 1 + LEAST_GAIN, (layer, sentence)
    if "--mapping" in others:  # nothing larger than the layer is asked for
        mapping = then.layers[0].mapping
        assert str(mapping) == others["--mapping"], sentence


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(name, marks=() if name in ("lenet5", "alexnet") else pytest.mark.slow)
        for name in NETWORKS
    ],
)
def test_every_sentence_of_advice_on_the_page_of_a_network_is_true(network: str) -> None:
    sentences = list(told(network))
    layers = [layer.layer.name for layer in estimate(network).layers]
    assert {name for name, _ in sentences} == set(layers)
    tried = {(name, line) for name, line in sentences if not line.startswith("Little")}
    for name, line in sorted(tried):
        as_told(network, name, line)
    # The best first; and never less than the mapper finds.
    for plan in prepare(network).plans:
        found = advise(plan.layer, plan.batch, plan.hw, plan.mapping)
        factors = [change.factor for change in found.changes]
        assert factors == sorted(factors, reverse=True)
        auto = make_plan(
            plan.layer, plan.batch, plan.hw, auto_mapping(plan.layer, plan.batch, plan.hw)
        )
        gain = total_cycles(plan) / total_cycles(auto)
        if gain > 1 / (1 - LEAST_GAIN):
            assert max(factors) >= gain, plan.layer.name


@pytest.mark.parametrize("network", NETWORKS)
def test_terminal_page_and_eyexam_name_the_same_bound(network: str) -> None:
    result = estimate(network)
    read = of_result(result)
    for layer, part in zip(result.layers, read.layers, strict=True):
        assert layer.bound is not None
        view = layer_view(read, part)
        assert view.eyexam[-1].limit == layer.bound.text, layer.layer.name
        first = time_of(read, part, view)[0]
        tie = len(layer.bound.by) > 1
        assert ("a tie" in first) == tie, (layer.layer.name, first)
        words = {"array": "PE array"}
        for name in Resource:
            assert (words.get(name, name) in first) == (name in layer.bound.by), first


def test_a_run_tells_the_bound_that_the_estimate_tells() -> None:
    simulated, estimated = run("lenet5"), estimate("lenet5")
    for one, other in zip(simulated.layers, estimated.layers, strict=True):
        assert one.bound == other.bound
    assert "What would make C1 faster" in (text := render_passes(simulated))
    assert "--set clock.link_mhz=120" in text


def test_a_toy_is_not_told_to_change() -> None:
    """A layer of a MAC: whatever is tried, nothing gains."""
    hw = load_hardware("eyeriss_v1", ["dram.overlap=full", "clock.link_mhz=100000"])
    layer = Layer(name="TOY", M=1, C=1, H=1, W=1, R=1, S=1)
    found = advise(layer, 1, hw, auto_mapping(layer, 1, hw))
    assert all(change.factor > 1 + LEAST_GAIN for change in found.changes)


def test_equal_layers_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (plan,) = prepare("alexnet", layers=["CONV5"]).plans
    rest = plan.batch, plan.hw, plan.mapping
    advice = advise(plan.layer, *rest)
    assert advice is advise(replace(plan.layer, name="OTHER"), *rest)
    assert advice.bound is layer_bound(plan)
