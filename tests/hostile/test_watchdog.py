"""A block that stops or never stops: the pass is broken off, and the error says who waits."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

import pytest

from hw_models.load import load_hardware
from sim.cli import main
from sim.dataflow.row_stationary.mapping import Mapping
from sim.engine.dram import PrefetchState
from sim.engine.machine import Machine
from sim.engine.noc import FeedBus, LocalLink, PsumOutBus
from sim.engine.passes import pass_machine
from sim.engine.pe import PE
from sim.errors import DeadlockError
from sim.plan.make import make_plan
from workloads.layer import Layer

CHIP = load_hardware("eyeriss_v1")
LAYER = Layer(name="L", M=4, C=2, H=4, W=6, R=2, S=2)
MAPPING = Mapping(m=4, n=1, e=3, p=4, q=1, r=2, t=1)


def machine() -> Machine:
    shape = next(iter(make_plan(LAYER, 1, CHIP, MAPPING))).shape
    return pass_machine(shape, CHIP, PrefetchState())


def stopped(*_: Any) -> Generator[Any, None, None]:
    return
    yield


def test_a_link_that_stops_leaves_everybody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalLink, "run", stopped)
    with pytest.raises(DeadlockError) as caught:
        machine().run()
    text = str(caught.value)
    assert re.match(r"deadlock at cycle \d+ of the pass: ", text)
    assert "the reader of PE (2, 0) psum in waits for entry 0" in text
    assert "the reader of psum lines out waits for entry 0" in text


def test_an_output_bus_that_stops_fills_the_fifos_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PsumOutBus, "run", stopped)
    small = CHIP.model_copy(update={"pe": CHIP.pe.model_copy(update={"psum_out_fifo_words": 4})})
    shape = next(iter(make_plan(LAYER, 1, small, MAPPING))).shape
    with pytest.raises(
        DeadlockError, match=r"the writer of PE \(0, 0\) psum out waits until entry 0 has left"
    ):
        pass_machine(shape, small, PrefetchState()).run()


def test_an_input_bus_that_stops_leaves_the_pes_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeedBus, "run", stopped)
    with pytest.raises(DeadlockError, match=r"PE \(\d, 0\) waits for ifmap word 1"):
        machine().run()


def test_a_pe_that_never_ends_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(pe: PE) -> Generator[Any, None, None]:
        while True:
            yield pe.env.timeout(1)

    monkeypatch.setattr(PE, "run", endless)
    here = machine()
    with pytest.raises(DeadlockError) as caught:
        here.run()
    assert re.match(r"no end of the pass after \d+ cycles: ", str(caught.value))
    assert "the reader of psum lines out waits for entry 0" in str(caught.value)
    assert here.env.now < 50_000


def test_a_bus_that_repeats_itself_for_ever_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(bus: FeedBus) -> Generator[Any, None, None]:
        while True:
            yield bus.env.timeout(7)

    monkeypatch.setattr(FeedBus, "run", endless)
    with pytest.raises(DeadlockError, match=r"^no end of the pass after \d+ cycles: "):
        machine().run()


def test_nobody_waits_and_yet_it_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine()

    def endless(*_: Any) -> Generator[Any, None, None]:
        while True:
            yield here.env.timeout(100)

    for block in (here.dram, here.load_port, here.load_bus, here.feed_port, here.feed_bus,
                  here.psum_out_bus, here.write_port, *here.links, *here.pes):  # fmt: skip
        monkeypatch.setattr(type(block), "run", endless)
    with pytest.raises(
        DeadlockError, match=r"^no end of the pass after \d+ cycles: nobody waits for anybody$"
    ):
        here.run()


def test_the_command_line_calls_it_a_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(PsumOutBus, "run", stopped)
    assert main(["run", "lenet5", "--layer", "C1", "-q"]) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("internal error: deadlock at cycle ")
    assert " waits " in first
    assert second.startswith("This is a defect of the simulator")
