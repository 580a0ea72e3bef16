"""Levels, conditions and the walk, on a real pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import traces
from sim.recorder import TraceRecorder
from sim.run import Values, prepare, simulate
from traces.reader import Query, Trace
from traces.state import PassView, amounts, countable, first_hold, parse_condition
from traces.step import Stepper


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trace]:
    path = tmp_path_factory.mktemp("state") / "t"
    prepared = prepare("lenet5", batch=2)
    with TraceRecorder(path, prepared, values=Values(seed=1)) as recorder:
        simulate(prepared, values=Values(seed=1), observers=[recorder])
    with traces.open(path) as found:
        yield found


def test_levels_stay_within_their_depths_and_end_empty(trace: Trace) -> None:
    machine = trace.description["machine"]
    depths = {
        "fifo.ifmap": machine["ifmap_fifo_words"],
        "fifo.psum_in": machine["psum_in_fifo_words"],
        "fifo.psum_out": machine["psum_out_fifo_words"],
        "spad.ifmap": machine["ifmap_spad_words"],
        "spad.filter": machine["filter_spad_words"],
        "glb.filter_banks": 4 * machine["filter_bank_lines"],
    }
    reached = dict.fromkeys(depths, 0)
    for number in range(trace.templates):
        view = PassView(trace.template(number), trace.layout)
        for name in view.names():
            levels = view.series(name)[1]
            if not len(levels):
                continue
            kind = name.partition("(")[0]
            assert levels.min() >= 0, name
            assert levels.max() <= depths.get(kind, 8 * machine["bus_fifo_lines"]), name
            assert kind == "spad.filter" or levels[-1] == 0, name
            if kind in reached:
                reached[kind] = max(reached[kind], int(levels.max()))
    assert reached["fifo.ifmap"] == depths["fifo.ifmap"]
    assert all(reached.values())


def test_every_entry_counted_by_the_event_comes_to_the_ledger(trace: Trace) -> None:
    for layer in trace.layers:
        assert layer.result is not None
        for entry in countable():
            total = sum(
                int(
                    amounts(
                        trace,
                        trace.pass_events(layer, place),
                        entry,
                        trace.template(int(layer.passes[place]["template"])),
                    ).sum()
                )
                for place in range(len(layer.passes))
            )
            entries = layer.result["entries"]
            live = entries["mac.active"] + entries["mac.gated"]
            assert total == (live if entry == "mac.total" else entries[entry]), entry


def test_a_condition_first_holds_where_a_count_says(trace: Trace) -> None:
    layer = trace.layer("C3")
    found = first_hold(trace, layer, parse_condition("glb.psum.write > 900"))
    assert found is not None
    place, row = found
    events = trace.events(layer="C3", block="glb", action="write")
    sums = np.cumsum(events.words)
    expected = int(np.flatnonzero(sums > 900)[0])
    assert int(trace.pass_events(layer, place).start[row]) == events.start[expected]
    assert first_hold(trace, layer, parse_condition("glb.psum.write > 999999")) is None


def test_a_condition_on_a_fifo(trace: Trace) -> None:
    layer = trace.layer("C1")
    found = first_hold(trace, layer, parse_condition("fifo.psum_out( 0, 1 ) >= 6"))
    assert found is not None
    events = trace.pass_events(layer, found[0])
    view = PassView(trace.template(0), trace.layout)
    cycle = int(events.start[found[1]])
    assert view.level("fifo.psum_out(0,1)", cycle) >= 6
    before = events.start[events.start < cycle]
    assert max(view.level("fifo.psum_out(0,1)", int(c)) for c in np.unique(before)) < 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no condition"),
        ("glb.psum.read", "is no condition"),
        ("__import__('os').system('true') > 1", "is no condition"),
        ("glb.psum.raed > 1", "cannot be watched; did you mean glb.psum.read"),
        ("fifo.psum_in > 1", r"needs a PE, \(ROW,COLUMN\)"),
        ("cycle(1,2) > 1", "has no PE"),
        ("cycle > 1e3", "is no condition"),
        ("cycle > " + "9" * 50, "is no condition"),
    ],
)
def test_what_is_no_condition(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_condition(text)


def test_walking_there_and_back(trace: Trace) -> None:
    layer = trace.layer("C3")
    stepper = Stepper(trace, layer, Query())
    first = len(trace.pass_events(layer, 0))
    assert stepper.move(first + 5)
    assert (stepper.place, stepper.row) == (1, 4)
    assert stepper.move(-5)
    assert (stepper.place, stepper.row) == (0, first - 1)
    assert stepper.move(-first + 1)
    assert not stepper.move(-1)
    assert (stepper.place, stepper.row) == (0, 0)
    assert stepper.go(2000)
    assert int(stepper.events.start[stepper.row]) >= 2000
    assert not stepper.go(10**9)
    assert stepper.find(parse_condition("pass == 2"))
    assert stepper.place == 2
    text = "\n".join(stepper.here())
    assert text.startswith("C3 pass 2, event 1 of ")
    assert "fifo.ifmap: " in text
    assert stepper.pe_text(11, 13) == "PE (11,13) is not used in this pass"
    assert "spad.filter(0,0) " in stepper.pe_text(0, 0)


def test_a_walk_stops_at_what_a_query_wants(trace: Trace) -> None:
    query = trace.query(pe=(2, 3), action="mac")
    stepper = Stepper(trace, trace.layer("C3"), query)
    events = trace.events(layer="C3", pe=(2, 3), action="mac")
    seen = []
    while stepper.move(1):
        seen.append(int(stepper.events.start[stepper.row]))
    assert seen == events.start.tolist()
