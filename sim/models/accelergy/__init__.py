"""Accelergy's pricing: an energy reference table and action counts in, energies out.

Accelergy (github.com/Accelergy-Project/accelergy at 6911d15, v0.4) asks no plug-in where it is
given both; this is that part of it, in its order of additions, so that sums are equal to the last
digit.

>>> from sim.models.accelergy.files import Action, Component
>>> from workloads.inputs.faults import Fault
>>> at = Fault("ERT.yaml", 1, "", "")
>>> priced = Component("chip.mac", (Action("compute", {}, 2.2, at),), at)
>>> counted = Component("chip.mac", (Action("compute", {}, 1000, at),), at)
>>> price(Files((priced,), (counted,), ())).total_pj
2200.0
"""

from sim.models.accelergy.files import Files, read_files
from sim.models.accelergy.pricing import Estimation, price

__all__ = ["Estimation", "Files", "price", "read_files"]
