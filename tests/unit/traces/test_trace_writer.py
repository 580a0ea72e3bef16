"""The life of a writer: steps out of turn, failures, what lies in the folder meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

import traces
from traces.events import SHAPE_FIELDS
from traces.header import SIZE, Header, TraceError, read_header
from traces.template import TemplateBuilder
from traces.writer import TraceWriter

DESCRIPTION = {
    "program": "test 1",
    "network": "none",
    "machine": {"array_rows": 2, "array_columns": 2},
    "restricted": {},
}


def test_a_trace_of_nothing(tmp_path: Path) -> None:
    TraceWriter(tmp_path / "t", DESCRIPTION).close()
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
    header = read_header(tmp_path / "t")
    assert header.state == "complete"
    assert header.length == (tmp_path / "t").stat().st_size > SIZE
    with traces.open(tmp_path / "t") as found:
        assert found.layers == []
        assert found.description == DESCRIPTION
        assert len(found.events()) == 0


def test_a_pass_without_events(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "t", DESCRIPTION)
    writer.begin_layer({"name": "A"})
    shape = dict.fromkeys(SHAPE_FIELDS, 1)
    template = writer.add_template(TemplateBuilder().build(shape))
    writer.add_passes([(0, template, 0, 7, 0, 0, 0, 0, 0, 0)])
    writer.end_layer([], {})
    writer.close()
    with traces.open(tmp_path / "t") as found:
        assert found.template(0).rows == 0
        assert found.event_count(found.layers[0]) == len(found.events()) == 0
        assert found.layers[0].passes["cycles"].tolist() == [7]


def test_while_it_is_written_it_says_so(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "t", DESCRIPTION)
    (path,) = tmp_path.iterdir()
    assert path == writer.partial
    with pytest.raises(TraceError, match="is incomplete: the run that wrote it did not end"):
        traces.open(path)
    assert writer.abort() is None
    assert list(tmp_path.iterdir()) == []


def test_steps_out_of_turn(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "t", DESCRIPTION)
    with pytest.raises(ValueError, match="a template outside a layer"):
        writer.add_template(TemplateBuilder().build({"cycles": 1}))
    with pytest.raises(ValueError, match="a layer ends that has not begun"):
        writer.end_layer([], {})
    writer.begin_layer({"name": "A"})
    with pytest.raises(ValueError, match="a layer begins before the last one has ended"):
        writer.begin_layer({"name": "B"})
    with pytest.raises(ValueError, match="closed within a layer"):
        writer.close()
    writer.end_layer([], {})
    writer.close()
    with pytest.raises(ValueError, match="the trace is closed"):
        writer.begin_layer({"name": "B"})
    assert writer.abort() is None
    assert (tmp_path / "t").exists()


def test_a_file_that_cannot_be_begun_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Header, "encode", full)
    with pytest.raises(OSError, match="No space left on device"):
        TraceWriter(tmp_path / "t", DESCRIPTION)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TraceWriter(tmp_path / "none" / "t", DESCRIPTION)
