"""The first 512 bytes of a trace file: what it is, how long it is, and the digest of the rest.

They are plain text before the HDF5 data (its user block). Length and digest are checked before the
HDF5 data is looked at, so a cut or flipped file never reaches the HDF5 library.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from traces.events import READABLE, VERSION
from workloads.inputs.words import printable

SIZE = 512
MAGIC = "eyeriss-sim trace"
STATES = ("writing", "complete", "recovered")
_BLOCK = 1 << 20
_LINES = re.compile(
    r"version (?P<version>\d{1,9})\nstate (?P<state>[a-z]{1,20})\nbytes (?P<bytes>\d{1,18})\n"
    r"blake2b (?P<digest>[0-9a-f]{64})\n"
)


class TraceError(Exception):
    """A file that is no whole trace: the file, what is wrong with it, and what can be done."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{printable(str(path))}: {reason}")
        self.path = Path(path)
        self.reason = reason


@dataclass(frozen=True)
class Header:
    """The header's fields; `length` counts the bytes of the whole file."""

    state: str
    length: int
    digest: str
    version: int = VERSION

    def encode(self) -> bytes:
        """Return the 512 bytes."""
        text = (
            f"{MAGIC}\nversion {self.version}\nstate {self.state}\nbytes {self.length}\n"
            f"blake2b {self.digest}\n"
        )
        text += f"header {hashlib.blake2b(text.encode(), digest_size=32).hexdigest()}\n"
        return text.encode().ljust(SIZE, b"\n")


def digest(stream: IO[bytes]) -> str:
    """Return the digest of a stream from its position to its end."""
    blake2b = hashlib.blake2b(digest_size=32)
    while block := stream.read(_BLOCK):
        blake2b.update(block)
    return blake2b.hexdigest()


def seal(path: Path, state: str, version: int = VERSION) -> None:
    """Write the header that says that the file is whole."""
    with path.open("r+b") as stream:
        stream.seek(SIZE)
        content_digest = digest(stream)
        header = Header(state, stream.tell(), content_digest, version)
        stream.seek(0)
        stream.write(header.encode())


def read_header(path: Path) -> Header:
    """Return the header of a file.

    Raises:
        TraceError: it is no trace, of another version, or the header is damaged.
        OSError: it cannot be read.

    """
    with _regular(path).open("rb") as stream:
        return _parse(path, stream.read(SIZE))


def _regular(path: Path) -> Path:
    """Return the path, unless it is a pipe or a device, which could be read for ever."""
    if path.exists() and not path.is_file():
        raise TraceError(path, "is no regular file")
    return path


def _parse(path: Path, raw: bytes) -> Header:
    magic = f"{MAGIC}\n".encode()
    if not raw.startswith(magic):
        raise TraceError(path, "is no trace file: it does not begin with 'eyeriss-sim trace'")
    text = raw.decode("ascii", "replace")
    fields = _LINES.match(text, len(magic))
    if fields is None:
        raise TraceError(path, "is damaged: its header cannot be read")
    header = Header(
        fields["state"], int(fields["bytes"]), fields["digest"], version=int(fields["version"])
    )
    if header.encode() != raw:
        raise TraceError(path, "is damaged: its header does not match its own digest")
    if header.version not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise TraceError(
            path, f"has format version {header.version}, and this program reads {known}"
        )
    if header.state not in STATES:
        raise TraceError(path, f"is in a state that version {header.version} does not have")
    return header


def checked_header(path: Path) -> Header:
    """Return the header of a whole file: its length and its digest are right.

    Raises:
        TraceError: the file is no trace, incomplete, cut or changed.
        OSError: it cannot be read.

    """
    with _regular(path).open("rb") as stream:
        header = _parse(path, stream.read(SIZE))
        if header.state == "writing":
            raise TraceError(
                path,
                "is incomplete: the run that wrote it did not end; `eyeriss-sim trace recover` "
                "saves what is whole",
            )
        size = path.stat().st_size
        if size != header.length:
            what = "cut" if size < header.length else "longer than it was written"
            raise TraceError(path, f"is {what}: {size} bytes, and its header says {header.length}")
        if digest(stream) != header.digest:
            raise TraceError(path, "is damaged: its content does not match its digest")
    return header
