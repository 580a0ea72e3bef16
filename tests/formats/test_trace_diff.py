"""`trace diff`: a broken engine against the sound one, down to the first wrong event."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from recording import lenet5, of_case, opened, record

from hw_models.load import load_hardware
from sim.check.cases import Case
from sim.dataflow.program import Program
from sim.dataflow.row_stationary import lowering
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.engine.dram import Prefetch, PrefetchState
from sim.engine.noc import FeedBus, LoadBus, LocalLink, PsumOutBus
from sim.engine.pe import PE, FeedPort
from sim.errors import SimulationError
from sim.run import NetworkPlan, Values, prepare
from traces.diff import Diff, _count_rest, diff
from traces.events import ACTIONS, KINDS
from traces.reader import Trace
from workloads.layer import Layer

Tell = Callable[[str, str], None]
Break = Callable[[pytest.MonkeyPatch], None]

STORY = Case(
    Layer(
        name="CASE", G=2, M=26, C=7, H=15, W=11, R=3, S=3, U=2, V=2,
        pad_top=1, pad_left=1, pad_right=1, ifmap_zero_fraction=0.4,
    ),
    3, "eyeriss_v1", (), parse_mapping("m=10,n=2,e=4,p=4,q=2,r=2,t=2"),
)  # fmt: skip
FULL_FIFO = Case(
    Layer(name="CASE", M=16, C=4, H=8, W=18, R=6, S=2, U=1, V=2, pad_top=2, pad_left=2),
    1, "eyeriss_v1", ("array.rows=7", "array.columns=18"),
    parse_mapping("m=50,n=1,e=5,p=6,q=7,r=1,t=2"),
)  # fmt: skip


def changed(cls: type, change: Callable[[Any], None]) -> Break:
    """Every new object of a class is changed once it is built."""

    def apply(monkeypatch: pytest.MonkeyPatch) -> None:
        whole = cls.__init__  # type: ignore[misc]

        def broken(self: Any, *args: Any, **options: Any) -> None:
            whole(self, *args, **options)
            change(self)

        monkeypatch.setattr(cls, "__init__", broken)

    return apply


def _reversed(monkeypatch: pytest.MonkeyPatch, stream: str) -> None:
    """Let programs send the beats of a stream's pattern in the reverse order."""

    def turned(program: Program) -> Program:
        found = getattr(program, stream)
        return replace(program, **{stream: replace(found, pattern=found.pattern[::-1])})

    whole = lowering.pass_program
    monkeypatch.setattr(lowering, "pass_program", lambda shape, hw: turned(whole(shape, hw)))


def _mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    _reversed(monkeypatch, "feed")


def _released_late(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FeedPort.release
    monkeypatch.setattr(
        FeedPort, "release", lambda self, words, cycle: whole(self, words, cycle + 1)
    )


def _shallower(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FeedBus.__init__

    def broken(self: FeedBus, *args: Any, fifo_words: int, **options: Any) -> None:
        whole(self, *args, fifo_words=fifo_words - 1, **options)

    monkeypatch.setattr(FeedBus, "__init__", broken)


def _added_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PE._pass_on

    def broken(self: PE, results: list[int], beat: int, size: int) -> None:
        if self.psum_in is not None:
            sizes = self.program.beats
            first = sum(sizes[: beat % len(sizes)])
            results = results.copy()
            for place, psum in enumerate(self.psum_in.data[beat]):
                results[first + place] += psum
        whole(self, results, beat, size)

    monkeypatch.setattr(PE, "_pass_on", broken)


def _nothing_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prefetch, "state", lambda self, cycles, next_beats: PrefetchState())


@dataclass(frozen=True)
class Mutant:
    """A way to break the engine, and what `diff` must name."""

    name: str
    apply: Break
    columns: set[str]
    event: tuple[str, str]
    case: Case = STORY
    words: bool = False


MUTANTS = [
    Mutant(
        "a local link takes a cycle more",
        changed(LocalLink, lambda link: setattr(link, "hop_cycles", 2)),
        {"duration"},
        ("link", "send"),
    ),
    Mutant(
        "a window takes a cycle more",
        changed(PE, lambda pe: setattr(pe, "bubble_cycles", pe.bubble_cycles + 1)),
        {"start"},
        ("pe", "accumulate"),
    ),
    Mutant(
        "filters stream",
        changed(LoadBus, lambda gin: setattr(gin, "streamed", True)),
        {"start"},
        ("pe", "mac"),
    ),
    Mutant(
        "the GON serves the chains in another order",
        lambda monkeypatch: _reversed(monkeypatch, "psums_out"),
        {"source"},
        ("gon_psum", "send"),
    ),
    Mutant("the diagonals run the other way", _mirrored, {"destination"}, ("gin_ifmap", "send")),
    Mutant("ifmap words leave the spad late", _released_late, {"start"}, ("pe", "fill")),
    Mutant("the ifmap FIFO is shallower", _shallower, {"start"}, ("gin_ifmap", "send"), FULL_FIFO),
    Mutant("an incoming psum is added twice", _added_twice, {"data"}, ("link", "send"),
           words=True),
    Mutant("a pass begins with nothing fetched", _nothing_fetched, set(),
           ("dram", "prefetch")),
]  # fmt: skip


def rows(trace: Trace) -> list[tuple[object, ...]]:
    """Every event of a trace, one after the other, as plain numbers: nothing of `diff` is used."""
    found: list[tuple[object, ...]] = []
    for layer in trace.layers:
        for place in range(len(layer.passes)):
            events = trace.pass_events(layer, place)
            begin = int(layer.passes[place]["start"])
            for row in range(len(events)):
                first = int(events.data_end[row - 1]) if row else 0
                found.append(
                    (
                        int(events.pass_[row]),
                        int(events.start[row]) - begin,
                        int(events.duration[row]),
                        int(events.block[row]),
                        ACTIONS[int(events.action[row])],
                        KINDS[int(events.kind[row])],
                        int(events.words[row]),
                        trace.sets[int(events.source[row])],
                        trace.sets[int(events.destination[row])],
                        tuple(events.data[first : int(events.data_end[row])].tolist()),
                    )
                )
    return found


def first_missing(
    left: list[tuple[object, ...]], right: list[tuple[object, ...]]
) -> tuple[object, ...]:
    """The first event, by pass, start, block, action and type, that only one of them has."""
    only = (Counter(left) - Counter(right)) + (Counter(right) - Counter(left))

    def order(row: tuple[object, ...]) -> tuple[object, ...]:
        return (*row[:2], row[3], ACTIONS.index(str(row[4])), KINDS.index(str(row[5])))

    return min(only, key=order)


@pytest.mark.untraced
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_parts_at_its_first_wrong_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: Mutant, tell: Tell
) -> None:
    prepared = of_case(mutant.case)
    values = Values(seed=2) if mutant.words else None
    record(tmp_path / "a", prepared, values=values)
    mutant.apply(monkeypatch)
    record(tmp_path / "b", prepared, values=values)
    with opened(tmp_path / "a") as sound, opened(tmp_path / "b") as broken:
        found = diff(sound, broken)
        assert found.first is not None
        first = found.first
        left, right = rows(sound), rows(broken)
        expected = first_missing(left, right)
        assert first.pass_index == expected[0]
        begin = int(sound.layers[0].passes["start"][first.pass_index])
        assert first.cycle == begin + int(str(expected[1]))
        event = sound.layout.name(int(str(expected[3]))), expected[4], expected[5]
        for side in (first.a, first.b):
            # A run that lacks the event has the next of its kind, or none at all.
            assert side.event is None or side.event.split("  ")[1:3] == list(event[:2])
        assert (event[0].split("(")[0], event[1]) == mutant.event
        assert mutant.columns == set(first.columns)
        assert first.a.event is None or first.a.event in first.a.around
        assert first.a.state
        tell(
            "mutants, and where `trace diff` says they part",
            f"{mutant.name:<44}{first.a.event or first.b.event}",
        )
    with opened(tmp_path / "b") as one, opened(tmp_path / "a") as other:
        back = diff(one, other)
        assert back.first is not None
        assert back.first.a.event == first.b.event


def test_the_same_run_does_not_part(tmp_path: Path) -> None:
    for name in "ab":
        record(tmp_path / name, lenet5(), values=Values(seed=1))
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        assert diff(one, other).same


def test_other_words_part_at_the_first_word(tmp_path: Path) -> None:
    for seed in (1, 2):
        record(tmp_path / str(seed), lenet5(layers=["C3"]), values=Values(seed=seed))
    with opened(tmp_path / "1") as one, opened(tmp_path / "2") as other:
        found = diff(one, other)
        assert found.first is not None
        assert found.first.columns == ("data",)
        assert "gin_ifmap  send  ifmap" in str(found.first.a.event)
        assert found.passes == len(one.layers[0].passes)
        assert "C3 ofmap: differs" in found.figures


def test_a_run_that_breaks_off_is_the_others_beginning(tmp_path: Path) -> None:
    record(tmp_path / "a", lenet5())
    record(tmp_path / "b", lenet5(layers=["C1"]))
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        found = diff(one, other)
        assert found.first is None
        assert found.figures == ["layers: 5 and 1"]


def case(
    *, mapping: str = str(STORY.mapping), settings: tuple[str, ...] = (), zeros: float = 0.4
) -> NetworkPlan:
    """`STORY` under another mapping, on another chip or with more zeros."""
    layer = replace(STORY.layer, ifmap_zero_fraction=zeros)
    changed = Case(layer, STORY.batch, STORY.hw, settings, parse_mapping(mapping))
    return of_case(changed)


def compared(tmp_path: Path, one: NetworkPlan, other: NetworkPlan, **limits: Any) -> Diff:
    record(tmp_path / "one", one, **limits)
    record(tmp_path / "other", other, **limits)
    with opened(tmp_path / "one") as a, opened(tmp_path / "other") as b:
        return diff(a, b)


def test_no_event_of_one_array_is_one_of_another(tmp_path: Path) -> None:
    wider = case(settings=("array.columns=15",))
    with pytest.raises(ValueError, match=r"one is of an array of 12 x 14, .*other of 12 x 15: "):
        compared(tmp_path, case(), wider)


def test_other_layers_are_not_compared(tmp_path: Path) -> None:
    found = compared(tmp_path, lenet5(layers=["C1"]), lenet5(layers=["C3", "OUTPUT"]))
    assert found.first is None
    assert found.figures == ["layer C1 in one, C3 in the other", "layers: 1 and 2"]


def test_figures_that_differ_though_no_event_does(tmp_path: Path) -> None:
    """Without words gated MACs follow from the zero fraction: 0.4 and 0.5 of all."""
    one, other = case(), case(zeros=0.5)
    macs = STORY.layer.macs(STORY.batch)
    gated = [round(macs * 0.4), round(macs * 0.5)]
    found = compared(tmp_path, one, other)
    assert found.first is None
    assert not found.same
    assert found.figures[:2] == [
        f"CASE mac.active: {macs - gated[0]} and {macs - gated[1]}",
        f"CASE mac.gated: {gated[0]} and {gated[1]}",
    ]


def test_a_charged_strip_is_longer_by_no_event(tmp_path: Path) -> None:
    """Strips of 4 and 3 rows; the second is charged as if it had 4."""
    plan = of_case(STORY).plans[0]
    short = sum(step.shape.strip_rows < plan.mapping.e for step in plan)
    found = compared(tmp_path, case(), case(settings=("schedule.charge_full_strip=true",)))
    assert found.first is None
    assert found.passes == short > 0
    (line,) = (line for line in found.figures if "cycles" in line and "standstill" not in line)
    one, other = map(int, re.findall(r"\d+", line))
    assert line == f"CASE processing cycles: {one} and {other}"
    assert one < other


def test_another_mapping_has_other_passes(tmp_path: Path) -> None:
    coarse = "m=10,n=3,e=4,p=4,q=2,r=2,t=2"
    found = compared(tmp_path, case(), case(mapping=coarse))
    passes = [of_case(STORY).plans[0].passes, case(mapping=coarse).plans[0].passes]
    assert found.first is not None
    assert found.first.pass_index == 0
    assert found.figures[0] == f"CASE passes: {passes[0]} and {passes[1]}"


def test_all_passes_that_differ_are_counted_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = case(mapping="m=26,n=3,e=7,p=13,q=4,r=2,t=2")
    record(tmp_path / "a", two)
    MUTANTS[0].apply(monkeypatch)
    record(tmp_path / "b", two)
    with opened(tmp_path / "a") as one, opened(tmp_path / "b") as other:
        assert diff(one, other).passes == two.plans[0].passes == 2


def test_one_pass_is_the_beginning_of_the_other(tmp_path: Path) -> None:
    """A larger buffer: the link goes on where it waited for room, and else does the same."""
    hw = load_hardware("eyeriss_v1", ["glb.filter_banks=1", "glb.bank_bytes=1024"])
    large = lenet5(layers=["C3"])
    mapping = str(large.plans[0].mapping)  # the search would take another for the smaller buffer
    small = prepare("lenet5", layers=["C3"], batch=1, hw=hw, mapping=mapping)
    found = compared(tmp_path, small, large, blocks=["dram"])
    assert found.first is not None
    assert found.first.a.event is None
    assert "dram  prefetch  filter" in str(found.first.b.event)


def test_a_deadlock_leaves_a_trace_of_what_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = PsumOutBus.__init__
    built = 0

    def broken(self: PsumOutBus, *args: Any, **options: Any) -> None:
        nonlocal built
        whole(self, *args, **options)
        built += 1
        if built == 3:
            self.rounds -= 1

    monkeypatch.setattr(PsumOutBus, "__init__", broken)
    with pytest.raises(SimulationError):
        record(tmp_path / "t", lenet5(), values=Values(seed=1))
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("t.partial-")


def test_every_pass_that_differs_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "a", lenet5(layers=["C5"]))
    with opened(tmp_path / "a") as one, opened(tmp_path / "a") as other:
        (left,), (right,) = one.layers, other.layers
        assert len(left.passes) == 8
        changed = right.passes.copy()
        changed["cycles"][3:] += 1  # charged in full, say: the same events
        monkeypatch.setattr(other, "layers", [replace(right, passes=changed)])
        assert diff(one, other).passes == 5
        same = dict.fromkeys([(t, t) for t in set(left.passes["template"].tolist())], True)
        assert _count_rest(left, replace(right, passes=changed), 2, same, one, other) == 5
