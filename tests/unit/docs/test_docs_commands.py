"""README and guides do what they say: every command, file and Python line in them is run.

Blocks of a page run in order, in one temporary folder:

    ```console   lines that start with `$ ` are commands, the lines below one are what it prints
    ```yaml      with a first line `# NAME.yaml`: a file of that name; ```ini with `# NAME.cfg`,
                 ```c with `// NAME.m`
    ```python    is executed

In shown output a line `...` stands for any lines, and `...` within a line for any text; lines
before the first and behind the last one may be left out. A last line `[exit code N]` is the exit
code where it is not 0.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hw_models.energy import load_energy_table
from hw_models.spec import Hardware
from hw_models.vocabulary import CAUSES, DATA_TYPES, ENTRIES, Level, Resource
from sim.cli import main
from sim.run import Values, estimate, run

ROOT = Path(__file__).parents[3]
RUN_PAGES = (
    "README.md",
    "docs/guide-inspect.md",
    "docs/guide-validate.md",
    "docs/guide-replay.md",
    "docs/accelergy.md",
    "docs/maestro.md",
    "docs/neurospector.md",
    "docs/timeloop.md",
    "docs/energy.md",
    "docs/rtl.md",
    "docs/mapper.md",
)
PAGES = (*RUN_PAGES, "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/machine.md", "docs/result.md")
COMMAND = ".venv/bin/eyeriss-sim"
ANY = "..."


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, the line it begins in, and its lines."""

    language: str
    line: int
    lines: tuple[str, ...]


def blocks(page: str) -> Iterator[Block]:
    language: str | None = None
    held: list[str] = []
    start = 0
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            held.append(line)
        elif language is None:
            language, held, start = line.removeprefix("```").strip(), [], number
        else:
            yield Block(language, start, tuple(held))
            language = None
    assert language is None, f"{page}:{start}: a fenced block without an end"


def commands(block: Block) -> Iterator[tuple[int, str, list[str]]]:
    """(line, command, lines that it is said to print)."""
    found: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(block.lines, start=block.line + 1):
        if line.startswith("$ "):
            found.append((number, line.removeprefix("$ "), []))
        else:
            assert found, f"line {number}: output before any command"
            found[-1][2].append(line.rstrip())
    return iter(found)


# --- commands, files and Python -------------------------------------------------------------------


@pytest.mark.parametrize("page", RUN_PAGES)
def test_what_a_page_shows_works(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    for block in blocks(page):
        at = f"{page}:{block.line}"
        if block.language == "console":
            for line, command, shown in commands(block):
                _run(f"{page}:{line}", command, shown)
                ran += 1
        elif block.language in ("yaml", "ini", "c"):
            name = re.fullmatch(r"(?:#|//) (\w+\.(yaml|cfg|m))", block.lines[0])
            assert name, f"{at}: the first line of a {block.language} block is its name"
            text = "\n".join(block.lines) + "\n"
            Path(name[1]).write_text(text, encoding="utf-8")
        elif block.language == "python":
            _execute(at, "\n".join(block.lines))
            ran += 1
        else:
            assert block.language in ("text", "sh"), f"{at}: say what this block is"
    assert ran, f"{page} shows no command"


def _run(at: str, command: str, shown: list[str]) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        assert not shown
        assert set(words[1:]) <= make_targets(), f"{at}: the Makefile has no such target"
        return
    assert words[0] == COMMAND, f"{at}: only {COMMAND} and make are known here"
    printed, said = StringIO(), StringIO()
    expected = 0
    if shown and (told := re.fullmatch(r"\[exit code (\d+)\]", shown[-1])):
        expected, shown = int(told[1]), shown[:-1]
    # In this process: dozens of interpreters would take longer than all that they run.
    with redirect_stdout(printed), redirect_stderr(said):
        code = main(words[1:])
    assert code == expected, f"{at}: exit code {code}\n{said.getvalue()}"
    missing = first_difference(shown, printed.getvalue())
    assert missing is None, f"{at}: not printed: {missing!r}\n{printed.getvalue()}"


def _execute(at: str, code: str) -> None:
    with redirect_stdout(StringIO()):
        exec(compile(code, at, "exec"), {"__name__": "__main__"})


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def first_difference(shown: list[str], printed: str) -> str | None:
    """The first shown line that the output does not have in its place; None where all is there."""
    lines = [line.rstrip() for line in printed.splitlines()]
    place: int | None = None  # None: the next shown line may stand anywhere behind
    behind = 0
    for line in shown:
        if line == ANY:
            place = None
            continue
        if not line and place is None:
            continue
        pattern = re.compile(".*".join(map(re.escape, line.split(ANY))))
        candidates = range(behind, len(lines)) if place is None else range(place, place + 1)
        found = next((i for i in candidates if i < len(lines) and pattern.fullmatch(lines[i])), -1)
        if found < 0:
            return line
        place = behind = found + 1
    return None


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (["b", "c"], None),
        (["a", "...", "d"], None),
        (["a 1...3", "..."], "a 1...3"),
        (["a", "c"], "c"),
        (["b", "...", "a"], "a"),
        (["...", "e 1 ... 3"], None),
    ],
)
def test_the_comparison_of_output(shown: list[str], missing: str | None) -> None:
    assert first_difference(shown, "a\nb\nc\nd\ne 1 2 3\n") == missing


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)`", text)) | set(
        re.findall(r"^\$? ?make ([a-z-]+)", text, re.MULTILINE)
    )
    assert named <= make_targets(), page


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    here = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = here / file if file else ROOT / page
        assert target.exists(), f"{page} links to {link}, which does not exist"
        if anchor:
            assert anchor in anchors(target), f"{page} links to {link}: no such heading"


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


# --- the machine and the result file --------------------------------------------------------------


def hardware_fields(section: type[BaseModel] = Hardware, at: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from hardware_fields(field.annotation, f"{at}{name}.")
        else:
            yield f"{at}{name}"


def test_fields_that_the_machine_page_names_exist() -> None:
    known = set(hardware_fields())
    sections = {field.partition(".")[0] for field in known if "." in field}
    text = (ROOT / "docs/machine.md").read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{'|'.join(sorted(sections))})\.\w+)`", text)
    assert len(set(named)) > 20
    assert set(named) <= known


def test_the_result_page_names_every_field_of_the_hardware() -> None:
    assert set(hardware_fields()) <= named_in_result_page()


def named_in_result_page() -> set[str]:
    """What stands in backticks on the page, lists of names taken apart."""
    text = (ROOT / "docs/result.md").read_text(encoding="utf-8")
    return set(re.findall(r"`([^`\n]+)`", text))


def keys(value: Any, at: str = "") -> Iterator[str]:
    """Dotted names of all keys; a list stands for its items."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{at}.{key}" if at else key
            yield from keys(inner, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, at)


def test_the_result_page_names_every_key() -> None:
    options: dict[str, Any] = {"layers": ["C1", "OUTPUT"], "hw": "eyeriss_v1"}
    results = [
        run("lenet5", values=Values(seed=1), **options),
        estimate("lenet5", **options),
        estimate("alexnet", layers=["CONV1"], mapping="m=96,n=1,e=1,p=25,q=1,r=1,t=1"),
    ]
    assert results[-1].refused
    named = named_in_result_page()
    found = {key for result in results for key in keys(json.loads(json.dumps(result.to_dict())))}
    assert len(found) > 200
    for key in sorted(found):
        if key.startswith("hw."):  # test_the_result_page_names_every_field_of_the_hardware
            continue
        path = key.split(".")
        if "accesses" in path:
            entry = ".".join(path[path.index("accesses") + 1 :])
            parts = {".".join(name.split(".")[:depth]) for name in named for depth in (1, 2, 3)}
            assert not entry or entry in named | parts or path[-2] == "multicast", key
        elif "by_action" in path:
            # Its names are those of the ledger and a few more, which the page gives.
            action = ".".join(path[path.index("by_action") + 1 :])
            assert not action or action in {*ENTRIES, *named} or path[-2] == "static", key
        elif "unpriced" not in path[:-1]:
            assert path[-1] in named, key


def test_the_result_page_names_every_value_of_a_fixed_list() -> None:
    named = named_in_result_page()
    assert {*CAUSES, *Resource, *Level, *DATA_TYPES, *ENTRIES} <= named
    assert load_energy_table("isca2016").unit in named
