"""Random cases are legal, and the file of a case is the case."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from sim.check.cases import MOST_MACS, MOST_PASSES, random_cases, read_case
from sim.errors import InputError


def test_the_file_of_a_case_is_the_case(tmp_path: Path) -> None:
    file = tmp_path / "case.yaml"
    for case in islice(random_cases(1), 150):
        file.write_text(case.to_yaml())
        again = read_case(file)
        assert again == case
        assert again.plan == case.plan


def test_random_cases_are_legal_and_small() -> None:
    for case in islice(random_cases(2), 150):
        plan = case.plan  # legal: it can be laid out
        assert plan.passes <= MOST_PASSES
        assert case.layer.macs(case.batch) <= MOST_MACS


def test_a_wrong_file_is_told_with_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "case.yaml"
    (case,) = islice(random_cases(3), 1)
    file.write_text(case.to_yaml().replace("channels: ", "channels: -"))
    with pytest.raises(InputError) as caught:
        read_case(file)
    (fault,) = caught.value.faults
    assert fault.file == str(file)
    assert fault.line is not None
    assert "channels" in file.read_text().splitlines()[fault.line - 1]
    assert "channels" in fault.field
