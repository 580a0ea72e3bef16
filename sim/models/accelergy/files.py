"""Accelergy's YAML: energy reference tables (ERT) and trees of action counts, with their lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from workloads.inputs.document import Document, read_document
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.models import validate
from workloads.inputs.words import DocumentPath, Line, closest, shown

VERSIONS: Final = ("0.2", "0.3", "0.4")
MOST_COUNTS: Final = 2**63

_Name = Annotated[Line, Field(min_length=1, max_length=1000)]
_Arguments = dict[str, int | float | str | bool | None]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Loose(BaseModel):
    # A tree of counts may carry the architecture's attributes along; they price nothing.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _ErtAction(_Strict):
    name: _Name
    # The program stops where the key is missing.
    arguments: _Arguments | None = Field(description="null where the action has none")
    energy: float = Field(allow_inf_nan=False, description="pJ")


class _ErtTable(_Strict):
    name: _Name
    actions: list[_ErtAction]


class _Ert(_Strict):
    version: str | float
    tables: list[_ErtTable]


class _Count(_Strict):
    name: _Name
    arguments: _Arguments | None = None
    counts: (
        Annotated[float, Field(ge=0, le=MOST_COUNTS)] | Annotated[int, Field(ge=0, le=MOST_COUNTS)]
    )


class _Component(_Loose):
    name: _Name
    action_counts: list[_Count]


class _Branch(_Loose):
    name: _Name
    local: list[_Component] = []
    subtree: list[_Branch] = []


class _Counts(_Loose):
    version: str | float
    local: list[_Component] = []
    subtree: list[_Branch] = []


@dataclass(frozen=True)
class Action:
    """An action of a component: its price in pJ, or how often it happens, and its line."""

    name: str
    arguments: Mapping[str, Any]
    value: float
    place: Fault


@dataclass(frozen=True)
class Component:
    """A component by its dotted path, with its actions and its line."""

    name: str
    actions: tuple[Action, ...]
    place: Fault


@dataclass(frozen=True)
class Files:
    """What the files hold: prices, counts, and notes on what was left unread."""

    prices: tuple[Component, ...]
    counts: tuple[Component, ...]
    notes: tuple[str, ...]


def read_files(names: Sequence[str]) -> Files:
    """Read files that together hold one ERT and one action_counts, merged by their top keys.

    Raises:
        InputError: a file cannot be read, a key is missing, given twice or wrong; with the line.

    """
    found: dict[str, Document] = {}
    notes: list[str] = []
    for name in names:
        document = read_document(name)
        if not isinstance(document.data, dict):
            raise InputError(document.fault((), "must have top keys, ERT and action_counts"))
        for key in document.data:
            if key not in ("ERT", "action_counts"):
                near = closest(key, ("ERT", "action_counts"))
                if near is not None:
                    message = f"is not known; did you mean '{near}'?"
                    raise InputError(document.fault((key,), message))
                notes.append(f"{document.file}: {shown(key)} is not needed where there is an ERT")
            elif key in found:
                first = found[key].file
                raise InputError(document.fault((key,), f"stands in {first}, too: give it once"))
            else:
                found[key] = document
    missing = [key for key in ("ERT", "action_counts") if key not in found]
    if missing:
        about = ", ".join(names)
        message = f"no {' and no '.join(missing)}: give a file with each"
        raise InputError(Fault(about, None, "", message))
    ert, counts = found["ERT"], found["action_counts"]
    prices = validate(_Ert, ert, ("ERT",))
    tree = validate(_Counts, counts, ("action_counts",))
    for document, key, version in (
        (ert, "ERT", prices.version),
        (counts, "action_counts", tree.version),
    ):
        if str(version) not in VERSIONS:
            message = f"must be {', '.join(VERSIONS)}, got {shown(version)}"
            raise InputError(document.fault((key, "version"), message))
    return Files(
        tuple(_priced(ert, prices)),
        tuple(_counted(counts, tree, "", ("action_counts",))),
        tuple(notes),
    )


def _priced(document: Document, ert: _Ert) -> Iterator[Component]:
    for place, table in enumerate(ert.tables):
        at = ("ERT", "tables", place)
        actions = tuple(
            Action(
                each.name,
                each.arguments or {},
                each.energy,
                document.fault((*at, "actions", number), ""),
            )
            for number, each in enumerate(table.actions)
        )
        yield Component(table.name, actions, document.fault(at, ""))


def _counted(
    document: Document, tree: _Counts | _Branch, prefix: str, path: DocumentPath
) -> Iterator[Component]:
    """Walk the tree as the program does: a branch's own components, then its branches."""
    for place, component in enumerate(tree.local):
        at = (*path, "local", place)
        actions = tuple(
            Action(
                each.name,
                each.arguments or {},
                each.counts,
                document.fault((*at, "action_counts", number), ""),
            )
            for number, each in enumerate(component.action_counts)
        )
        yield Component(prefix + component.name, actions, document.fault(at, ""))
    for place, branch in enumerate(tree.subtree):
        yield from _counted(document, branch, f"{prefix}{branch.name}.", (*path, "subtree", place))
