"""Timeloop's input files, merged by their top keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sim.models.timeloop.architecture import TAGS, Architecture, read_architecture
from sim.models.timeloop.mapping import Mapping, read_mapping
from sim.models.timeloop.nodes import Node
from sim.models.timeloop.problem import Problem, read_problem
from workloads.inputs.document import Document, parse_document, read_text
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import closest, shown

_READ: Final = ("architecture", "arch", "problem", "mapping", "ERT", "ART", "variables")
_REFUSED: Final = {
    "sparse_optimizations": "sparse optimizations are not modelled",
    "layout": "layouts are not modelled",
}
_ALLOWED: Final = (  # known to the program, but not needed for one mapping with given energies
    "ERT_summary",
    "architecture_constraints",
    "components",
    "compound_components",
    "dumped_by_timeloop_front_end",
    "globals",
    "mapper",
    "mapspace",
    "mapspace_constraints",
    "model",
    "version",
)


@dataclass(frozen=True)
class Files:
    """What the files hold, and notes on what was left unread."""

    problem: Problem
    architecture: Architecture
    mapping: Mapping
    ert: Node | None
    art: Node | None
    notes: tuple[str, ...]


def read_files(names: Sequence[str]) -> Files:
    """Read files that together hold an architecture, a problem, a mapping and maybe an ERT.

    Raises:
        InputError: a file cannot be read, a key is missing, given twice or wrong; with the line.

    """
    return _combined([_document(*read_text(name, "a YAML file")) for name in names])


def parse_files(texts: Sequence[tuple[str, str]]) -> Files:
    """Read texts, each with the name that faults carry.

    Raises:
        InputError: as `read_files`.

    """
    return _combined([_document(text, file) for text, file in texts])


def _document(text: str, file: str) -> Document:
    for number, line in enumerate(text.splitlines(), 1):
        if "{{" in line or "{%" in line:
            message = "Jinja2 templates are not evaluated; give the file that they make"
            raise InputError(Fault(file, number, "", message))
    return parse_document(text, file, TAGS)


def _combined(documents: Sequence[Document]) -> Files:
    nodes: dict[str, Node] = {}
    notes: list[str] = []
    for document in documents:
        if not isinstance(document.data, dict):
            message = "must have top keys: architecture, problem, mapping"
            raise InputError(document.fault((), message))
        for key, value in document.data.items():
            node = Node(document, (key,), value)
            if key in _REFUSED:
                raise node.refuse(f"{_REFUSED[key]}: leave it out")
            if key in _READ:
                name = "architecture" if key == "arch" else key
                if name in nodes:
                    raise node.refuse(f"is given in {nodes[name].document.file}, too; give it once")
                nodes[name] = node
                continue
            near = closest(key, _READ)
            if key not in _ALLOWED and near is not None:
                raise node.refuse(f"is not known; did you mean {near!r}?")
            notes.append(f"{document.file}: {shown(key)} is not needed to evaluate a mapping")
    missing = [key for key in ("architecture", "problem", "mapping") if key not in nodes]
    if missing:
        about = ", ".join(document.file for document in documents)
        raise InputError(Fault(about, None, "", f"no {' and no '.join(missing)}: give each once"))
    problem = read_problem(nodes["problem"])
    architecture = read_architecture(nodes["architecture"], nodes.get("variables"))
    mapping = read_mapping(nodes["mapping"], problem, architecture)
    return Files(problem, architecture, mapping, nodes.get("ERT"), nodes.get("ART"), tuple(notes))
