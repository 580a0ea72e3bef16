"""Words in `.npy` files: read with care, since a file may be anything, and written whole.

The header of a file is compared with what the layer needs before a single word is read, so no file
can take more memory than the layer itself; nothing is ever unpickled.
"""

from __future__ import annotations

import math
import os
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sim.account.result import LayerResult

MOST_ITEM_BYTES = 8
MOST_HEADER_BYTES = 1 << 16


def read_words(
    option: str, name: str, shape: tuple[int, ...], of_words: tuple[int, int]
) -> NDArray[np.int64]:
    """Return the words of a `.npy` file of this shape, each within the range `of_words`.

    Raises:
        InputError: the file cannot be read, is no `.npy` file, is cut short, or holds something
            else than whole numbers of that range in this shape; with the option and the file.

    """
    from sim.errors import Fault, InputError
    from workloads.inputs.words import printable

    try:
        words = _read(name, shape, of_words)
    except OSError as error:
        reason = error.strerror or str(error)
    except UnusableError as error:
        reason = str(error)
    else:
        return words
    raise InputError(Fault(printable(name), None, option, reason))


class UnusableError(Exception):
    """A file is of no use; the message says why."""


def _read(name: str, shape: tuple[int, ...], of_words: tuple[int, int]) -> NDArray[np.int64]:
    import numpy as np

    # Not to wait for the other end of a pipe; a regular file does not care.
    descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableError("is not a regular file")
        words_in_all = math.prod(shape)
        if status.st_size > words_in_all * MOST_ITEM_BYTES + MOST_HEADER_BYTES:
            raise UnusableError(
                f"has {status.st_size} bytes, too many for the {words_in_all} words of the layer"
            )
        found_shape, dtype = _header(stream)
        if dtype.kind not in "iu":
            raise UnusableError(f"has elements of type {dtype}, whole numbers are needed")
        if found_shape != shape:
            raise UnusableError(f"has shape {found_shape}, the layer needs {shape}")
        there = status.st_size - stream.tell()
        needed = words_in_all * dtype.itemsize
        if there != needed:
            raise UnusableError(f"holds {there} bytes of words, its header says {needed}")
        stream.seek(0)
        try:
            words = np.load(stream, allow_pickle=False)
        except (ValueError, EOFError) as error:  # it changed since
            raise UnusableError(f"cannot be read: {error}") from None
    low, high = int(words.min()), int(words.max())
    least, greatest = of_words
    if low < least or high > greatest:
        raise UnusableError(f"holds {low} to {high}, a word is {least} to {greatest}")
    whole: NDArray[np.int64] = words.astype(np.int64)
    return whole


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(stream)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise UnusableError(
                f"has version {version[0]}.{version[1]} of the .npy format, not 1 or 2"
            )
        shape, _, dtype = readers[version](stream)
    except UnusableError:
        raise
    except Exception:  # the header is Python text, and its parsers fail in many ways
        raise UnusableError("is not a .npy file") from None
    return shape, dtype


def write_ofmaps(stream: IO[bytes], layers: Sequence[LayerResult], *, archive: bool) -> None:
    """Write the ofmap of the one layer as `.npy`, or all of them as `.npz`, one array a layer.

    An array has the layer's name, as far as it may be part of a path: whoever unpacks the archive
    gets files of these names.
    Ofmaps are (N, M, E, F), 64-bit integers, before ReLU. The same ofmaps give the same bytes.
    """
    from numpy.lib import format as npy

    from workloads.inputs.words import path_part

    taken: set[str] = set()
    ofmaps = {
        path_part(layer.layer.name, taken): layer.values.ofmap
        for layer in layers
        if layer.values is not None
    }
    if not archive:
        (ofmap,) = ofmaps.values()
        npy.write_array(stream, ofmap, allow_pickle=False)
        return
    # Not `np.savez`: it takes names as arguments, and stamps each array with the time.
    with zipfile.ZipFile(stream, "w") as whole:
        for name, ofmap in ofmaps.items():
            with whole.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                npy.write_array(entry, ofmap, allow_pickle=False)


def is_archive(name: str) -> bool | None:
    """Return whether a file's name asks for an archive of arrays; None for another ending."""
    return {".npy": False, ".npz": True}.get(Path(name).suffix.casefold())
