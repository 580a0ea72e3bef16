"""Accelergy's pricing held against the sums that the program wrote, to the last digit."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli import main
from sim.cli.export_accelergy import accelergy as export
from sim.cli.model_accelergy import accelergy
from sim.errors import InputError
from sim.models.accelergy import price, read_files

DATA = Path(__file__).parent / "data"

ERT = """ERT:
  version: "0.4"
  tables:
  - name: chip.PE[0..3].mac
    actions:
    - {name: compute, arguments: {zero: 0}, energy: 2.0}
    - {name: compute, arguments: {zero: 1}, energy: 0.5}
"""
COUNTS = """action_counts:
  version: "0.4"
  local:
  - name: chip.PE[0..3].mac
    action_counts:
    - {name: compute, counts: 10}
"""


def priced(tmp_path, ert=ERT, counts=COUNTS):
    (tmp_path / "ert.yaml").write_text(ert)
    (tmp_path / "counts.yaml").write_text(counts)
    return price(read_files([str(tmp_path / "ert.yaml"), str(tmp_path / "counts.yaml")]))


@pytest.mark.parametrize("case", ["ert_only", "eyeriss_flat"])
def test_recorded_counts_cost_what_the_program_says(case, tmp_path):
    files = [str(DATA / case / "ERT.yaml"), str(DATA / case / "action_counts.yaml")]
    written, found = tmp_path / "estimation.yaml", tmp_path / "energy.json"
    done = CliRunner().invoke(accelergy, [*files, "--original", str(written), "--json", str(found)])
    assert done.exit_code == 0, done.output
    recorded = (DATA / case / "energy_estimation.yaml").read_text()
    assert written.read_text() == recorded
    assert f"Total: {json.loads(found.read_text())['total_pj']!r}" in recorded


def test_counts_without_arguments_take_the_first_entry_and_others_the_one_that_agrees(tmp_path):
    assert priced(tmp_path).total_pj == 20.0
    zeros = COUNTS.replace("compute,", "compute, arguments: {zero: 1},")
    assert priced(tmp_path, counts=zeros).total_pj == 5.0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("PE[0..3].mac\n    action", "PE[2..4].mac\n    action", "does not hold these instances"),
        ("PE[0..3].mac\n    action", "PE.mac\n    action", "does not hold these instances"),
        ("chip.PE[0..3].mac\n    action", "chip.PE[0..3].max\n    action", "did you mean"),
        ("{name: compute, counts", "{name: read, counts", "no action read (it has compute)"),
        ("compute, counts", "compute, arguments: {zero: 2}, counts", "not with zero = 2"),
        ("counts: 10", "counts: -1", "counts"),
        ('version: "0.4"\n  local', 'version: "0.5"\n  local', "must be 0.2, 0.3, 0.4"),
        ("action_counts:\n  version", "action_count:\n  version", "did you mean 'action_counts'"),
    ],
)
def test_counts_without_a_price_are_refused_with_their_line(tmp_path, before, after, message):
    assert before in COUNTS
    with pytest.raises(InputError) as refused:
        priced(tmp_path, counts=COUNTS.replace(before, after))
    assert message in str(refused.value)
    assert all(fault.file.endswith("counts.yaml") for fault in refused.value.faults)
    assert all(fault.line is not None for fault in refused.value.faults)


@pytest.mark.parametrize(
    ("ert", "message"),
    [
        (ERT.replace("arguments: {zero: 0}, ", ""), "arguments"),
        (ERT.replace("energy: 2.0", "energy: much"), "energy"),
        ("architecture: {}\n", "no ERT"),
        ("- 1\n", "must have top keys"),
        (ERT + COUNTS, "stands in"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, ert, message):
    with pytest.raises(InputError, match="yaml") as refused:
        priced(tmp_path, ert=ert)
    assert message in str(refused.value)


def outcome(tmp_path, ert, counts):
    try:
        priced(tmp_path, ert, counts)
    except InputError as error:
        return error.faults
    return ()


def test_two_hundred_damaged_files_are_priced_or_refused(tmp_path):
    rng = random.Random(1)
    refused = 0
    for _ in range(200):
        texts = [ERT, COUNTS]
        which = rng.randrange(2)
        text = texts[which]
        for _ in range(rng.randint(1, 3)):
            at, length = rng.randrange(len(text)), rng.randint(1, 20)
            filler = rng.choice(["", text[at : at + length] * 2, "&a *a", "[" * 50, "9" * 500])
            text = text[:at] + filler + text[at + length :]
        texts[which] = text
        faults = outcome(tmp_path, *texts)
        refused += bool(faults)
        assert all(fault.file and str(fault).isprintable() for fault in faults)
    assert refused > 100


def test_a_result_becomes_the_recorded_counts(tmp_path):
    """The recorded counts were made by hand from AlexNet's CONV3 of batch 4."""
    result = tmp_path / "conv3.json"
    assert main(["estimate", "alexnet", "--layer", "CONV3", "--json", str(result), "-q"]) == 0
    done = CliRunner().invoke(export, [str(result), "-o", str(tmp_path / "files")])
    assert done.exit_code == 0, done.output
    written = tmp_path / "files" / "action_counts.yaml"
    assert written.read_text() == (DATA / "eyeriss_flat" / "action_counts.yaml").read_text()
    assert "PE[0..167]" in (tmp_path / "files" / "architecture.yaml").read_text()
    files = read_files([str(DATA / "eyeriss_flat" / "ERT.yaml"), str(written)])
    assert price(files).total_pj == pytest.approx(1_318_148_711.88, abs=0.01)
