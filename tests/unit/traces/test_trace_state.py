"""Levels, conditions and the walk, on a real pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import traces
from hw_models.load import load_hardware
from hw_models.vocabulary import CAUSES
from sim.recorder import TraceRecorder
from sim.run import NetworkPlan, Values, prepare, simulate
from traces.columns import Query
from traces.conditions import Condition, Hold, amounts, countable, first_hold, parse_condition
from traces.export import select
from traces.reader import Trace
from traces.state import PassView
from traces.step import Stepper

MAPPING = str(Path(__file__).parents[2] / "lenet5_mapping.yaml")


@contextmanager
def recorded(
    folder: Path, prepared: NetworkPlan, values: Values | None = None, blocks: Sequence[str] = ()
) -> Iterator[Trace]:
    with TraceRecorder(folder / "t", prepared, values=values, blocks=blocks) as recorder:
        simulate(prepared, values=values, observers=[recorder])
    with traces.open(folder / "t") as found:
        yield found


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trace]:
    prepared = prepare("lenet5", batch=2, mapping=MAPPING)
    with recorded(tmp_path_factory.mktemp("state"), prepared, Values(seed=1)) as found:
        yield found


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trace]:
    """Without words, so that equal passes are one template."""
    with recorded(
        tmp_path_factory.mktemp("counts"), prepare("lenet5", batch=2, mapping=MAPPING)
    ) as found:
        yield found


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trace]:
    """Passes that are one template and find none of their filters: the link is that slow."""
    hw = load_hardware("eyeriss_v1", ["clock.link_mhz=0.1"])
    prepared = prepare("lenet5", layers=["OUTPUT"], batch=1, hw=hw, mapping=MAPPING)
    with recorded(tmp_path_factory.mktemp("slow"), prepared) as found:
        passes = found.layers[0].passes
        assert len(set(passes["template"][1:].tolist())) == 1
        assert not passes["prefetched_words"].any()
        yield found


def test_levels_stay_within_their_depths_and_end_empty(counts: Trace) -> None:
    machine = counts.description["machine"]
    depths = {
        "fifo.ifmap": machine["ifmap_fifo_words"],
        "fifo.psum_in": machine["psum_in_fifo_words"],
        "fifo.psum_out": machine["psum_out_fifo_words"],
        "spad.ifmap": machine["ifmap_spad_words"],
        "spad.filter": machine["filter_spad_words"],
        "glb.filter_banks": 4 * machine["filter_bank_lines"],
    }
    reached = dict.fromkeys(depths, 0)
    for number in range(counts.templates):
        view = PassView(counts.template(number), counts.layout)
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
    place, row, _ = found
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


def every_hold(trace: Trace, condition: Condition) -> list[tuple[int, int]]:
    """All places where a condition holds, by its definition: event after event."""
    (layer,) = trace.layers
    found, total = [], 0
    for place, row in enumerate(layer.passes):
        events = trace.pass_events(layer, place)
        template = trace.template(int(row["template"]))
        view = PassView(template, trace.layout)
        counted = condition.name in countable()
        steps = amounts(trace, events, condition.name, template) if counted else None
        for at, start in enumerate(events.start.tolist()):
            if steps is not None:
                value = total = total + int(steps[at])
            elif condition.name in ("cycle", "pass"):
                value = start if condition.name == "cycle" else int(row["index"])
            else:
                value = view.level(condition.name, start - int(row["start"]))
            if condition.holds(value):
                found.append((place, at))
    return found


@pytest.mark.parametrize(
    "text",
    [
        *("pass == 3", "pass > 1", "pass < 0", "cycle >= 40000", "cycle == 40000", "cycle < 9"),
        *("cycle != 0", "glb.psum.read > 0", "glb.psum.write >= 25", "mac.total == 480"),
        *("noc.gin_ifmap.x_bus > 70", "noc.gin_filter.deliveries > 300", "spad.psum.write < 10"),
        *("fifo.psum_out(0,1) >= 1", "spad.ifmap(0,0) > 3", "spad.filter(0,2) == 0"),
        *("lines.ifmap >= 2", "glb.filter_banks > 4", "spad.ifmap(11,13) > 0"),
    ],
)
def test_a_condition_holds_where_its_definition_says(slow: Trace, text: str) -> None:
    (layer,) = slow.layers
    condition = parse_condition(text)
    expected = every_hold(slow, condition)
    behind = [(place, row) for place in range(-1, len(layer.passes)) for row in (-1, 700, 10**6)]
    for after in [*behind, *expected[:3], *expected[-3:]]:
        found = first_hold(slow, layer, condition, after)
        place = None if found is None else (found.place, found.row)
        assert place == next((place for place in expected if place > after), None), after


@pytest.mark.parametrize(
    "text",
    [
        *("waiting_psum_in(0,1) > 3", "waiting_psum_in(0,1) == 2", "waiting_ifmap(1,0) >= 2"),
        *("computing(4,3) < 2", "accumulating(0,0) != 0", "idle(0,2) > 1", "idle(0,0) <= 5"),
        *("clock_gated(11,13) > 100", "clock_gated(0,0) > 0", "computing(0,0) != 3"),
    ],
)
def test_a_cause_is_told_where_it_begins_to_hold(counts: Trace, text: str) -> None:
    layer = counts.layer("F6")
    condition = parse_condition(text)
    plain, _, place = text.partition("(")
    row, column = (int(part) for part in place.split(")")[0].split(","))
    expected = []
    for number, one in enumerate(layer.passes):
        spans = counts.spans(int(one["template"]))[row, column].lasting(int(one["cycles"]))
        held = False
        for cycle in range(int(one["cycles"])):
            cause, since = spans.at(cycle)
            holds = bool(condition.holds(cycle - since + 1 if CAUSES[cause] == plain else 0))
            if holds and not held:
                expected.append((number, int(one["start"]) + cycle))
            held = holds
    found: list[Hold] = []
    while len(found) < 100:
        hold = first_hold(counts, layer, condition, found[-1] if found else (-1, -1))
        if hold is None:
            assert len(found) == len(expected)
            break
        found.append(hold)
        starts = counts.pass_events(layer, hold.place).start
        assert hold.row == max(int(np.searchsorted(starts, hold.cycle, side="right")) - 1, 0)
    assert [(hold.place, hold.cycle) for hold in found] == expected[: len(found)]


def test_causes_need_the_events_that_tell_them(tmp_path: Path) -> None:
    prepared = prepare("lenet5", layers=["C3"], batch=1)
    with recorded(tmp_path, prepared, blocks=["glb", "pe"]) as found:
        with pytest.raises(ValueError, match="only blocks of glb, pe were recorded"):
            first_hold(found, found.layers[0], parse_condition("idle(0,0) > 1"))
        stepper = Stepper(found, found.layers[0], Query())
        assert stepper.move(1)
        assert "fifo.psum_in(0,0) " in stepper.pe_text(0, 0)
        assert not any(line.startswith("PEs: ") for line in stepper.here())
        assert len(select(found, found.query(), 100).stalls) == 0


def test_a_pe_shows_the_words_that_it_multiplies(trace: Trace) -> None:
    """Spads hold ifmap and filters; their product is what the psum FIFO holds afterwards."""
    layer = trace.layer("C3")
    template = trace.template(int(layer.passes[0]["template"]))
    bottoms = [at for at, work in template.work.items() if work.legend[1:3] == (0, 4)]
    for row, column in bottoms[:3]:
        work = template.work[row, column]
        stepper = Stepper(trace, layer, trace.query(pe=(row, column), action="mac"))
        assert stepper.move(1)
        view, cycle = stepper.view, stepper.cycle
        ifmap = view.contents(f"spad.ifmap({row},{column})", cycle)
        filters = view.contents(f"spad.filter({row},{column})", cycle)
        assert ifmap is not None
        assert filters is not None
        text = stepper.pe_text(row, column)
        assert text.startswith(
            f"PE ({row},{column}): filter set 0, channel set 0, filter row 4, ofmap row {column}\n"
            f"computing({row},{column}) 1: since cycle "
        )
        assert f"spad.ifmap({row},{column}) {len(ifmap)}: {' '.join(map(str, ifmap))}" in text
        by_use = np.array(filters)[np.argsort(work.uses)].reshape(work.operands, work.outputs)
        products = np.array(ifmap[: work.operands]) @ by_use
        takes = trace.events(layer="C3", passes=(0, 1), pe=(row, column), action="accumulate")
        there: list[int] = []
        for beat in range(-(-work.outputs // int(takes.words[0]))):
            end = int(takes.start[beat] + takes.duration[beat])
            held = view.contents(f"fifo.psum_out({row},{column})", end)
            assert held is not None
            there += held[-int(takes.words[beat]) :]
        assert there == products.tolist()
        assert view.contents(f"fifo.psum_in({row},{column})", cycle) == []


def test_words_that_were_not_recorded(counts: Trace) -> None:
    stepper = Stepper(counts, counts.layer("C3"), Query())
    assert stepper.go(2000)
    assert stepper.view.contents("spad.filter(0,0)", stepper.cycle) is None
    assert "spad.filter(0,0) " in stepper.pe_text(0, 0)
    assert ":" not in stepper.pe_text(0, 0).split("\n", 2)[2]


def test_events_are_counted_alike(counts: Trace) -> None:
    """By `info`, by steps, and by a query; tiles are none."""
    for layer in counts.layers[3:]:
        stepper = Stepper(counts, layer, Query())
        steps = 0
        while stepper.move(1):
            steps += 1
        assert counts.event_count(layer) == steps == len(counts.events(layer=layer.name))


@pytest.mark.parametrize("name", ["spad", "lines.psum", "fifo.psum(0,0)", "spad.ifmap(0)"])
def test_what_holds_no_words(trace: Trace, name: str) -> None:
    view = PassView(trace.template(0), trace.layout)
    with pytest.raises(ValueError, match=r"nothing called '.*' holds words"):
        view.level(name, 5)


def test_a_pe_that_is_not_used_holds_nothing(trace: Trace) -> None:
    view = PassView(trace.template(0), trace.layout)
    assert (11, 13) not in view.pes
    assert view.level("fifo.ifmap(11,13)", 500) == 0


def test_a_shift_spad_holds_a_window(tmp_path: Path) -> None:
    """It takes in as many words as a window has, and drops a column when a window ends."""
    hw = load_hardware("eyeriss_v1", ["pe.ifmap_spad=shift"])
    with recorded(tmp_path, prepare("lenet5", layers=["C3"], batch=1, hw=hw)) as found:
        template = found.template(0)
        work = template.work[0, 0]
        cycles, levels = PassView(template, found.layout).series("spad.ifmap(0,0)")
        assert levels.max() == work.operands
        assert levels[-1] == 0
        mine = found.events(passes=(0, 1), pe=(0, 0), action="accumulate")
        windows = len(found.events(passes=(0, 1), pe=(0, 0), action="mac"))
        last = (mine.start + mine.duration).reshape(windows, -1)[:, -1]
        drops = cycles[1:][np.diff(levels) < 0]
        assert drops.tolist() == last.tolist()


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
