"""Recordings of a part, and queries: what they hold, and that they say what they lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recording import lenet5, opened, record

import traces.reader
from sim.run import Values
from traces.events import ACTIONS, KINDS
from traces.header import TraceError
from traces.replay import replay


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "t"
    record(path, lenet5(batch=2), values=Values(seed=1))
    return path


def test_a_window_keeps_whole_passes_and_says_so(tmp_path: Path, whole: Path) -> None:
    record(tmp_path / "w", lenet5(batch=2), values=Values(seed=1), window=(5000, 9000))
    with opened(tmp_path / "w") as part, opened(whole) as full:
        assert part.partial == "only the passes within cycles 5000 to 9000 were recorded"
        with pytest.raises(ValueError, match="the ledger cannot be rebuilt: only the passes"):
            list(replay(part))
        for mine, other in zip(part.layers, full.layers, strict=True):
            ends = other.passes["start"] + other.passes["cycles"]
            kept = other.passes[(other.passes["start"] < 9000) & (ends > 5000)]
            assert mine.passes["index"].tolist() == kept["index"].tolist()
            assert mine.passes["start"].tolist() == kept["start"].tolist()
            assert part.event_count(mine) == sum(
                len(full.pass_events(other, int(index))) for index in kept["index"]
            )


def test_blocks_are_kept_or_left_out(tmp_path: Path, whole: Path) -> None:
    record(tmp_path / "b", lenet5(batch=2), values=Values(seed=1), blocks=["noc"])
    with opened(tmp_path / "b") as part, opened(whole) as full:
        assert part.partial == "only blocks of noc were recorded"
        mine = part.events(layer="C3")
        other = full.events(layer="C3", block="noc")
        assert len(mine) == len(other)
        assert np.array_equal(mine.start, other.start)
        assert np.array_equal(mine.data, other.data)


def test_a_layer_alone_replays(tmp_path: Path) -> None:
    record(tmp_path / "l", lenet5(batch=2), layers=["c3"])
    with opened(tmp_path / "l") as part:
        assert [layer.name for layer in part.layers] == ["C3"]
        (found,) = replay(part)
        assert found.differences == []


def test_queries_agree_with_filtering_everything(whole: Path) -> None:
    with opened(whole) as found:
        events = found.events(layer="C3")
        assert len(events) == found.event_count(found.layer("C3"))
        pe = found.layout.pe(2, 3)
        some = found.events(layer="C3", pe=(2, 3), action="mac", cycles=(500, 3000))
        chosen = (
            (events.block == pe)
            & (events.action == ACTIONS.index("mac"))
            & (events.start >= 500)
            & (events.start < 3000)
        )
        assert len(some) == int(chosen.sum()) > 0
        assert np.array_equal(some.start, events.start[chosen])
        beats = found.events(layer="C3", block="gin_psum", kind="psum")
        mine = events.rows((events.block == 4) & (events.kind == KINDS.index("psum")))
        assert np.array_equal(beats.data, mine.data)
        assert len(beats.data) == beats.words.sum()
        assert len(found.events(layer="C3", passes=(1, 2))) == int((events.pass_ == 1).sum())


def test_a_pass_is_in_order_of_time(whole: Path) -> None:
    with opened(whole) as found:
        for batch in found.batches(found.query(layer="C5")):
            assert (np.diff(batch.start) >= 0).all()


def test_a_reader_that_keeps_little_reads_the_same(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(whole) as found:
        expected = [found.events(layer=layer.name) for layer in found.layers]
    monkeypatch.setattr(traces.reader, "CACHED_ROWS", 1)
    with opened(whole) as found:
        for layer, events in reversed(list(zip(found.layers, expected, strict=True))):
            again = found.events(layer=layer.name)
            assert np.array_equal(again.start, events.start)
            assert np.array_equal(again.data, events.data)


def test_a_template_that_is_none(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        opened(whole) as found,
        pytest.raises(TraceError, match=f"there is no template {found.templates}$"),
    ):
        found.template(found.templates)
    monkeypatch.setattr(traces.reader, "MOST_TEMPLATE_BYTES", 1 << 20)
    with (
        opened(whole) as found,
        pytest.raises(TraceError, match=r"template 0 takes \d+ MiB of memory, limit 1$"),
    ):
        found.template(0)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"layer": "C9"}, "t: no layer 'C9'; known: C1, C3, C5, F6, OUTPUT"),
        ({"block": "gim"}, "no block 'gim'"),
        ({"pe": (12, 0)}, "no block pe\\(12,0\\): rows are 0 to 11, columns 0 to 13"),
        ({"action": "sned"}, "no action 'sned'; did you mean 'send'"),
        ({"kind": "weights"}, "no data type 'weights'"),
    ],
)
def test_a_query_for_what_is_not_there(whole: Path, names: dict[str, str], words: str) -> None:
    with opened(whole) as found, pytest.raises(ValueError, match=words):
        found.query(**names)
