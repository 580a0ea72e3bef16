"""MAESTRO's hardware files: `name: number` lines that replace the options."""

from __future__ import annotations

from typing import Final

from sim.models.maestro.analysis import Hardware
from workloads.inputs.document import read_text
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import shown

_FIELDS: Final = {
    "num_pes": "pes",
    "noc_bw_cstr": "bandwidth",
    "offchip_bw_cstr": "offchip",
    # The number of hops is the latency in cycles there; a latency given as an option is dropped.
    "NoC_NumHops": "latency",
}
_ROOMS: Final = ("l1_size_cstr", "l2_size_cstr")
_LARGEST = 2**31 - 1
_DEFAULT = Hardware(pes=1, latency=1, offchip=_LARGEST)


def read_hardware(path: str, lanes: int) -> tuple[Hardware, dict[str, int]]:
    """Read a hardware file: the accelerator, and the sizes of L1 and L2 that it names.

    What it leaves out is 1 PE, 1 hop, and no bound.

    Raises:
        InputError: the file cannot be read, or a line is no `name: number`; with the line.

    """
    text, name = read_text(path, "a hardware file")
    fields: dict[str, int] = {"lanes": lanes}
    rooms: dict[str, int] = {}
    faults: list[Fault] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.replace(":", " ").replace(",", " ").replace(";", " ").split()
        if not words or words[0].startswith("//"):
            continue
        key, value = words[0], words[1] if len(words) > 1 else ""
        if key not in _FIELDS and key not in _ROOMS:
            known = ", ".join((*_FIELDS, *_ROOMS))
            faults.append(Fault(name, number, shown(key), f"is not known; known: {known}"))
        elif not (value.isascii() and value.isdigit() and 1 <= len(value) <= 10):
            faults.append(Fault(name, number, key, f"must be a whole number, got {shown(value)}"))
        elif not 1 <= int(value) <= _LARGEST:
            faults.append(Fault(name, number, key, f"must be 1 to {_LARGEST}, got {value}"))
        elif key in _ROOMS:
            rooms[key] = int(value)
        else:
            fields[_FIELDS[key]] = int(value)
    if faults:
        raise InputError(*faults)
    return _DEFAULT._replace(**fields), rooms
