"""Lines and branches that the measured tests reach, by package; run by `make test` after them.

`tests/conftest.py` says which tests are measured. Fails where a package is below the bar, and then
names what its tests do not reach.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coverage import Coverage

BAR_PERCENT = 95
PARTS = ("lines", "branches")


@dataclass
class Package:
    """What is reached of a package, and of how many, by part; `missed` names the rest by file."""

    reached: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    total: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    missed: list[str] = field(default_factory=list)

    def add(self, path: str, file: dict[str, Any]) -> None:
        """Count a file of coverage's JSON report."""
        summary = file["summary"]
        self.reached["lines"] += summary["covered_lines"]
        self.total["lines"] += summary["num_statements"]
        self.reached["branches"] += summary["covered_branches"]
        self.total["branches"] += summary["num_branches"]
        lines = file["missing_lines"]
        # A branch within a line that is not reached tells nothing new.
        branches = [
            f"{start}->{end if end > 0 else 'exit'}"
            for start, end in file["missing_branches"]
            if start not in lines
        ]
        if lines or branches:
            self.missed.append(f"  {path}: {', '.join([*map(str, lines), *branches])}")

    def percent(self, part: str) -> float:
        """How much of `part` is reached."""
        return 100 * self.reached[part] / self.total[part]

    @property
    def passes(self) -> bool:
        """Lines and branches are both above the bar."""
        return all(self.percent(part) > BAR_PERCENT for part in PARTS)


def measured() -> dict[str, Package]:
    """The packages of coverage's configuration, with what the last run reached of each."""
    coverage = Coverage()
    coverage.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        coverage.json_report(outfile=str(report))
        files: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["files"]
    found = {name: Package() for name in coverage.get_option("run:source")}
    for path, file in files.items():
        name = next(name for name in found if Path(path).is_relative_to(name))
        found[name].add(path, file)
    return found


def main() -> int:
    """Print the table; 1 where a package is below the bar."""
    packages = measured()
    print("coverage".ljust(24) + "".join(part.rjust(24) for part in PARTS))
    for name, package in packages.items():
        cells = (
            f"{package.percent(part):5.1f} % {package.reached[part]:5} of {package.total[part]:5}"
            for part in PARTS
        )
        print(name.ljust(24) + "".join(cell.rjust(24) for cell in cells))
    below = {name: package for name, package in packages.items() if not package.passes}
    for name, package in below.items():
        print(f"{name} is not above {BAR_PERCENT} %; not reached:", *package.missed, sep="\n")
    return bool(below)


if __name__ == "__main__":
    sys.exit(main())
