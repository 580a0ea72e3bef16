"""Saves what is whole of a trace whose run did not end, and invents nothing.

The writer works in groups, each with the digest of all that it added; the file is kept in an order
(HDF5's SWMR mode) in which a kill at any moment leaves it readable. So what is saved are the groups
up to the first whose digest is not right, byte for byte.
"""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traces.header import SIZE, TraceError, read_header, seal
from traces.reader import open_trace
from traces.tables import SCHEMAS, Tables, pieces_digest, read_pieces, whole_groups
from traces.writer import create_file, let_go, partial_path, writing


@dataclass(frozen=True)
class Recovered:
    """What was saved; `lost_rows` had been written but not as whole groups."""

    path: Path
    layers: int
    passes: int
    templates: int
    lost_rows: int


def recover(partial: Path | str, path: Path | str) -> Recovered:
    """Write what is whole of the partial file `partial` to the new file `path`.

    The new file says that it was recovered, and opens like any other; its ledger cannot be rebuilt.

    Raises:
        TraceError: the file is no trace, was not left by a run that did not end, or nothing of it
            is whole.
        OSError: a file cannot be read or written, or `path` is there already.

    """
    partial, path = Path(partial), Path(path)
    header = read_header(partial)
    if header.state != "writing":
        raise TraceError(
            partial, "was written to its end: there is nothing to recover; `trace info` reads it"
        )
    if path.exists():
        raise FileExistsError(17, "is there already", str(path))
    copy = partial_path(path)
    try:
        with writing(path):
            _copy_closed(partial, copy)
        return _recover(Tables(copy, SCHEMAS[header.version], shown=partial), partial, path)
    finally:
        copy.unlink(missing_ok=True)


def _recover(tables: Tables, partial: Path, path: Path) -> Recovered:
    try:
        kept = whole_groups(tables)
        if not kept["passes"]:
            raise TraceError(partial, "has nothing that is whole: the run ended too early")
        lost = sum(tables.length(name) - kept[name] for name in kept)
        made = partial_path(path)
        try:
            with writing(path):
                _write(made, tables, kept)
            with open_trace(made) as trace:  # hold it against the format before it gets its name
                saved = Recovered(
                    path, len(trace.layers), trace.table_rows("passes"), trace.templates, lost
                )
            made.replace(path)
        except TraceError as error:  # names the file that it was made from, which the user knows
            raise TraceError(partial, error.reason) from None
        finally:
            made.unlink(missing_ok=True)
    finally:
        tables.close()
    return saved


def _copy_closed(partial: Path, copy: Path) -> None:
    """Copy a file that a kill left open, and mark the copy as closed in its HDF5 superblock.

    Opened as a file that is still written, the HDF5 library would wait for a damaged block to
    become whole. As the tool h5clear does, this clears the marks and sets the end of the file.
    """
    shutil.copyfile(partial, copy)
    with copy.open("r+b") as stream:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(SIZE)
        block = bytearray(stream.read(_SUPERBLOCK.size))
        if len(block) < _SUPERBLOCK.size or block[:9] != b"\x89HDF\r\n\x1a\n\x03":
            raise TraceError(partial, "has nothing that is whole: the run ended too early")
        parts = list(_SUPERBLOCK.unpack(bytes(block)))
        parts[_FLAGS], parts[_END] = 0, length
        sealed = _SUPERBLOCK.pack(*parts[:-1], 0)[:-4]
        stream.seek(SIZE)
        stream.write(sealed + struct.pack("<I", lookup3(sealed)))


# HDF5's superblock, version 3: signature and version, sizes of offsets and of lengths, flags, then
# the addresses of base, extension, end of file and root group, and a checksum over all of it.
_SUPERBLOCK = struct.Struct("<9sBBBQQQQI")
_FLAGS, _END = 3, 6
_WORD = 0xFFFFFFFF
_MIX = (4, 6, 8, 16, 19, 4)
_FINAL = (14, 11, 25, 16, 4, 14, 24)


def lookup3(data: bytes) -> int:
    """Return Bob Jenkins' hash of 2006, which HDF5 takes as the checksum of its blocks."""
    state = [(0xDEADBEEF + len(data)) & _WORD] * 3
    last = max(0, len(data) - 1) // 12 * 12
    for place in range(0, last, 12):
        state = _added(state, data[place : place + 12])
        for turn, bits in enumerate(_MIX):
            a, b, c = turn % 3, (turn + 1) % 3, (turn + 2) % 3
            state[a] = (state[a] - state[c]) & _WORD ^ _rotated(state[c], bits)
            state[c] = (state[c] + state[b]) & _WORD
    state = _added(state, data[last:].ljust(12, b"\0"))
    for turn, bits in enumerate(_FINAL):
        a, b = (turn + 2) % 3, (turn + 1) % 3
        state[a] = ((state[a] ^ state[b]) - _rotated(state[b], bits)) & _WORD
    return state[2]


def _added(state: list[int], words: bytes) -> list[int]:
    return [(a + b) & _WORD for a, b in zip(state, struct.unpack("<III", words), strict=True)]


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _WORD


def _write(made: Path, tables: Tables, kept: dict[str, int]) -> None:
    schema = tables.schema
    file, datasets = create_file(made, schema)
    try:
        for name, rows in kept.items():
            datasets[name].resize((rows,))
            row_number = 0
            for piece in read_pieces(tables, name, 0, rows):
                datasets[name][row_number : row_number + len(piece)] = piece
                row_number += len(piece)
        row = np.zeros(1, schema.group_dtype)
        for name, rows in kept.items():
            row[name] = rows
        digest = pieces_digest(tables, dict.fromkeys(kept, 0), kept)
        row["digest"] = np.frombuffer(digest, np.uint8)
        datasets["groups"].resize((1,))
        datasets["groups"][:] = row
        file.close()
    except BaseException:
        let_go(file)
        raise
    seal(made, "recovered", schema.version)
