"""NeuroSpector's quirks by name: what its figures leave out or count in a surprising way.

Numbers are those of docs/neurospector.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.models.neurospector.accelerator import DRAM, GB, LB, PE_X
from sim.models.neurospector.model import CRS, EXACT, TOOL, K, Model
from sim.models.neurospector.workload import Table


@dataclass(frozen=True)
class Quirk:
    """A quirk that a table meets."""

    name: str
    text: str


def quirks_of(model: Model, table: Table) -> list[Quirk]:
    """Return the quirks that this table meets, with what each does to its figures."""
    return [Quirk(name, text) for name, text in _Meets(model, table[None]).all()]


class _Meets:
    def __init__(self, model: Model, tables: Table) -> None:
        self._model = model
        self._accelerator = model.accelerator
        self._tables = tables
        self._is_release = model.accelerator.version == "1.5"
        self._wide = self._other(divides=True)

    def _other(self, *, divides: bool) -> Model:
        model = self._model
        return Model(model.accelerator, model.layer, model.dataflows, EXACT, divides_inputs=divides)

    def all(self) -> list[tuple[str, str]]:
        found = [
            self._inputs_divided(),
            self._inputs_times_outputs(),
            self._wrapped(),
            *self._one_price(),
            self._bypassed(),
            self._odd_words(),
            self._halo(),
            self._local_psums(),
            self._stride_zero(),
            (
                "no overlap",
                "TOTAL CYCLE is the sum of MAC, LB, GB and DRAM cycles: nothing overlaps",
            ),
        ]
        return [quirk for quirk in found if quirk is not None]

    def _inputs_divided(self) -> tuple[str, str] | None:
        if not self._is_release:
            return None
        rows = {LB: GB, GB: DRAM}
        flows = dict(zip((LB, GB), self._model.dataflows, strict=True))
        met = [
            below
            for above, below in rows.items()
            if flows[above] == "IS" and self._tables[0, below, K] == 1
        ]
        tool, right = (
            self._wide.figures(self._tables),
            self._other(divides=False).figures(self._tables),
        )
        changed = [row for row in met if tool.counts[row].rd_i[0] != right.counts[row].rd_i[0]]
        if not changed:
            return None
        text = "; ".join(
            f"{'GB' if row == GB else 'DRAM'} reads inputs {int(tool.counts[row].rd_i[0]):,} times "
            f"where {int(right.counts[row].rd_i[0]):,} are needed"
            for row in changed
        )
        return "Q2", f"IS with K = 1 in the row below divides input reads: {text}"

    def _inputs_times_outputs(self) -> tuple[str, str] | None:
        gb = self._accelerator.buffers.get(GB)
        if gb is None or not gb.bypass[0]:
            return None
        return "Q2b", "the GB bypasses inputs: DRAM's writes of outputs may be multiplied for it"

    def _wrapped(self) -> tuple[str, str] | None:
        tool = Model(self._accelerator, self._model.layer, self._model.dataflows, TOOL).figures(
            self._tables
        )
        wide = self._wide.figures(self._tables)
        ratio = float(wide.total_energy[0]) / max(float(tool.total_energy[0]), 1e-30)
        cycles = float(wide.total_cycles[0]) / max(float(tool.total_cycles[0]), 1e-30)
        if not (np.isfinite(ratio) and max(abs(ratio - 1), abs(cycles - 1)) > 1e-4):
            return None
        return (
            "Q3",
            f"32-bit counts wrap: without it {wide.total_energy[0]:.6g} pJ and "
            f"{wide.total_cycles[0]:.6g} cycles",
        )

    def _one_price(self) -> list[tuple[str, str]]:
        if not self._is_release:
            return []
        return [
            ("Q6", str(note)) for note in self._accelerator.notes if "(quirk Q6)" in note.message
        ]

    def _bypassed(self) -> tuple[str, str] | None:
        names = [
            f"{buffer.name} {kind}"
            for buffer in self._accelerator.buffers.values()
            for kind, is_bypassed in zip(
                ("inputs", "weights", "outputs"), buffer.bypass, strict=True
            )
            if is_bypassed
        ]
        if not names:
            return None
        return (
            "Q9",
            f"bypass frees capacity only: energy and cycles of {', '.join(names)} are counted",
        )

    def _odd_words(self) -> tuple[str, str] | None:
        bits = self._accelerator.precision
        if bits % 8 == 0:
            return None
        held = f"{bits // 8} bytes" if bits >= 8 else "no byte: capacity is infinite"
        return "Q10", f"a word of {bits} bits counts as {held}"

    def _halo(self) -> tuple[str, str] | None:
        figures = self._wide.figures(self._tables)
        words = int(figures.send[DRAM][0][0]) * int(figures.counts[DRAM].rd_i[0])
        whole = int(figures.alloc[DRAM][0][0])
        if words <= whole:
            return None
        return (
            "Q17",
            f"tiles share nothing: DRAM sends {words:,} input words of {whole:,} different ones",
        )

    def _local_psums(self) -> tuple[str, str] | None:
        if not self._is_release:
            return None
        rows = self._tables[0, PE_X : PE_X + 2]
        shared = int(np.prod(rows[:, CRS]))
        if shared == 1:
            return None
        return (
            "Q19",
            f"{shared} PEs add to the same output: the GB moves it once, but each of their LBs is "
            "charged for it",
        )

    def _stride_zero(self) -> tuple[str, str] | None:
        if self._model.layer.stride or self._model.layer.size[2] * self._model.layer.size[3] == 1:
            return None
        return "Q20", "stride 0: an input tile is R x S whatever P and Q"
