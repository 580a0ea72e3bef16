"""Traces of version 1 of the format, written by program 0.1.0, are read as ever.

`data/version_1_words.trace` has two layers with words, `version_1_counts.trace` the same layers on
a chip with streamed filters and a shift spad.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from recording import record

import traces
from hw_models.load import load_hardware
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.plan.make import make_plan
from sim.run import NetworkPlan, Values
from traces.diff import diff
from traces.header import SIZE, Header, TraceError, read_header, seal
from traces.reader import Trace
from traces.recover import recover
from traces.replay import replay
from workloads.layer import layer_from_dict

DATA = Path(__file__).parent / "data"
COUNTS, WORDS = DATA / "version_1_counts.trace", DATA / "version_1_words.trace"


@pytest.mark.parametrize("path", [COUNTS, WORDS], ids=["counts", "words"])
def test_it_is_replayed(path: Path) -> None:
    assert read_header(path).version == 1
    with traces.open(path) as found:
        layers = list(replay(found))
    assert [layer.differences for layer in layers] == [[], []]
    assert [layer.events for layer in layers] == [5152, 2980]
    assert all((layer.ofmap is None) == (path == COUNTS) for layer in layers)


def _recorded_again(path: Path, found: Trace) -> None:
    """Record what an old trace says that it is a trace of."""
    hw = load_hardware(
        "eyeriss_v1",
        [] if found.description["values"] else ["glb.filter_load=streamed", "pe.ifmap_spad=shift"],
    )
    plans = []
    for layer in found.layers:
        factors = ",".join(f"{name}={n}" for name, n in layer.description["mapping"].items())
        shape = layer_from_dict(layer.description["shape"])
        plans.append(make_plan(shape, 2, hw, parse_mapping(factors)))
    values = Values(seed=5) if found.description["values"] else None
    record(path, NetworkPlan("old", 2, hw, tuple(plans), (), ()), values=values)


@pytest.mark.parametrize("path", [COUNTS, WORDS], ids=["counts", "words"])
def test_it_says_what_a_new_trace_says(path: Path, tmp_path: Path) -> None:
    """PEs do the same, passes begin at the same words, and no event differs."""
    with traces.open(path) as old:
        _recorded_again(tmp_path / "new", old)
        assert read_header(tmp_path / "new").version == 2
        with traces.open(tmp_path / "new") as new:
            for left, right in zip(old.layers, new.layers, strict=True):
                assert np.array_equal(left.passes, right.passes)
            assert old.templates == new.templates
            for number in range(old.templates):
                one, other = old.template(number), new.template(number)
                assert one.shape == other.shape
                assert one.legends == other.legends
                assert one.work.keys() == other.work.keys()
                for at, work in one.work.items():
                    again = other.work[at]
                    for name in ("operands", "outputs", "bubble", "ofmap", "legend"):
                        assert getattr(work, name) == getattr(again, name), name
                    assert np.array_equal(work.uses, again.uses)
                    for name in ("needs", "frees"):
                        mine, theirs = getattr(work, name), getattr(again, name)
                        assert np.array_equal(mine, np.resize(theirs, len(mine)))
            assert diff(old, new).first is None


def test_a_partial_one_is_recovered_as_version_1(tmp_path: Path) -> None:
    partial = tmp_path / "old.partial"
    partial.write_bytes(Header("writing", 0, "0" * 64, 1).encode() + WORDS.read_bytes()[SIZE:])
    saved = recover(partial, tmp_path / "saved")
    assert (saved.layers, saved.passes, saved.lost_rows) == (2, 12, 0)
    assert read_header(tmp_path / "saved").version == 1
    with traces.open(tmp_path / "saved") as found, traces.open(WORDS) as whole:
        assert found.partial == "it was recovered from a run that did not end"
        assert diff(found, whole).same


def _forged(tmp_path: Path, table: str, column: str, value: int) -> Path:
    path = tmp_path / "t"
    path.write_bytes(WORDS.read_bytes())
    with h5py.File(path, "r+") as file:
        rows = file[table][:]
        rows[column][0] = value
        file[table][:] = rows
    seal(path, "complete", 1)
    return path


@pytest.mark.parametrize(
    ("table", "column", "value", "words"),
    [
        ("pes", "p", 0, "a PE's p is out of range"),
        ("pes", "p", 1 << 20, "its PEs are beyond all size"),
        ("templates", "ofmap_columns", 1 << 30, "its PEs are beyond all size"),
        ("templates", "images", 0, "its images or ofmap columns are out of range"),
    ],
)
def test_a_forged_one_takes_no_memory(
    tmp_path: Path, table: str, column: str, value: int, words: str
) -> None:
    with (
        traces.open(_forged(tmp_path, table, column, value)) as found,
        pytest.raises(TraceError, match=f"is no valid trace: template 0: {words}"),
    ):
        list(replay(found))


def test_a_layer_without_a_shape_is_replay_s_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(WORDS.read_bytes())
    with h5py.File(path, "r+") as file:
        text = file["layer_text"][:]
        text[:] = np.frombuffer(text.tobytes().replace(b'"shape"', b'"share"'), np.uint8)
        file["layer_text"][:] = text
    seal(path, "complete", 1)
    with traces.open(path) as found, pytest.raises(TraceError, match="the layer has no shape"):
        list(replay(found))
