"""Run the suite on other Pythons and with other packages than those of the checkout.

    tests/versions.py [--oldest | --newest] [pytest arguments]

Without an option: on every Python from 3.11 on that is found, with the packages that pip takes.
`--oldest`: on the oldest one, with the lowest versions that `pyproject.toml` declares. `--newest`:
on the newest one, with the newest packages. Each gets an environment of its own in `.venvs`.
Without pytest arguments the tests that are not slow run.

After the tests, commands whose files must be the same to the byte everywhere are run and compared.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".venvs"
OLDEST, NEWEST = 11, 30  # of Python 3
TESTS = ("-m", "not slow", "-n", os.environ.get("WORKERS", "2"))
COMMANDS = (
    "validate -q --json -",
    "run lenet5 -q --mapping auto --json -",
    "run alexnet -q --layer CONV3 --values --batch 1 --json -",
    "estimate vgg16 -q --energy eyeriss_65nm_calibrated --json -",
    "check --random 40 -q --json -",
    "audit alexnet -q --json -",
)


def pythons() -> dict[int, str]:
    """Minor version -> interpreter of every Python that is found, this one included."""
    found = {sys.version_info.minor: sys.executable}
    for minor in range(OLDEST, NEWEST):
        # Where versions are managed by pyenv, python3.12 may be a name without a Python behind it.
        for name in (f"python3.{minor}", *_of_pyenv(minor)):
            path = shutil.which(name)
            if path is not None and minor not in found and _works(path, minor):
                found[minor] = path
    return dict(sorted(found.items()))


def _of_pyenv(minor: int) -> list[str]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [str(path) for path in sorted(root.glob(f"versions/3.{minor}.*/bin/python"))][::-1]


def _works(path: str, minor: int) -> bool:
    done = subprocess.run(
        [path, "-c", "import sys; print(sys.version_info.minor)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0 and done.stdout.strip() == str(minor)


def lowest_versions() -> list[str]:
    """Each declared package held to the lowest version that is declared for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        declared += extra
    bounds = (re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement) for requirement in declared)
    return sorted({f"{bound[1]}=={bound[2]}" for bound in bounds if bound is not None})


def environment(name: str, python: str, *, oldest: bool = False, newest: bool = False) -> Path:
    """The Python of an environment with the project and its tools in it."""
    folder = ENVIRONMENTS / name
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    inside = folder / "bin" / "python"
    pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as temporary:
        constraints = Path(temporary) / "lowest.txt"
        constraints.write_text("\n".join(lowest_versions()) + "\n" if oldest else "")
        how = ["--constraint", str(constraints), *(["--upgrade"] if newest else [])]
        subprocess.run([*pip, *how, "--editable", f"{ROOT}[dev]"], check=True)
    return inside


def digests(python: Path) -> dict[str, str]:
    """What each command writes, as a digest."""
    run = "import sys; from sim.cli import main; sys.exit(main())"
    return {
        command: hashlib.blake2b(
            subprocess.run(
                [str(python), "-c", run, *command.split()],
                cwd=ROOT, stdout=subprocess.PIPE, check=True,
            ).stdout
        ).hexdigest()
        for command in COMMANDS
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run it all; 1 where tests fail or a file differs."""
    oldest, newest = "--oldest" in arguments, "--newest" in arguments
    tests = [word for word in arguments if word not in ("--oldest", "--newest")] or list(TESTS)
    found = pythons()
    chosen = [min(found)] if oldest else [max(found)] if newest else list(found)
    failed: list[str] = []
    written: dict[str, dict[str, str]] = {}
    for minor in chosen:
        name = f"3.{minor}" + ("-oldest" if oldest else "-newest" if newest else "")
        print(f"== Python {name}: {found[minor]}", flush=True)
        python = environment(name, found[minor], oldest=oldest, newest=newest)
        if subprocess.run([str(python), "-m", "pytest", *tests], cwd=ROOT, check=False).returncode:
            failed.append(f"tests on {name}")
        written[name] = digests(python)
    written["this one"] = digests(Path(sys.executable))
    first = written["this one"]
    for name, found_there in written.items():
        failed += [
            f"`{command}` on {name} is not the same to the byte"
            for command in COMMANDS
            if found_there[command] != first[command]
        ]
    for what in failed:
        print(f"FAILED: {what}")
    if not failed:
        print(f"{len(COMMANDS)} files are the same to the byte on {', '.join(written)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
