"""Files that are broken in some way, and folders compared before and after.

A test in this folder imports from here by name: `from hostile_files import put`.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hw_models.load

DATA = Path(hw_models.load.__file__).parent / "data"
LARGE = 1 << 30


@dataclass(frozen=True)
class Link:
    """A symlink to `to`."""

    to: str


@dataclass(frozen=True)
class Good:
    """A file that the program itself wrote, whole or spoiled."""

    name: str
    cut: int | None = None
    more: int = 0
    damaged: bool = False
    edit: tuple[str, str] | None = None

    def spoiled(self, content: bytes) -> bytes:
        if self.edit is not None:
            old, new = (part.encode() for part in self.edit)
            assert old in content
            content = content.replace(old, new)
        if self.damaged:
            middle = len(content) // 2
            content = content[:middle] + b"\xff" * 200 + content[middle + 200 :]
        return content[: self.cut] + b"\0" * self.more


@dataclass(frozen=True)
class Hole:
    """A file that says it is that large, and takes no place."""

    size: int


FOLDER, PIPE = object(), object()


def put(path: Path, content: Any, good: Path) -> None:
    """Make what `content` says, from the files of the folder `good` where it needs one."""
    if content is FOLDER:
        path.mkdir()
    elif content is PIPE:
        os.mkfifo(path)
    elif isinstance(content, Hole):
        with path.open("wb") as stream:
            stream.truncate(content.size)
    elif isinstance(content, Link):
        path.symlink_to(content.to)
    elif isinstance(content, Good):
        path.write_bytes(content.spoiled((good / content.name).read_bytes()))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content)


def everything(folder: Path) -> dict[str, object]:
    """What stands in a folder: kind, mode, size, age and content of each entry."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISREG(status.st_mode) and status.st_size < LARGE:
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = path.readlink()
        about = (status.st_mode, status.st_size, status.st_mtime_ns)
        found[str(path.relative_to(folder))] = (about, content)
    return found


def told(stderr: str) -> list[str]:
    """The lines of stderr without click's reminder of the usage, and without this machine."""
    lines = stderr.replace(str(DATA), "{DATA}").splitlines()
    return [line for line in lines if line and not line.startswith(("Usage: ", "Try '"))]


def layer(**changes: str | None) -> str:
    """A network of one good layer, but for the changes; None leaves a key out."""
    entry: dict[str, str | None] = {
        "name": "A", "ifmap": "8", "channels": "3", "filters": "4", "filter": "3", **changes,
    }  # fmt: skip
    written = ", ".join(f"{key}: {value}" for key, value in entry.items() if value is not None)
    return f"network: n\nlayers:\n- {{{written}}}\n"
