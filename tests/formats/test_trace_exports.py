"""Exports, read back by parsers that are not ours and counted event by event."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recording import lenet5, opened, record

from hw_models.vocabulary import CAUSES
from sim.run import NetworkPlan, Values
from traces.events import ACTIONS, KINDS
from traces.export import WRITERS, Selected, one_layer, select
from traces.reader import Trace

vcd_reader = pytest.importorskip("vcd.reader")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("export") / "t"
    record(found, lenet5(layers=["C3"]), values=Values(seed=1))
    return found


def exported(trace: Trace, form: str, *, most: int = 10**9) -> tuple[Selected, bytes]:
    out = io.BytesIO()
    chosen = select(trace, trace.query(), most)
    WRITERS[form](trace, trace.layers[0], chosen, out)
    return chosen, out.getvalue()


def run_cycles(path: Path) -> Iterator[tuple[tuple[int, int], dict[str, int]]]:
    """By PE, the cycles of each cause, as the run itself counted them."""
    with opened(path) as trace:
        said = trace.layers[0].result
        assert said is not None
        for row in range(trace.layout.rows):
            for column in range(trace.layout.columns):
                yield (row, column), {c: said["pe_cycles"][c][row][column] for c in CAUSES}


def test_csv(path: Path) -> None:
    with opened(path) as trace:
        chosen, raw = exported(trace, "csv")
        events, stalls = chosen.events, chosen.stalls
        lines = list(csv.DictReader(io.StringIO(raw.decode())))
        assert len(lines) == len(events) + len(stalls)
        for row in (0, 1000, len(events) - 1):
            line = lines[row]
            assert int(line["start_cycle"]) == events.start[row]
            assert int(line["words"]) == events.words[row]
            assert line["action"] == ACTIONS[int(events.action[row])]
            members = trace.sets[int(events.destination[row])]
            assert len(line["destination"].split()) == len(members)
        words = [int(word) for line in lines for word in line["data"].split()]
        assert words == events.data.tolist()
    # The cycles of every cause of every PE are those of the run, bubbles apart.
    spent: Counter[tuple[str, str]] = Counter()
    for line in lines:
        spent[line["block"], line["cause"]] += int(line["duration_cycles"])
        assert line["cause"] or not line["block"].startswith("pe") or line["action"] == "fill"
    for (row, column), cycles in run_cycles(path):
        for cause, told in cycles.items():
            if cause != "computing":
                assert spent[f"pe({row};{column})", cause] == told


def test_the_first_events_of_a_query(path: Path) -> None:
    """As many as are asked for, whether a pass ends there or not; `cut` where there are more."""
    with opened(path) as trace:
        every = trace.events()
        first = len(trace.pass_events(trace.layers[0], 0))
        for most in (0, 1, first - 1, first, first + 1, len(every) - 1, len(every), 10**9):
            found = select(trace, trace.query(), most)
            assert np.array_equal(found.events.start, every.start[:most])
            assert found.cut == (most < len(every))


def test_the_layer_of_an_export(path: Path, tmp_path: Path) -> None:
    with opened(path) as trace:
        assert one_layer(trace, None) is one_layer(trace, "c3") is trace.layers[0]
    record(tmp_path / "t", lenet5(layers=["C1", "OUTPUT"]))
    with opened(tmp_path / "t") as trace:
        assert one_layer(trace, "OUTPUT") is trace.layers[1]
        with pytest.raises(ValueError, match="its own cycles; name one of C1, OUTPUT"):
            one_layer(trace, None)


def test_csv_is_no_formula(tmp_path: Path) -> None:
    """A layer's name goes into cells as text, whatever a spreadsheet would make of it."""
    plan = lenet5(layers=["OUTPUT"]).plans[0]
    for name in ("=1+1", "+1", "-1", "@x", 'a,"b"'):
        named = replace(plan, layer=replace(plan.layer, name=name))
        record(tmp_path / "t", NetworkPlan("lenet5", 1, plan.hw, (named,), (), ()))
        with opened(tmp_path / "t") as trace:
            _, raw = exported(trace, "csv", most=1)
        (line,) = csv.DictReader(io.StringIO(raw.decode()))
        assert line["layer"] == (name if name[0] == "a" else f"'{name}")


def test_npz(path: Path, tmp_path: Path) -> None:
    with opened(path) as trace:
        chosen, raw = exported(trace, "npz")
        events, stalls = chosen.events, chosen.stalls
        (tmp_path / "e.npz").write_bytes(raw)
        with np.load(tmp_path / "e.npz", allow_pickle=False) as found:
            assert np.array_equal(found["start"], events.start)
            assert np.array_equal(found["data"], events.data)
            names = found["block_names"][found["block"]]
            sent = names == "gin_ifmap"
            ends = np.concatenate([[0], found["set_ends"]])
            reached = np.diff(ends)[found["destination"][sent]]
            deliveries = trace.layers[0].result
            assert deliveries is not None
            assert reached.sum() == deliveries["entries"]["noc.gin_ifmap.deliveries"]
            assert np.array_equal(found["stall_start"], stalls.start)
            idle = found["cause_names"][found["stall_cause"]] == "idle"
            told = sum(map(sum, deliveries["pe_cycles"]["idle"]))
            assert found["stall_duration"][idle].sum() == told


def test_perfetto_event_by_event(path: Path) -> None:
    """By the rules of the Chrome trace format: each track has a name, slices do not overlap."""
    with opened(path) as trace:
        chosen, raw = exported(trace, "perfetto")
        events, stalls = chosen.events, chosen.stalls
    found = json.loads(raw)
    assert "core cycle" in found["otherData"]["time unit"]
    every = [entry for entry in found["traceEvents"] if entry["ph"] == "X"]
    slices = [entry for entry in every if entry["cat"] != "stalls"]
    waits = [entry for entry in every if entry["cat"] == "stalls"]
    meta = [entry for entry in found["traceEvents"] if entry["ph"] == "M"]
    assert len(every) + len(meta) == len(found["traceEvents"])
    assert len(waits) == len(stalls)
    assert len(slices) == len(events)
    tracks = {(m["pid"], m["tid"]): m["args"]["name"] for m in meta if m["name"] == "thread_name"}
    processes = {m["pid"] for m in meta if m["name"] == "process_name"}
    assert len(set(tracks.values())) == len(tracks)
    ends: dict[tuple[int, int], int] = {}
    counted: Counter[str] = Counter()
    for entry in sorted(every, key=lambda entry: entry["ts"]):
        track = entry["pid"], entry["tid"]
        assert track in tracks
        assert entry["pid"] in processes
        assert isinstance(entry["ts"], int)
        assert 0 <= entry["dur"] <= entry["args"]["cycles"]
        assert entry["ts"] >= ends.get(track, 0)
        ends[track] = entry["ts"] + entry["dur"]
        counted[entry["name"]] += entry["cat"] != "stalls"
    expected: Counter[str] = Counter()
    for action, kind in zip(events.action.tolist(), events.kind.tolist(), strict=True):
        expected[ACTIONS[action] if not kind else f"{ACTIONS[action]} {KINDS[kind]}"] += 1
    assert +counted == expected
    waited: Counter[tuple[str, str]] = Counter()
    for entry in waits:
        waited[tracks[entry["pid"], entry["tid"]], entry["name"]] += entry["dur"]
    for (row, column), cycles in run_cycles(path):
        for cause in CAUSES[2:]:
            assert waited[f"pe({row},{column})", cause] == cycles[cause]
    assert "pe(3,4)" in tracks.values()
    assert "glb psum write" in tracks.values()


def test_vcd_event_by_event(path: Path) -> None:
    """pyvcd's reader; the counter of each track comes to its number of events."""
    with opened(path) as trace:
        chosen, raw = exported(trace, "vcd")
        events, stalls = chosen.events, chosen.stalls
        pe_macs = int(
            (
                (events.block == trace.layout.pe(3, 4)) & (events.action != ACTIONS.index("fill"))
            ).sum()
        )
    kinds = vcd_reader.TokenKind
    scopes: list[str] = []
    names: dict[str, tuple[str, ...]] = {}
    last: dict[str, object] = {}
    comments = []
    now, times = -1, 0
    waited: Counter[tuple[str, str]] = Counter()
    since: dict[str, tuple[str, int]] = {}
    for token in vcd_reader.tokenize(io.BytesIO(raw)):
        if token.kind is kinds.SCOPE:
            scopes.append(token.data.ident)
        elif token.kind is kinds.UPSCOPE:
            scopes.pop()
        elif token.kind is kinds.VAR:
            assert token.data.id_code not in names
            names[token.data.id_code] = (*scopes, token.data.reference)
        elif token.kind is kinds.COMMENT:
            comments.append(token.data)
        elif token.kind is kinds.CHANGE_TIME:
            assert token.data >= now
            times += token.data > now
            now = token.data
        elif token.kind in (kinds.CHANGE_SCALAR, kinds.CHANGE_VECTOR):
            last[token.data.id_code] = token.data.value
        elif token.kind is kinds.CHANGE_STRING:
            pe = names[token.data.id_code]
            assert pe[-1] == "stall"
            cause, begin = since.get(token.data.id_code, ("none", now))
            waited[pe[-2], cause] += now - begin
            since[token.data.id_code] = token.data.value, now
    assert scopes == []
    assert any("1 core cycle" in text for text in comments)
    assert len(set(names.values())) == len(names)
    by_name = {name: last[code] for code, name in names.items() if name[-1] != "stall"}
    assert {cause for cause, _ in since.values()} == {"none"}
    for (row, column), cycles in run_cycles(path):
        for cause in CAUSES[2:]:
            assert waited[f"pe_{row}_{column}", cause] == cycles[cause]
    counts = [int(str(v)) for name, v in by_name.items() if name[-1] == "events"]
    assert sum(counts) == len(events)
    assert by_name["eyeriss", "PEs", "pe_3_4", "events"] == pe_macs
    assert {str(v) for name, v in by_name.items() if name[-1] == "busy"} == {"0"}
    assert now == max(int((one.start + one.duration).max()) for one in (events, stalls))
    assert times > 1000


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_a_limit_and_nothing_at_all(path: Path, form: str) -> None:
    with opened(path) as trace:
        chosen, raw = exported(trace, form, most=100)
        assert len(chosen.events) == 100
        assert len(chosen.stalls)
        assert (chosen.stalls.start + chosen.stalls.duration).max() <= chosen.events.start.max()
        assert raw
        none = select(trace, trace.query(layer="C3", cycles=(10**9, 10**9 + 1)), 100)
        out = io.BytesIO()
        WRITERS[form](trace, trace.layers[0], none, out)
        assert out.getvalue()
        if form == "perfetto":
            assert json.loads(out.getvalue())["traceEvents"] == []
