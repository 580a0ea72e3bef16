"""A trace says of its run what the result file says, so that `report` can read either."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.cli import main
from sim.errors import InputError
from sim.report.load import read_result


def test_a_trace_reads_as_the_result_file_of_the_same_run(tmp_path: Path) -> None:
    json_file, trace = tmp_path / "r.json", tmp_path / "t.h5"
    layers = ["--layer", "C3", "--layer", "F6"]
    assert main(["run", "lenet5", *layers, "--quiet", "--json", str(json_file)]) == 0
    assert main(["run", "lenet5", *layers, "--quiet", "--trace", str(trace)]) == 0
    from_trace, from_json = read_result(str(trace)), read_result(str(json_file))
    assert from_trace.layers == from_json.layers
    assert from_trace.totals == from_json.totals
    assert from_trace.hw == from_json.hw
    page = tmp_path / "page.html"
    assert main(["report", str(trace), "-o", str(page)]) == 0
    assert "C3" in page.read_text(encoding="utf-8")


def test_a_damaged_trace_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "t.h5"
    assert main(["run", "lenet5", "--layer", "F6", "--quiet", "--trace", str(trace)]) == 0
    data = bytearray(trace.read_bytes())
    data[-100] ^= 1
    trace.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_result(str(trace))
    (fault,) = caught.value.faults
    assert fault.file == str(trace)
