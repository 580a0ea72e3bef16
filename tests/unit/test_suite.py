"""The suite itself: what it leaves out is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_browser_tests_that_are_left_out_are_told() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/browser", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT, env={**os.environ, "PATH": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "tests/browser/test_browser_report.py: " in found.stdout
    assert "left out: chromium and chromedriver are not installed" in found.stdout
